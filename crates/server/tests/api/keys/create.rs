//! `POST /api/v1/keys`.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::Service;

const KEYS: &str = "/api/v1/keys";

#[tokio::test]
async fn a_key_needs_only_a_name() {
    let service = Service::start().await;
    let answer = service.operator.post(KEYS, json!({"name": "My API Key"})).await;
    assert_snapshot!(answer, @r#"
    201 Created
    {
      "api_key": "hk_live_[32 characters]",
      "key_id": "[id 1]",
      "key_info": {
        "allowed_ips": [],
        "billing_plan": "free",
        "created_at": "2026-03-04T10:30:00Z",
        "environment": "production",
        "expires_at": null,
        "id": "[id 1]",
        "is_active": true,
        "key_id": "[id 1]",
        "key_prefix": "hk_live_[3]***",
        "last_used_at": null,
        "metadata": {},
        "monthly_prediction_limit": null,
        "name": "My API Key",
        "rate_limit_per_hour": 1000,
        "revoked_at": null,
        "rotated_from": null,
        "rotated_to": null,
        "scopes": [],
        "service_id": "platform",
        "status": "active",
        "usage": {
          "remaining_this_hour": 1000,
          "requests_this_hour": 0,
          "resets_at": "2026-03-04T11:00:00Z"
        },
        "user_id": "admin"
      }
    }
    "#);
}

#[tokio::test]
async fn a_key_has_the_settings_that_were_asked_for() {
    let service = Service::start().await;
    let wish = json!({
        "name": "  My First Key  ",
        "service_id": "prediction",
        "scopes": ["predict", "model:*"],
        "environment": "test",
        "rate_limit_per_hour": 100,
        "expires_in_days": 30,
        "allowed_ips": ["203.0.113.7", "2001:db8::/32"],
        "monthly_prediction_limit": 5000,
        "billing_plan": "free",
        "metadata": {"team": "evaluation"},
        "user_id": "ada",
    });
    assert_snapshot!(service.operator.post(KEYS, wish).await, @r#"
    201 Created
    {
      "api_key": "hk_test_[32 characters]",
      "key_id": "[id 1]",
      "key_info": {
        "allowed_ips": [
          "203.0.113.7",
          "2001:db8::/32"
        ],
        "billing_plan": "free",
        "created_at": "2026-03-04T10:30:00Z",
        "environment": "test",
        "expires_at": "2026-04-03T10:30:00Z",
        "id": "[id 1]",
        "is_active": true,
        "key_id": "[id 1]",
        "key_prefix": "hk_test_[3]***",
        "last_used_at": null,
        "metadata": {
          "team": "evaluation"
        },
        "monthly_prediction_limit": 5000,
        "name": "My First Key",
        "rate_limit_per_hour": 100,
        "revoked_at": null,
        "rotated_from": null,
        "rotated_to": null,
        "scopes": [
          "predict",
          "model:*"
        ],
        "service_id": "prediction",
        "status": "active",
        "usage": {
          "remaining_this_hour": 100,
          "requests_this_hour": 0,
          "resets_at": "2026-03-04T11:00:00Z"
        },
        "user_id": "ada"
      }
    }
    "#);
}

#[tokio::test]
async fn a_new_key_works_at_once_and_shows_its_environment() {
    let service = Service::start().await;
    for (environment, prefix) in
        [("production", "hk_live_"), ("test", "hk_test_"), ("development", "hk_dev_")]
    {
        let key = service.key(json!({"environment": environment})).await;
        assert!(key.text.starts_with(prefix), "{environment}");
        assert_eq!(service.validate(&key).await.ok()["environment"], environment);
    }
}

#[tokio::test]
async fn two_expiries_at_once_are_refused() {
    let service = Service::start().await;
    let wish = json!({"name": "A key", "expires_in_days": 30, "expires_at": "2026-04-04T00:00:00Z"});
    assert_snapshot!(service.operator.post(KEYS, wish).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "expires_at: can't be given together with expires_in_days",
      "errors": [
        {
          "field": "expires_at",
          "message": "can't be given together with expires_in_days"
        }
      ]
    }
    "#);
    assert_eq!(service.count_keys().await, 0);
}

#[tokio::test]
async fn a_mistyped_field_is_refused_by_name() {
    let service = Service::start().await;
    let wish = json!({"name": "A key", "expires_in_day": 30});
    assert_snapshot!(service.operator.post(KEYS, wish).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "expires_in_day: is not a known field; did you mean expires_in_days?",
      "errors": [
        {
          "field": "expires_in_day",
          "message": "is not a known field; did you mean expires_in_days?"
        }
      ]
    }
    "#);
    assert_eq!(service.count_keys().await, 0);
}

#[tokio::test]
async fn every_fault_is_named() {
    let service = Service::start().await;
    let wish = json!({"service_id": "nowhere", "rate_limit_per_hour": 1, "is_active": true, "colour": "red"});
    assert_snapshot!(service.operator.post(KEYS, wish).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "name: is required (and 4 more)",
      "errors": [
        {
          "field": "name",
          "message": "is required"
        },
        {
          "field": "service_id",
          "message": "must be one of: platform, prediction"
        },
        {
          "field": "rate_limit_per_hour",
          "message": "must be a whole number from 10 to 100000"
        },
        {
          "field": "colour",
          "message": "is not a known field"
        },
        {
          "field": "is_active",
          "message": "is not a known field"
        }
      ]
    }
    "#);
    assert_eq!(service.count_keys().await, 0);
}
