//! `GET /api/v1/changes`: what happened to keys, for those who remember them.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Service, position_of, until};

#[tokio::test]
async fn the_first_question_enters_and_has_everything_forgotten() {
    let service = Service::start().await;
    let verifier = service.process().await;
    service.key(json!({})).await;
    assert_snapshot!(verifier.changes("").await, @r#"
    200 OK
    {
      "dry": [],
      "items": [],
      "position": "[id 1]:3",
      "reset": true
    }
    "#);
}

#[tokio::test]
async fn what_came_after_a_place_is_told_in_order() {
    let service = Service::start().await;
    let old = service.key(json!({})).await;
    let verifier = service.process().await;
    let place = verifier.enter().await;
    service.key(json!({})).await;
    service.operator.patch(&old.path(), json!({"name": "Renamed"})).await.ok();
    service.verifier().await;
    assert_snapshot!(verifier.after(&place).await, @r#"
    200 OK
    {
      "dry": [],
      "items": [
        {
          "account": "[id 1]",
          "key_id": "[id 1]",
          "kind": "create",
          "revision": 4
        },
        {
          "account": "[id 2]",
          "key_id": "[id 2]",
          "kind": "change",
          "revision": 5
        },
        {
          "account": null,
          "key_id": null,
          "kind": "change",
          "revision": 6
        }
      ],
      "position": "[id 3]:6",
      "reset": false
    }
    "#);
}

#[tokio::test]
async fn where_nothing_happened_nothing_is_told() {
    let service = Service::start().await;
    let verifier = service.process().await;
    let place = verifier.enter().await;
    let told = verifier.changes(&format!("&position={place}&wait_ms=20")).await.ok();
    assert_eq!(told, json!({"position": place, "reset": false, "items": [], "dry": []}));
}

#[tokio::test]
async fn a_change_ends_the_wait() {
    let service = Service::start().await;
    let verifier = service.process().await;
    // Without a change it waits for a second. A busy machine may take as long once, but not each time.
    let told = until("a change is told before the wait is over", async || {
        let key = service.key(json!({})).await;
        let query = format!("&position={}", verifier.enter().await);
        let path = format!("{}?wait_ms=0", key.path());
        let both = async { tokio::join!(verifier.changes(&query), service.operator.delete(&path)) };
        let (told, revoked) = tokio::time::timeout(Duration::from_millis(700), both).await.ok()?;
        revoked.ok();
        let told = told.ok();
        assert_eq!(told["items"][0]["key_id"], json!(key.id));
        Some(told)
    })
    .await;
    assert_eq!(told["reset"], false);
}

#[tokio::test]
async fn a_place_that_is_not_known_has_everything_forgotten() {
    let service = Service::start().await;
    let verifier = service.process().await;
    let place = verifier.enter().await;
    let (epoch, revision) = place.split_once(':').unwrap();
    let ahead = format!("{epoch}:{}", revision.parse::<i64>().unwrap() + 1);
    for unknown in [ahead, format!("019cb840-0000-7000-8000-000000000000:{revision}")] {
        let told = verifier.after(&unknown).await.ok();
        assert_eq!(told, json!({"position": place, "reset": true, "items": [], "dry": []}), "{unknown}");
    }
}

#[tokio::test]
async fn a_place_that_is_not_kept_any_longer_has_everything_forgotten() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.process().await;
    let place = verifier.enter().await;
    service.operator.delete(&key.path()).await.ok();
    service.clock.advance(Duration::from_secs(25 * 3600));
    service.engine.tidy().await.unwrap();
    let told = verifier.after(&place).await.ok();
    assert_eq!((&told["reset"], &told["items"]), (&json!(true), &json!([])));
    service.key(json!({})).await;
    let told = verifier.after(&place).await.ok();
    assert_eq!((&told["reset"], &told["items"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn accounts_that_others_need_units_of_are_named() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    let (one, other) = (service.process().await, service.process().await);
    let place = one.enter().await;
    let place = position_of(&one.after(&place).await.ok());
    other.enter().await;
    let account = one.account(&key).await;
    one.allot(json!({"account": account, "seq": 1, "used": 0, "want": 10})).await;
    other.allot(json!({"account": account, "seq": 1, "used": 0, "want": 1})).await;
    let told = one.after(&place).await.ok();
    assert_eq!(told["dry"], json!([account]));
}

#[tokio::test]
async fn a_restored_place_is_told_from_a_new_one() {
    let service = Service::start().await;
    let verifier = service.process().await;
    let place = verifier.enter().await;
    let key = service.key(json!({})).await;
    let told = verifier.after(&place).await.ok();
    assert_eq!(told["items"][0]["kind"], "create");
    service.operator.delete(&key.path()).await.ok();
    let told = verifier.after(&position_of(&told)).await.ok();
    let kinds: Vec<&Value> = told["items"].as_array().unwrap().iter().map(|item| &item["kind"]).collect();
    assert_eq!(kinds, ["change"]);
}

#[tokio::test]
async fn parameters_that_are_wrong_are_named() {
    let service = Service::start().await;
    let verifier = service.process().await;
    for (query, told) in [
        ("&position=7", "422 position: must be a place in the feed, as it was answered"),
        ("&position=x:1", "422 position: must be a place in the feed, as it was answered"),
        ("&wait_ms=1001", "422 wait_ms: must be a whole number from 0 to 1000"),
        ("&wait_ms=-1", "422 wait_ms: must be a whole number from 0 to 1000"),
        ("&validation_ttl_ms=300001", "422 validation_ttl_ms: must be a whole number from 0 to 300000"),
        ("&wait=1", "422 wait: is not a known parameter; did you mean wait_ms?"),
    ] {
        assert_eq!(verifier.changes(query).await.detail(), told, "{query}");
    }
}
