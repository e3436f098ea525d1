//! Hosts that a service on one's own machine answers to.

use insta::assert_snapshot;
use reqwest::Method;

use crate::support::{Answer, Service, Setup};

async fn with_host(service: &Service, host: &str) -> Answer {
    Answer::to(service.anyone().request(Method::GET, "/health").header("host", host)).await
}

#[tokio::test]
async fn a_foreign_host_is_refused_where_hosts_are_named() {
    let mut setup = Setup::default();
    setup.app.allowed_hosts = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
    let service = Service::with(setup).await;
    for host in ["localhost", "LOCALHOST:4658", "127.0.0.1:80", "[::1]", "[::1]:4658"] {
        assert_eq!(with_host(&service, host).await.brief(), "200", "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "evil.example:4658", "127.0.0.1.evil.example"] {
        assert_eq!(with_host(&service, host).await.brief(), "421 foreign_host", "{host}");
    }
    assert_snapshot!(with_host(&service, "evil.example").await, @r#"
    421 Misdirected Request
    {
      "code": "foreign_host",
      "detail": "This service answers only to its own host name"
    }
    "#);
}

#[tokio::test]
async fn any_host_is_answered_where_none_is_named() {
    let service = Service::start().await;
    assert_eq!(with_host(&service, "auth.example").await.brief(), "200");
}
