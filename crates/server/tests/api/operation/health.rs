//! `GET /health` and `GET /live`: the process alone.

use insta::assert_snapshot;

use crate::support::Service;

#[tokio::test]
async fn the_process_is_healthy_and_alive() {
    let service = Service::start().await;
    assert_snapshot!(service.anyone().get("/health").await.without(env!("CARGO_PKG_VERSION"), "version"), @r#"
    200 OK
    {
      "service": "hokusai-auth",
      "status": "healthy",
      "version": "[version]"
    }
    "#);
    assert_snapshot!(service.anyone().get("/live").await, @r#"
    200 OK
    {
      "status": "alive"
    }
    "#);
}

#[tokio::test]
async fn the_process_is_healthy_even_without_its_store() {
    let service = Service::start().await;
    service.place.take_away().await;
    assert_eq!(service.anyone().get("/health").await.status, 200);
    assert_eq!(service.anyone().get("/live").await.status, 200);
}
