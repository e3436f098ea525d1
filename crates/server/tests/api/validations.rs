//! `GET /api/v1/keys/{key_id}/validations`: what became of a key's validations, hour by hour.

use std::time::Duration;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, IssuedKey, Service, Setup, record_of};

const HOUR: Duration = Duration::from_secs(3600);

/// The hours that are told of a key, with what was counted up to now.
async fn hours(service: &Service, key: &IssuedKey, query: &str) -> Value {
    service.engine.hand_counts_in().await.unwrap();
    service.operator.get(&format!("{}/validations{query}", key.path())).await.ok()["hours"].clone()
}

#[tokio::test]
async fn each_outcome_is_counted_in_its_hour() {
    let service = Service::start().await;
    let wish = json!({
        "rate_limit_per_hour": 10, "allowed_ips": ["127.0.0.1"], "scopes": ["predict"],
        "expires_at": "2026-03-04T11:30:00Z"
    });
    let key = service.key(wish).await;
    for _ in 0..13 {
        service.validate(&key).await;
    }
    for question in [
        json!({"service_id": "prediction"}),
        json!({"required_scope": "model:read"}),
        json!({"required_scope": "model:write"}),
        json!({"client_ip": "203.0.113.7"}),
    ] {
        service.ask(&key, question).await;
    }
    service.clock.advance(HOUR);
    service.validate(&key).await;
    service.operator.delete(&key.path()).await.ok();
    service.validate(&key).await;
    service.validate(&key).await;
    hours(&service, &key, "").await;
    assert_snapshot!(service.operator.get(&format!("{}/validations", key.path())).await, @r#"
    200 OK
    {
      "hours": [
        {
          "expired": 1,
          "hour": "2026-03-04T11:00:00Z",
          "insufficient_scope": 0,
          "ip_not_allowed": 0,
          "last_used_at": null,
          "limited": 0,
          "revoked": 2,
          "service_mismatch": 0,
          "valid": 0
        },
        {
          "expired": 0,
          "hour": "2026-03-04T10:00:00Z",
          "insufficient_scope": 2,
          "ip_not_allowed": 1,
          "last_used_at": "2026-03-04T10:30:00Z",
          "limited": 3,
          "revoked": 0,
          "service_mismatch": 1,
          "valid": 10
        }
      ],
      "key_id": "[id 1]"
    }
    "#);
    assert_eq!(service.operator.get(&key.path()).await.ok()["last_used_at"], "2026-03-04T10:30:00Z");
}

#[tokio::test]
async fn the_last_use_is_the_latest_one() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for _ in 0..2 {
        service.clock.advance(Duration::from_millis(1500));
        service.validate(&key).await.ok();
    }
    service.ask(&key, json!({"service_id": "prediction"})).await;
    assert_eq!(hours(&service, &key, "").await[0]["last_used_at"], "2026-03-04T10:30:03Z");
    service.clock.advance(HOUR);
    service.ask(&key, json!({"service_id": "prediction"})).await;
    assert_eq!(hours(&service, &key, "").await[0]["last_used_at"], Value::Null);
    assert_eq!(service.operator.get(&key.path()).await.ok()["last_used_at"], "2026-03-04T10:30:03Z");
}

#[tokio::test]
async fn a_dry_run_and_an_unknown_key_are_not_counted() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.verifier().await;
    let question = service.bearer(&key.text).request(Method::POST, "/api/v1/keys/validate");
    let question =
        question.header("x-hokusai-service-token", verifier.text()).json(&json!({"dry_run": true}));
    assert_eq!(Answer::to(question).await.brief(), "200");
    service.bearer("hk_live_x").post("/api/v1/keys/validate", json!({})).await;
    assert_eq!(hours(&service, &key, "").await, json!([]));
}

