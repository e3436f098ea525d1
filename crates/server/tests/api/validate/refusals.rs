//! Keys that are refused: always 401, each with its own word.

use std::time::Duration;

use hokusai_core::key::{Environment, PlainKey};
use insta::assert_snapshot;
use serde_json::json;

use crate::support::{IssuedKey, Service};

const INSTANT: Duration = Duration::from_micros(1);

#[tokio::test]
async fn a_key_that_was_never_issued_is_invalid() {
    let service = Service::start().await;
    for environment in Environment::ALL {
        let never_issued = PlainKey::generate(environment, &mut rand::rng());
        let answer = service.bearer(never_issued.expose()).post("/api/v1/keys/validate", json!({})).await;
        assert_eq!(answer.brief(), "401 invalid_key", "{environment:?}");
    }
    let text = PlainKey::generate(Environment::Test, &mut rand::rng()).expose().to_owned();
    let never_issued = IssuedKey { id: String::new(), text };
    assert_snapshot!(service.validate(&never_issued).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "billing_plan": null,
      "code": "invalid_key",
      "detail": "Invalid API key",
      "environment": null,
      "error": "Invalid API key",
      "expires_at": null,
      "is_valid": false,
      "key_id": null,
      "monthly_prediction_limit": null,
      "rate_limit_per_hour": null,
      "scopes": null,
      "service_id": null,
      "user_id": null
    }
    "#);
}

#[tokio::test]
async fn a_key_with_one_letter_changed_is_invalid() {
    let service = Service::start().await;
    let key = service.key(json!({"environment": "production"})).await;
    for at in [0, 3, 7, 8, 20, 33, 34, 39] {
        let mut text = key.text.clone();
        let other = if &text[at..=at] == "x" { "y" } else { "x" };
        text.replace_range(at..=at, other);
        let changed = IssuedKey { id: key.id.clone(), text };
        assert_eq!(service.validate(&changed).await.brief(), "401 invalid_key", "letter {at}");
    }
    let elsewhere = IssuedKey { id: key.id.clone(), text: key.text.replace("hk_live_", "hk_test_") };
    assert_eq!(service.validate(&elsewhere).await.brief(), "401 invalid_key");
    assert_eq!(service.validate(&key).await.brief(), "200");
}

#[tokio::test]
async fn an_admin_token_is_no_key() {
    let service = Service::start().await;
    let answer = service.operator.post("/api/v1/keys/validate", json!({})).await;
    assert_eq!(answer.brief(), "401 invalid_key");
}

#[tokio::test]
async fn a_key_expires_to_the_microsecond() {
    let service = Service::start().await;
    let key = service.key(json!({"expires_at": "2026-03-04T10:30:00.000002Z"})).await;
    service.clock.advance(INSTANT);
    assert_eq!(service.validate(&key).await.brief(), "200");
    service.clock.advance(INSTANT);
    assert_snapshot!(service.validate(&key).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "billing_plan": null,
      "code": "expired",
      "detail": "API key has expired",
      "environment": null,
      "error": "API key has expired",
      "expires_at": null,
      "is_valid": false,
      "key_id": null,
      "monthly_prediction_limit": null,
      "rate_limit_per_hour": null,
      "scopes": null,
      "service_id": null,
      "user_id": null
    }
    "#);
}

#[tokio::test]
async fn a_revoked_key_is_refused() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.operator.delete(&key.path()).await.ok();
    assert_snapshot!(service.validate(&key).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "billing_plan": null,
      "code": "revoked",
      "detail": "API key is inactive or has been revoked",
      "environment": null,
      "error": "API key is inactive or has been revoked",
      "expires_at": null,
      "is_valid": false,
      "key_id": null,
      "monthly_prediction_limit": null,
      "rate_limit_per_hour": null,
      "scopes": null,
      "service_id": null,
      "user_id": null
    }
    "#);
}

