//! `POST /api/v1/keys/validate` with a `holder`: a verifier is vouched for a key for a while.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{IssuedKey, Service};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_good_key_is_vouched_for_with_its_first_unit() {
    let service = Service::start().await;
    let key = service.key(json!({"scopes": ["predict"], "allowed_ips": ["192.0.2.0/24"]})).await;
    let verifier = service.process().await;
    verifier.enter().await;
    // PostgreSQL tells of new tokens and keys a little later: nobody waits for that.
    service.engine.follow().await.unwrap();
    assert_snapshot!(verifier.vouch(&key, json!({"seq": 1})).await, @r#"
    200 OK
    {
      "account": "[id 1]",
      "allotment": {
        "allotted": 1,
        "awaited": 0,
        "expires_in_ms": 1800000,
        "holders": 1,
        "hour": 492394,
        "limit": 1000,
        "living": true,
        "reclaimable": false,
        "remaining": 999,
        "seq": 1,
        "used": 0
      },
      "allowed_ips": [
        "192.0.2.0/24"
      ],
      "billing_plan": "free",
      "environment": "production",
      "expires_at": null,
      "is_valid": true,
      "key_id": "[id 1]",
      "monthly_prediction_limit": null,
      "position": "[id 2]:3",
      "rate_limit_per_hour": 1000,
      "scopes": [
        "predict"
      ],
      "service_id": "platform",
      "user_id": "admin",
      "valid_for_ms": 300000
    }
    "#);
}

#[tokio::test]
async fn of_a_refused_key_only_the_place_in_the_feed_is_told() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.process().await;
    verifier.enter().await;
    service.operator.delete(&key.path()).await.ok();
    assert_snapshot!(verifier.vouch(&key, json!({"seq": 1})).await, @r#"
    401 Unauthorized
    {
      "allotment": null,
      "billing_plan": null,
      "code": "revoked",
      "detail": "API key is inactive or has been revoked",
      "environment": null,
      "error": "API key is inactive or has been revoked",
      "expires_at": null,
      "is_valid": false,
      "key_id": null,
      "monthly_prediction_limit": null,
      "position": "[id 1]:4",
      "rate_limit_per_hour": null,
      "scopes": null,
      "service_id": null,
      "user_id": null
    }
    "#);
}

#[tokio::test]
async fn the_life_of_a_key_is_judged() {
    let service = Service::start().await;
    let verifier = service.process().await;
    let brief = async |text: &str| verifier.vouch_for(text, json!({"seq": 1})).await.brief();
    let key = service.key(json!({"expires_in_days": 1})).await;
    assert_eq!(brief("no key at all").await, "401 invalid_key");
    assert_eq!(brief("hk_live_00000000000000000000000000000000").await, "401 invalid_key");
    assert_eq!(brief(&key.text).await, "200");
    service.clock.advance(24 * HOUR);
    assert_eq!(brief(&key.text).await, "401 expired");
    service.operator.delete(&key.path()).await.ok();
    assert_eq!(brief(&key.text).await, "401 revoked");
}

#[tokio::test]
async fn service_scope_and_address_are_the_verifiers_to_judge() {
    let service = Service::start().await;
    let key = service.key(json!({"service_id": "prediction", "allowed_ips": ["192.0.2.1"]})).await;
    let verifier = service.process().await;
    let attempt = json!({
        "service_id": "platform", "required_scope": "admin", "client_ip": "203.0.113.9", "dry_run": true
    });
    let vouched = verifier.vouch(&key, attempt.clone()).await.ok();
    assert_eq!(vouched["service_id"], "prediction");
    assert_eq!(vouched["allowed_ips"], json!(["192.0.2.1"]));
    assert_eq!(service.ask(&key, json!({"service_id": "platform"})).await.brief(), "401 service_mismatch");
}

