//! A store that is away: the service says so, refuses nobody for it, and is well again afterwards.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Service, until};

/// After this long without the feed, nothing is said from memory alone.
const CONFIRMED_FOR: Duration = Duration::from_secs(5);

async fn come_back(service: &Service) {
    service.place.bring_back().await;
    until("the service is ready", async || {
        (service.anyone().get("/ready").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_unknown_key_is_not_refused_while_the_store_is_away() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.place.take_away().await;
    assert_snapshot!(service.validate(&key).await, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "code": "store_unavailable",
      "detail": "The service can't reach its database; try again"
    }
    "#);
    come_back(&service).await;
    assert_eq!(service.validate(&key).await.brief(), "200");
}

#[tokio::test]
async fn a_known_key_is_vouched_for_until_the_feed_is_5_seconds_old() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    // A key in use has units at hand.
    for _ in 0..20 {
        service.validate(&key).await.ok();
    }
    // It may be asking for more just now; these reads of the same store are answered after that.
    for _ in 0..20 {
        service.used(&key).await;
    }
    service.place.take_away().await;
    assert_eq!(service.validate(&key).await.brief(), "200");
    service.clock.advance(CONFIRMED_FOR);
    assert_eq!(service.validate(&key).await.brief(), "503 store_unavailable");
    come_back(&service).await;
    assert_eq!(service.validate(&key).await.brief(), "200");
}

#[tokio::test]
async fn nothing_is_managed_while_the_store_is_away() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let operator = &service.operator;
    service.place.take_away().await;
    assert_snapshot!(operator.post("/api/v1/keys", json!({"name": "A key"})).await, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "code": "store_unavailable",
      "detail": "The service can't reach its database; try again"
    }
    "#);
    for answer in [
        operator.get("/api/v1/keys").await,
        operator.get(&key.path()).await,
        operator.patch(&key.path(), json!({"name": "Renamed"})).await,
        operator.delete(&key.path()).await,
        operator.rotate(&key).await,
        operator.get("/api/v1/admin-tokens").await,
        service.bearer(&key.text).get("/api/v1/keys").await,
        operator.get(&format!("{}/validations", key.path())).await,
        operator.get("/api/v1/alerts").await,
    ] {
        assert_eq!(answer.brief(), "503 store_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    come_back(&service).await;
    let listed = operator.get("/api/v1/keys").await.ok();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["name"], "A key");
    assert_eq!(listed[0]["status"], "active");
}

#[tokio::test]
async fn no_unit_is_lost_or_gained_by_an_outage() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    for _ in 0..4 {
        service.validate(&key).await.ok();
    }
    service.place.take_away().await;
    assert_eq!(service.validate(&key).await.brief(), "503 store_unavailable");
    come_back(&service).await;
    let mut passed = 0;
    while service.validate(&key).await.status == 200 {
        passed += 1;
    }
    assert_eq!(passed, 6);
}

#[tokio::test]
async fn an_answer_comes_within_5_seconds_even_if_the_store_hangs() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let blocker = service.place.block().await;
    let answer = tokio::time::timeout(Duration::from_secs(5), service.validate(&key)).await;
    assert_eq!(answer.expect("deployed clients wait no longer").brief(), "503 store_unavailable");
    drop(blocker);
    until("the key is good", async || (service.validate(&key).await.status == 200).then_some(())).await;
}