#[tokio::test]
async fn a_key_of_another_service_is_refused() {
    let service = Service::start().await;
    let key = service.key(json!({"service_id": "platform"})).await;
    assert_snapshot!(service.ask(&key, json!({"service_id": "prediction"})).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "billing_plan": null,
      "code": "service_mismatch",
      "detail": "Key not authorized for this service",
      "environment": null,
      "error": "Key not authorized for this service",
      "expires_at": null,
      "is_valid": false,
      "key_id": null,
      "monthly_prediction_limit": null,
      "rate_limit_per_hour": null,
      "scopes": null,
      "service_id": null,
      "user_id": null
    }
    "#);
    assert_eq!(service.ask(&key, json!({"service_id": "nowhere"})).await.brief(), "401 service_mismatch");
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused() {
    let service = Service::start().await;
    let key = service.key(json!({"scopes": ["model:read"]})).await;
    assert_snapshot!(service.ask(&key, json!({"required_scope": "model:write"})).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "billing_plan": null,
      "code": "insufficient_scope",
      "detail": "Key does not have required scope",
      "environment": null,
      "error": "Key does not have required scope",
      "expires_at": null,
      "is_valid": false,
      "key_id": null,
      "monthly_prediction_limit": null,
      "rate_limit_per_hour": null,
      "scopes": null,
      "service_id": null,
      "user_id": null
    }
    "#);
}

#[tokio::test]
async fn a_key_used_from_elsewhere_is_refused_and_told_the_address() {
    let service = Service::start().await;
    let key = service.key(json!({"allowed_ips": ["203.0.113.7"]})).await;
    assert_snapshot!(service.ask(&key, json!({"client_ip": "198.51.100.42"})).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "billing_plan": null,
      "code": "ip_not_allowed",
      "detail": "IP address not in allowlist: 198.51.100.42",
      "environment": null,
      "error": "IP address not in allowlist: 198.51.100.42",
      "expires_at": null,
      "is_valid": false,
      "key_id": null,
      "monthly_prediction_limit": null,
      "rate_limit_per_hour": null,
      "scopes": null,
      "service_id": null,
      "user_id": null
    }
    "#);
}

#[tokio::test]
async fn the_first_fault_in_the_documented_order_is_named() {
    let service = Service::start().await;
    let settings = json!({
        "scopes": ["model:read"], "allowed_ips": ["203.0.113.7"], "rate_limit_per_hour": 10, "expires_in_days": 1,
    });
    let key = service.key(settings).await;
    for _ in 0..10 {
        service.ask(&key, json!({"client_ip": "203.0.113.7"})).await.ok();
    }
    let mut worst = json!({"service_id": "prediction", "required_scope": "a", "client_ip": "unknown"});
    assert_eq!(service.ask(&key, worst.clone()).await.brief(), "401 service_mismatch");
    worst["service_id"] = "platform".into();
    assert_eq!(service.ask(&key, worst.clone()).await.brief(), "401 insufficient_scope");
    worst["required_scope"] = "model:read".into();
    assert_eq!(service.ask(&key, worst.clone()).await.brief(), "401 ip_not_allowed");
    worst["client_ip"] = "203.0.113.7".into();
    assert_eq!(service.ask(&key, worst.clone()).await.brief(), "429");
    service.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(service.ask(&key, worst.clone()).await.brief(), "401 expired");
    service.operator.delete(&key.path()).await.ok();
    assert_eq!(service.ask(&key, worst).await.brief(), "401 revoked");
}

#[tokio::test]
async fn refusals_cost_nothing() {
    let service = Service::start().await;
    let key =
        service.key(json!({"scopes": ["a"], "allowed_ips": ["127.0.0.1"], "rate_limit_per_hour": 10})).await;
    for _ in 0..5 {
        for question in
            [json!({"service_id": "prediction"}), json!({"required_scope": "b"}), json!({"client_ip": "::1"})]
        {
            assert_eq!(service.ask(&key, question).await.status, 401);
        }
    }
    assert_eq!(service.used(&key).await, 0);
    assert_eq!(service.validate(&key).await.header("x-ratelimit-remaining"), "9");
}