#[tokio::test]
async fn a_process_that_is_not_in_the_register_may_remember_nothing() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.process().await;
    let vouched = verifier.vouch(&key, json!({"seq": 1})).await.ok();
    assert_eq!((&vouched["valid_for_ms"], &vouched["allotment"]), (&json!(0), &Value::Null));
    assert_eq!(service.used(&key).await, 0);
    verifier.enter().await;
    let vouched = verifier.vouch(&key, json!({"seq": 1})).await.ok();
    assert_eq!((&vouched["valid_for_ms"], &vouched["allotment"]["allotted"]), (&json!(300_000), &json!(1)));
}

#[tokio::test]
async fn without_a_number_no_unit_comes_along_and_there_is_one_first_unit() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.process().await;
    verifier.enter().await;
    let unit = async |fields: Value| verifier.vouch(&key, fields).await.ok()["allotment"].clone();
    assert_eq!(unit(json!({})).await, Value::Null);
    assert_eq!(service.used(&key).await, 0);
    assert_eq!(unit(json!({"seq": 1})).await["allotted"], 1);
    // It is used once the verifier says so.
    assert_eq!(service.used(&key).await, 0);
    assert_eq!(unit(json!({"seq": 2})).await, Value::Null);
    service.clock.advance(HOUR);
    assert_eq!(unit(json!({"seq": 3})).await["allotted"], 1);
}

#[tokio::test]
async fn a_key_whose_hour_is_used_up_is_good_without_a_unit() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    for _ in 0..10 {
        service.validate(&key).await.ok();
    }
    let verifier = service.process().await;
    verifier.enter().await;
    let unit = verifier.vouch(&key, json!({"seq": 1})).await.ok()["allotment"].clone();
    assert_eq!((&unit["allotted"], &unit["remaining"]), (&json!(0), &json!(0)));
}

async fn valid_for(service: &Service, key: &IssuedKey, fields: Value) -> i64 {
    let verifier = service.process().await;
    verifier.enter().await;
    verifier.vouch(key, fields).await.ok()["valid_for_ms"].as_i64().unwrap()
}

#[tokio::test]
async fn nobody_is_vouched_for_past_its_end() {
    let service = Service::start().await;
    let ends = async |at: &str| service.key(json!({"expires_at": at})).await;
    let key = ends("2026-03-04T10:30:07.250Z").await;
    assert_eq!(valid_for(&service, &key, json!({})).await, 7250);
    assert_eq!(valid_for(&service, &key, json!({"validation_ttl_ms": 5000})).await, 5000);
    let later = ends("2026-03-04T10:35:01Z").await;
    assert_eq!(valid_for(&service, &later, json!({})).await, 300_000);

    let rotated = service.key(json!({})).await;
    service.operator.rotate(&rotated).await.ok();
    service.clock.advance(24 * HOUR - Duration::from_secs(3));
    assert_eq!(valid_for(&service, &rotated, json!({})).await, 3000);
}

#[tokio::test]
async fn a_time_or_number_that_is_none_is_named() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.process().await;
    let told = async |fields: Value| verifier.vouch(&key, fields).await.detail();
    for ttl in [json!(0), json!(300_001), json!("1000")] {
        let told = told(json!({"validation_ttl_ms": ttl})).await;
        assert_eq!(told, "422 validation_ttl_ms: must be a whole number from 1 to 300000", "{ttl}");
    }
    for seq in [json!(0), json!(-1), json!("1")] {
        assert_eq!(verifier.vouch(&key, json!({"seq": seq})).await.brief(), "422 invalid_request", "{seq}");
    }
}

#[tokio::test]
async fn without_a_holder_it_is_a_validation_like_any_other() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.process().await;
    let validated = verifier.vouch(&key, json!({"holder": null, "seq": 1})).await.ok();
    assert_eq!(validated.get("valid_for_ms"), None);
    assert_eq!(service.used(&key).await, 1);
}

#[tokio::test]
async fn a_store_that_fails_vouches_for_nothing() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.process().await;
    verifier.enter().await;
    service.place.take_away().await;
    service.clock.advance(Duration::from_secs(60));
    assert_eq!(verifier.vouch(&key, json!({"seq": 1})).await.brief(), "503 store_unavailable");
    service.place.bring_back().await;
}