#[tokio::test]
async fn so_many_hours_are_looked_back_as_are_asked_for() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for _ in 0..30 {
        service.validate(&key).await.ok();
        service.clock.advance(HOUR);
    }
    service.validate(&key).await.ok();
    for (query, count) in [("", 24), ("?hours=1", 1), ("?hours=2", 2), ("?hours=1000", 31)] {
        let hours = hours(&service, &key, query).await;
        assert_eq!(hours.as_array().unwrap().len(), count, "{query}");
        assert_eq!(hours[0]["hour"], "2026-03-05T16:00:00Z", "{query}");
    }
    for hours in ["0", "1001", "-1", "", "1.5", "many", "9999999999999999999"] {
        let answer = service.operator.get(&format!("{}/validations?hours={hours}", key.path())).await;
        assert_eq!(answer.detail(), "422 hours: must be a whole number from 1 to 1000", "{hours}");
    }
}

#[tokio::test]
async fn counts_outlive_a_restart() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.validate(&key).await.ok();
    let service = service.restart(Setup::default()).await;
    service.validate(&key).await.ok();
    assert_eq!(hours(&service, &key, "").await[0]["valid"], 2);
}

#[tokio::test]
async fn a_rotated_key_and_its_successor_are_counted_apart() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let successor = IssuedKey::of(&service.operator.rotate(&key).await.ok());
    service.validate(&key).await.ok();
    assert_eq!(hours(&service, &key, "").await[0]["valid"], 1);
    assert_eq!(hours(&service, &successor, "").await, json!([]));
}

#[tokio::test]
async fn a_member_sees_the_validations_of_its_own_keys_alone() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let (own, foreign) = (ada.key(json!({})).await, service.key(json!({})).await);
    assert_eq!(ada.get(&format!("{}/validations", own.path())).await.ok()["hours"], json!([]));
    for id in [foreign.id.as_str(), "019cb840-0000-7000-8000-000000000000", "no-uuid"] {
        let answer = ada.get(&format!("/api/v1/keys/{id}/validations")).await;
        assert_eq!(answer.detail(), "404 API key not found", "{id}");
    }
}

#[tokio::test]
async fn what_verifiers_ask_and_report_moves_the_last_use_and_counts_as_no_validation() {
    let service = Service::start().await;
    let (key, other) = (service.key(json!({})).await, service.key(json!({})).await);
    let verifier = service.process().await;
    verifier.enter().await;
    verifier.vouch(&key, json!({"seq": 1})).await.ok();
    let seen = hours(&service, &key, "").await;
    assert_eq!((&seen[0]["last_used_at"], &seen[0]["valid"]), (&json!("2026-03-04T10:30:00Z"), &json!(0)));
    assert_eq!(last_use(&service, &other).await, Value::Null);

    let gateway = service.verifier().await;
    service.clock.advance(Duration::from_secs(300));
    let reported = |at: &str| record_of(&key, json!({"occurred_at": at, "idempotency_key": at}));
    let records = vec![reported("2026-03-04T10:32:30Z"), reported("2026-03-04T10:31:00Z")];
    gateway.batch(records.clone()).await.ok();
    hours(&service, &key, "").await;
    assert_eq!(last_use(&service, &key).await, "2026-03-04T10:32:30Z");

    // Neither what is known already, nor what is too far ahead to have happened, nor what a user says.
    gateway.batch(records).await.ok();
    gateway.batch(vec![reported("2026-03-04T10:36:00Z")]).await.ok();
    let member = service.member("ada").await;
    let own = member.key(json!({})).await;
    member.batch(vec![record_of(&own, json!({}))]).await.ok();
    hours(&service, &key, "").await;
    hours(&service, &own, "").await;
    assert_eq!(last_use(&service, &key).await, "2026-03-04T10:35:00Z");
    assert_eq!(last_use(&service, &own).await, Value::Null);
}

async fn last_use(service: &Service, key: &IssuedKey) -> Value {
    service.operator.get(&key.path()).await.ok()["last_used_at"].clone()
}
