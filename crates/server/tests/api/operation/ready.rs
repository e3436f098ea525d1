//! `GET /ready` and `GET /status`: whether the store answers.

use insta::assert_snapshot;

use crate::support::{Service, until};

#[tokio::test]
async fn a_service_is_ready_while_its_store_answers() {
    let service = Service::start().await;
    assert_snapshot!(service.anyone().get("/ready").await, @r#"
    200 OK
    {
      "checks": {
        "database": true
      },
      "status": "ready"
    }
    "#);
    service.place.take_away().await;
    assert_snapshot!(service.anyone().get("/ready").await, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "checks": {
        "database": false
      },
      "status": "not ready"
    }
    "#);
    service.place.bring_back().await;
    let ready = async || (service.anyone().get("/ready").await.status == 200).then_some(());
    until("the service is ready", ready).await;
}

#[tokio::test]
async fn the_status_page_says_so_to_people() {
    let service = Service::start().await;
    let page = service.anyone().get("/status").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.body.contains("All is well"), "{page}");
    service.place.take_away().await;
    assert!(service.anyone().get("/status").await.body.contains("its database does not answer"));
}
