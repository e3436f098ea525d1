//! What the answer to a change says of who knows of it.

use std::time::Duration;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, IssuedKey, Service, position_of};

async fn revoke(service: &Service, key: &IssuedKey, query: &str) -> Answer {
    service.operator.delete(&format!("{}{query}", key.path())).await
}

#[tokio::test]
async fn a_process_that_has_not_asked_since_is_pending() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.process().await.enter().await;
    assert_snapshot!(revoke(&service, &key, "?wait_ms=0").await, @r#"
    200 OK
    {
      "effective": {
        "at_latest": "2026-03-04T10:35:05Z",
        "everywhere": false,
        "pending": [
          "[id 1]"
        ]
      },
      "key_id": "[id 2]",
      "message": "API key revoked successfully"
    }
    "#);
}

#[tokio::test]
async fn who_remembers_for_less_is_waited_for_less() {
    let service = Service::start().await;
    let (key, other) = (service.key(json!({})).await, service.key(json!({})).await);
    let brief = service.process().await;
    brief.changes("&validation_ttl_ms=2000").await.ok();
    let effective = revoke(&service, &key, "?wait_ms=0").await.ok()["effective"].clone();
    assert_eq!(effective["at_latest"], "2026-03-04T10:30:07Z");
    // The longest time that was ever told counts, and so does the slowest of all.
    service.process().await.changes("&validation_ttl_ms=60000").await.ok();
    let effective = revoke(&service, &other, "?wait_ms=0").await.ok()["effective"].clone();
    assert_eq!(effective["at_latest"], "2026-03-04T10:31:05Z");
    assert_eq!(effective["pending"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn to_ask_from_a_place_acknowledges_it() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.process().await;
    let place = verifier.enter().await;
    let everywhere =
        async || revoke(&service, &key, "?wait_ms=0").await.ok()["effective"]["everywhere"].clone();
    assert_eq!(everywhere().await, false);
    // Told of it is not yet done with it.
    let told = verifier.after(&place).await.ok();
    assert_eq!(everywhere().await, false);
    verifier.after(&position_of(&told)).await.ok();
    assert_eq!(everywhere().await, true);
}

#[tokio::test]
async fn a_revocation_waits_for_a_process_that_follows() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.process().await;
    let mut place = verifier.enter().await;
    let following = async {
        loop {
            place = position_of(&verifier.changes(&format!("&position={place}")).await.ok());
        }
    };
    let revoked = tokio::select! {
        revoked = revoke(&service, &key, "?wait_ms=5000") => revoked.ok(),
        () = following => unreachable!("it follows for ever"),
    };
    assert_eq!(revoked["effective"], json!({"everywhere": true, "at": "2026-03-04T10:30:00Z"}));
}

#[tokio::test]
async fn who_asks_from_a_place_that_is_not_known_acknowledges_nothing() {
    let service = Service::start().await;
    let verifier = service.process().await;
    let place = verifier.enter().await;
    let (epoch, revision) = place.split_once(':').unwrap();
    for unknown in [format!("019cb840-0000-7000-8000-000000000000:{revision}"), format!("{epoch}:1000000")] {
        let key = service.key(json!({})).await;
        // Until it hears that it has to forget everything, it may admit what it remembers.
        let asking = async {
            loop {
                assert_eq!(verifier.after(&unknown).await.ok()["reset"], true);
            }
        };
        let revoked = tokio::select! {
            revoked = revoke(&service, &key, "?wait_ms=300") => revoked.ok(),
            () = asking => unreachable!("it asks for ever"),
        };
        assert_eq!(revoked["effective"]["pending"], json!([verifier.holder]), "{unknown}");
    }
}

#[tokio::test]
async fn changes_and_rotations_say_so_too() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.process().await;
    verifier.enter().await;
    let changed = service.operator.patch(&key.path(), json!({"name": "Renamed"})).await.ok();
    let rotated = service.operator.rotate(&key).await.ok();
    for answer in [changed, rotated] {
        let effective = &answer["effective"];
        assert_eq!(effective["pending"], json!([verifier.holder]));
        assert_eq!(effective["at_latest"], "2026-03-04T10:35:05Z");
    }
}

#[tokio::test]
async fn a_process_that_said_goodbye_is_not_waited_for() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let (gone, left) = (service.process().await, service.process().await);
    gone.enter().await;
    left.enter().await;
    gone.say(json!({"goodbye": true})).await.ok();
    let effective = revoke(&service, &key, "?wait_ms=0").await.ok()["effective"].clone();
    assert_eq!(effective["pending"], json!([left.holder]));
    left.say(json!({"goodbye": true})).await.ok();
    let effective = revoke(&service, &key, "?wait_ms=0").await.ok()["effective"].clone();
    assert_eq!(effective["everywhere"], true);
    // Who left is vouched for nothing; it may come again.
    let other = service.key(json!({})).await;
    assert_eq!(gone.vouch(&other, json!({})).await.ok()["valid_for_ms"], 0);
    gone.enter().await;
    assert_eq!(gone.vouch(&other, json!({})).await.ok()["valid_for_ms"], 300_000);
}

#[tokio::test]
async fn to_be_vouched_for_keeps_a_process_in_the_register() {
    let service = Service::start().await;
    let (kept, other) = (service.key(json!({})).await, service.key(json!({})).await);
    let (asking, silent) = (service.process().await, service.process().await);
    asking.enter().await;
    silent.enter().await;
    for _ in 0..4 {
        service.engine.tidy().await.unwrap();
        service.clock.advance(Duration::from_secs(100));
        asking.vouch(&kept, json!({})).await.ok();
    }
    service.engine.tidy().await.unwrap();
    let effective = revoke(&service, &other, "?wait_ms=0").await.ok()["effective"].clone();
    assert_eq!(effective["pending"], json!([asking.holder]));
}

#[tokio::test]
async fn how_long_to_wait_is_bounded() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let wrong = "422 wait_ms: must be a whole number from 0 to 5000";
    for wait in ["5001", "-1", "long"] {
        let path = |end: &str| format!("{}{end}?wait_ms={wait}", key.path());
        assert_eq!(service.operator.delete(&path("")).await.detail(), wrong);
        assert_eq!(service.operator.patch(&path(""), json!({"name": "New"})).await.detail(), wrong);
        let rotate = service.operator.request(Method::POST, &path("/rotate"));
        assert_eq!(Answer::to(rotate).await.detail(), wrong);
    }
    let shown: Value = service.operator.get(&key.path()).await.ok();
    assert_eq!((&shown["status"], &shown["name"]), (&json!("active"), &json!("A key")));
}
