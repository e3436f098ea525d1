//! What every answer carries. Each answer of these tests is checked for it; here are the unusual ones.

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Service, Setup};

const STRICT: &str = "strict-transport-security";

async fn with_id(service: &Service, id: &str) -> String {
    let request = service.anyone().request(Method::GET, "/health").header("x-request-id", id);
    Answer::to(request).await.header("x-request-id").to_owned()
}

#[tokio::test]
async fn a_path_that_is_not_there_is_answered_in_the_common_shape() {
    let service = Service::start().await;
    assert_snapshot!(service.anyone().get("/nothing/here").await, @r#"
    404 Not Found
    {
      "code": "not_found",
      "detail": "There is nothing at this path; /docs lists what there is"
    }
    "#);
    for path in ["/", "/api/v1", "/api/v1/keys/", "//health", "/health/", "/api/v1/keys/x/y/z"] {
        assert_eq!(service.anyone().get(path).await.brief(), "404 not_found", "{path}");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_answered_with_those_it_takes() {
    let service = Service::start().await;
    let request = service.anyone().request(Method::PUT, "/api/v1/keys");
    assert_snapshot!(Answer::to(request).await, @r#"
    405 Method Not Allowed
    allow: GET,HEAD,POST
    {
      "code": "method_not_allowed",
      "detail": "This path does not take this method; the Allow header lists those that it takes"
    }
    "#);
}

#[tokio::test]
async fn a_sane_request_id_comes_back() {
    let service = Service::start().await;
    for id in ["a", "0123-abc_DEF.9", &"x".repeat(64)] {
        assert_eq!(with_id(&service, id).await, id);
    }
    let request = service.anyone().request(Method::POST, "/api/v1/keys").header("x-request-id", "mine");
    let refused = Answer::to(request.header("authorization", "Bearer none").body("{")).await;
    assert_eq!((refused.status.as_u16(), refused.header("x-request-id")), (401, "mine"));
}

#[tokio::test]
async fn any_other_request_id_is_replaced() {
    let service = Service::start().await;
    for id in ["", "two words", "a\"b", "é", &"x".repeat(65)] {
        let answered = with_id(&service, id).await;
        assert_eq!(answered.parse::<uuid::Uuid>().unwrap().get_version_num(), 7, "{id}");
    }
    assert_ne!(with_id(&service, "").await, with_id(&service, "").await);
}

#[tokio::test]
async fn browsers_are_told_to_insist_on_tls_where_it_is_spoken() {
    let plain = Service::start().await;
    assert_eq!(plain.anyone().get("/health").await.header(STRICT), "");
    let mut setup = Setup::default();
    setup.app.strict_transport = true;
    let service = Service::with(setup).await;
    for path in ["/health", "/nothing/here"] {
        assert_eq!(service.anyone().get(path).await.header(STRICT), "max-age=31536000; includeSubDomains");
    }
}

#[tokio::test]
async fn answers_are_of_one_caller_and_kept_by_no_cache() {
    let service = Service::start().await;
    let created = service.operator.post("/api/v1/keys", json!({"name": "A key"})).await;
    assert_eq!(created.header("cache-control"), "no-store");
    assert_eq!(created.header("access-control-allow-origin"), "");
    assert_eq!(created.header("set-cookie"), "");
}

#[tokio::test]
async fn a_head_request_is_answered_as_the_get_without_its_body() {
    let service = Service::start().await;
    let answer = Answer::to(service.anyone().request(Method::HEAD, "/health")).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
}
