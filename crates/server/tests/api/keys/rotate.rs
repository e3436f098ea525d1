//! `POST /api/v1/keys/{key_id}/rotate`.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{IssuedKey, Service};

const HOUR: Duration = Duration::from_secs(3600);
const INSTANT: Duration = Duration::from_micros(1);

/// A key with every setting that a successor inherits.
async fn key_with_settings(service: &Service) -> IssuedKey {
    let settings = json!({
        "name": "My key",
        "service_id": "prediction",
        "scopes": ["predict"],
        "environment": "test",
        "rate_limit_per_hour": 100,
        "allowed_ips": ["127.0.0.0/8"],
        "monthly_prediction_limit": 5000,
        "metadata": {"team": "evaluation"},
        "user_id": "ada",
    });
    service.key(settings).await
}

#[tokio::test]
async fn a_successor_has_the_settings_of_the_old_key() {
    let service = Service::start().await;
    let old = key_with_settings(&service).await;
    assert_snapshot!(service.operator.rotate(&old).await, @r#"
    200 OK
    {
      "api_key": "hk_test_[32 characters]",
      "effective": {
        "at": "2026-03-04T10:30:00Z",
        "everywhere": true
      },
      "key_id": "[id 1]",
      "key_info": {
        "allowed_ips": [
          "127.0.0.0/8"
        ],
        "billing_plan": "free",
        "created_at": "2026-03-04T10:30:00Z",
        "environment": "test",
        "expires_at": null,
        "id": "[id 1]",
        "is_active": true,
        "key_id": "[id 1]",
        "key_prefix": "hk_test_[3]***",
        "last_used_at": null,
        "metadata": {
          "team": "evaluation"
        },
        "monthly_prediction_limit": 5000,
        "name": "My key",
        "rate_limit_per_hour": 100,
        "revoked_at": null,
        "rotated_from": "[id 2]",
        "rotated_to": null,
        "scopes": [
          "predict"
        ],
        "service_id": "prediction",
        "status": "active",
        "usage": {
          "remaining_this_hour": 100,
          "requests_this_hour": 0,
          "resets_at": "2026-03-04T11:00:00Z"
        },
        "user_id": "ada"
      },
      "previous_key": {
        "key_id": "[id 2]",
        "valid_until": "2026-03-05T10:30:00Z"
      }
    }
    "#);
}

#[tokio::test]
async fn the_old_key_is_rotating_and_names_its_successor() {
    let service = Service::start().await;
    let old = key_with_settings(&service).await;
    service.operator.rotate(&old).await.ok();
    assert_snapshot!(service.operator.get(&old.path()).await, @r#"
    200 OK
    {
      "allowed_ips": [
        "127.0.0.0/8"
      ],
      "billing_plan": "free",
      "created_at": "2026-03-04T10:30:00Z",
      "environment": "test",
      "expires_at": null,
      "id": "[id 1]",
      "is_active": true,
      "key_id": "[id 1]",
      "key_prefix": "hk_test_[3]***",
      "last_used_at": null,
      "metadata": {
        "team": "evaluation"
      },
      "monthly_prediction_limit": 5000,
      "name": "My key",
      "rate_limit_per_hour": 100,
      "revoked_at": null,
      "rotated_from": null,
      "rotated_to": "[id 2]",
      "scopes": [
        "predict"
      ],
      "service_id": "prediction",
      "status": "rotating",
      "usage": {
        "remaining_this_hour": 100,
        "requests_this_hour": 0,
        "resets_at": "2026-03-04T11:00:00Z"
      },
      "user_id": "ada"
    }
    "#);
}

#[tokio::test]
async fn of_two_rotations_at_once_one_is_made() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let (one, other) = tokio::join!(service.operator.rotate(&key), service.operator.rotate(&key));
    let mut outcomes = [one.brief(), other.brief()];
    outcomes.sort();
    assert_eq!(outcomes, ["200", "409 already_rotating"]);
    assert_eq!(service.count_keys().await, 2);
}

#[tokio::test]
async fn the_old_key_works_for_24_hours_to_the_microsecond() {
    let service = Service::start().await;
    let old = service.key(json!({})).await;
    let new = IssuedKey::of(&service.operator.rotate(&old).await.ok());
    service.clock.advance(24 * HOUR - INSTANT);
    assert_eq!(service.validate(&old).await.brief(), "200");
    service.clock.advance(INSTANT);
    assert_eq!(service.validate(&old).await.brief(), "401 revoked");
    assert_eq!(service.validate(&new).await.brief(), "200");
    let shown = service.operator.get(&old.path()).await.ok();
    assert_eq!(shown["status"], "revoked");
    assert_eq!(shown["is_active"], false);
    assert_eq!(shown["revoked_at"], "2026-03-05T10:30:00Z");
}

#[tokio::test]
async fn the_grace_is_chosen_from_0_to_168_hours() {
    let service = Service::start().await;
    let mut answers = String::new();
    for grace in ["0", "1", "168", "1.68e2", "169", "-1", "1.5", r#""24""#] {
        let key = service.key(json!({})).await;
        let path = format!("{}/rotate", key.path());
        let answer = service.operator.post_text(&path, format!(r#"{{"grace_period_hours": {grace}}}"#)).await;
        let outcome = match answer.status.as_u16() {
            200 => answer.json()["previous_key"]["valid_until"].to_string(),
            _ => answer.detail(),
        };
        let status = service.operator.get(&key.path()).await.ok()["status"].clone();
        answers.push_str(&format!("{grace} -> {outcome}, {status}\n"));
    }
    assert_snapshot!(answers, @r#"
    0 -> "2026-03-04T10:30:00Z", "revoked"
    1 -> "2026-03-04T11:30:00Z", "rotating"
    168 -> "2026-03-11T10:30:00Z", "rotating"
    1.68e2 -> "2026-03-11T10:30:00Z", "rotating"
    169 -> 422 grace_period_hours: must be a whole number from 0 to 168, "active"
    -1 -> 422 grace_period_hours: must be a whole number from 0 to 168, "active"
    1.5 -> 422 grace_period_hours: must be a whole number from 0 to 168, "active"
    "24" -> 422 grace_period_hours: must be a whole number from 0 to 168, "active"
    "#);
}

#[tokio::test]
async fn without_grace_the_old_key_ends_at_once() {
    let service = Service::start().await;
    let old = service.key(json!({})).await;
    assert_eq!(service.validate(&old).await.brief(), "200");
    let path = format!("{}/rotate", old.path());
    let new = IssuedKey::of(&service.operator.post(&path, json!({"grace_period_hours": 0})).await.ok());
    assert_eq!(service.validate(&old).await.brief(), "401 revoked");
    assert_eq!(service.validate(&new).await.brief(), "200");
}

#[tokio::test]
async fn grace_never_passes_the_expiry_of_the_old_key() {
    let service = Service::start().await;
    let old = service.key(json!({"expires_at": "2026-03-04T12:30:00Z"})).await;
    service.clock.advance(HOUR);
    let rotated = service.operator.rotate(&old).await.ok();
    assert_eq!(rotated["previous_key"]["valid_until"], "2026-03-04T12:30:00Z");
    assert_eq!(rotated["key_info"]["expires_at"], "2026-03-04T13:30:00Z", "as long a life, from now");
    service.clock.advance(HOUR - INSTANT);
    assert_eq!(service.validate(&old).await.brief(), "200");
    service.clock.advance(INSTANT);
    assert_eq!(service.validate(&old).await.brief(), "401 expired");
}

#[tokio::test]
async fn both_keys_share_one_allowance() {
    let service = Service::start().await;
    let old = service.key(json!({"rate_limit_per_hour": 10})).await;
    for _ in 0..4 {
        service.validate(&old).await.ok();
    }
    let new = IssuedKey::of(&service.operator.rotate(&old).await.ok());
    assert_eq!(service.used(&new).await, 4);
    for key in [&old, &new, &old, &new, &new, &old] {
        service.validate(key).await.ok();
    }
    for key in [&old, &new] {
        assert_eq!(service.validate(key).await.status, 429);
        assert_eq!(service.used(key).await, 10);
    }
}

#[tokio::test]
async fn an_expired_key_can_be_rotated() {
    let service = Service::start().await;
    let old = service.key(json!({"expires_in_days": 1})).await;
    service.clock.advance(48 * HOUR);
    let rotated = service.operator.rotate(&old).await.ok();
    let new = IssuedKey::of(&rotated);
    assert_eq!(rotated["key_info"]["expires_at"], "2026-03-07T10:30:00Z");
    assert_eq!(rotated["previous_key"]["valid_until"], "2026-03-05T10:30:00Z");
    assert_eq!(service.validate(&old).await.brief(), "401 expired");
    assert_eq!(service.validate(&new).await.brief(), "200");
}

#[tokio::test]
async fn a_successor_lives_as_long_as_was_last_granted_not_as_long_as_the_old_key_did() {
    let service = Service::start().await;
    let old = service.key(json!({})).await;
    service.clock.advance(700 * 24 * HOUR);
    service.operator.patch(&old.path(), json!({"expires_in_days": 1})).await.ok();
    service.clock.advance(HOUR);
    let rotated = service.operator.post(&format!("{}/rotate", old.path()), json!({})).await.ok();
    assert_eq!(rotated["key_info"]["created_at"], "2028-02-02T11:30:00Z");
    assert_eq!(rotated["key_info"]["expires_at"], "2028-02-03T11:30:00Z");
}

#[tokio::test]
async fn a_rotating_key_names_its_successor_instead_of_rotating_again() {
    let service = Service::start().await;
    let old = service.key(json!({})).await;
    let new = IssuedKey::of(&service.operator.rotate(&old).await.ok());
    let again = service.operator.rotate(&old).await;
    assert!(again.body.contains(&new.id));
    assert!(!again.body.contains(&new.text));
    assert_snapshot!(again, @r#"
    409 Conflict
    {
      "code": "already_rotating",
      "detail": "The key was already rotated; its successor is [id 1]: rotate that one"
    }
    "#);
    assert_eq!(service.count_keys().await, 2);
}

#[tokio::test]
async fn whoever_lost_the_answer_rotates_the_successor() {
    let service = Service::start().await;
    let first = service.key(json!({"rate_limit_per_hour": 10})).await;
    let second = IssuedKey::of(&service.operator.rotate(&first).await.ok());
    let third = IssuedKey::of(&service.operator.rotate(&second).await.ok());
    for key in [&first, &second, &third] {
        service.validate(key).await.ok();
        assert_eq!(service.used(key).await, service.used(&first).await);
    }
    assert_eq!(service.used(&third).await, 3);
}

#[tokio::test]
async fn a_revoked_key_is_not_rotated() {
    let service = Service::start().await;
    let revoked = service.key(json!({})).await;
    service.operator.delete(&revoked.path()).await.ok();
    assert_snapshot!(service.operator.rotate(&revoked).await, @r#"
    409 Conflict
    {
      "code": "key_revoked",
      "detail": "The key is revoked; create a new one"
    }
    "#);
    let out_of_grace = service.key(json!({})).await;
    service.operator.rotate(&out_of_grace).await.ok();
    service.clock.advance(24 * HOUR);
    assert_eq!(service.operator.rotate(&out_of_grace).await.brief(), "409 key_revoked");
    assert_eq!(service.count_keys().await, 3);
}

#[tokio::test]
async fn a_mistyped_field_rotates_nothing() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let path = format!("{}/rotate", key.path());
    assert_snapshot!(service.operator.post(&path, json!({"grace_period_hour": 1})).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "grace_period_hour: is not a known field; did you mean grace_period_hours?",
      "errors": [
        {
          "field": "grace_period_hour",
          "message": "is not a known field; did you mean grace_period_hours?"
        }
      ]
    }
    "#);
    assert_eq!(service.count_keys().await, 1);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_rotated() {
    let service = Service::start().await;
    for id in ["no-uuid", "019cb840-0000-7000-8000-000000000000"] {
        let answer = service.operator.post(&format!("/api/v1/keys/{id}/rotate"), json!({})).await;
        assert_eq!(answer.detail(), "404 API key not found", "{id}");
    }
}
