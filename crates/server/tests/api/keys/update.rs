//! `PATCH /api/v1/keys/{key_id}`.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{IssuedKey, Service};

#[tokio::test]
async fn every_setting_can_be_changed() {
    let service = Service::start().await;
    let key = service.key(json!({"environment": "test"})).await;
    let patch = json!({
        "name": "Renamed",
        "scopes": ["model:read"],
        "rate_limit_per_hour": 5000,
        "expires_in_days": 30,
        "allowed_ips": ["203.0.113.0/24"],
        "monthly_prediction_limit": 7,
        "billing_plan": "free",
        "metadata": {"team": "evaluation"},
    });
    assert_snapshot!(service.operator.patch(&key.path(), patch).await, @r#"
    200 OK
    {
      "allowed_ips": [
        "203.0.113.0/24"
      ],
      "billing_plan": "free",
      "created_at": "2026-03-04T10:30:00Z",
      "effective": {
        "at": "2026-03-04T10:30:00Z",
        "everywhere": true
      },
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
      "monthly_prediction_limit": 7,
      "name": "Renamed",
      "rate_limit_per_hour": 5000,
      "revoked_at": null,
      "rotated_from": null,
      "rotated_to": null,
      "scopes": [
        "model:read"
      ],
      "service_id": "platform",
      "status": "active",
      "usage": {
        "remaining_this_hour": 5000,
        "requests_this_hour": 0,
        "resets_at": "2026-03-04T11:00:00Z"
      },
      "user_id": "admin"
    }
    "#);
}

#[tokio::test]
async fn what_is_not_named_stays() {
    let service = Service::start().await;
    let key = service.key(json!({"scopes": ["a"], "allowed_ips": ["::1"], "expires_in_days": 1})).await;
    let mut expected = service.operator.get(&key.path()).await.ok();
    expected["name"] = "Renamed".into();
    let mut changed = service.operator.patch(&key.path(), json!({"name": "Renamed"})).await.ok();
    changed.as_object_mut().unwrap().remove("effective");
    assert_eq!(changed, expected);
}

#[tokio::test]
async fn null_takes_a_setting_away() {
    let service = Service::start().await;
    let settings = json!({
        "expires_in_days": 1, "allowed_ips": ["::1"], "monthly_prediction_limit": 5, "metadata": {"a": "b"},
    });
    let key = service.key(settings).await;
    let patch =
        json!({"expires_at": null, "allowed_ips": null, "monthly_prediction_limit": null, "metadata": null});
    let changed = service.operator.patch(&key.path(), patch).await.ok();
    assert_eq!(changed["expires_at"], json!(null));
    assert_eq!(changed["allowed_ips"], json!([]));
    assert_eq!(changed["monthly_prediction_limit"], json!(null));
    assert_eq!(changed["metadata"], json!({}));
}

#[tokio::test]
async fn a_change_holds_for_the_next_validation() {
    let service = Service::start().await;
    let key = service.key(json!({"scopes": ["model:read"]})).await;
    let write = json!({"required_scope": "model:write"});
    assert_eq!(service.ask(&key, write.clone()).await.brief(), "401 insufficient_scope");
    service.operator.patch(&key.path(), json!({"scopes": ["model:write"]})).await.ok();
    assert_eq!(service.ask(&key, write).await.brief(), "200");
    service.operator.patch(&key.path(), json!({"allowed_ips": ["203.0.113.7"]})).await.ok();
    assert_eq!(service.validate(&key).await.brief(), "401 ip_not_allowed");
}

#[tokio::test]
async fn a_new_limit_keeps_the_count_of_the_hour() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 20})).await;
    for _ in 0..15 {
        service.validate(&key).await.ok();
    }
    let lowered = service.operator.patch(&key.path(), json!({"rate_limit_per_hour": 10})).await.ok();
    let usage =
        json!({"requests_this_hour": 15, "remaining_this_hour": 0, "resets_at": "2026-03-04T11:00:00Z"});
    assert_eq!(lowered["usage"], usage);
    assert_eq!(service.validate(&key).await.status, 429);
    service.operator.patch(&key.path(), json!({"rate_limit_per_hour": 17})).await.ok();
    let statuses = [(); 3].map(|()| service.validate(&key));
    let mut seen = Vec::new();
    for answer in statuses {
        seen.push(answer.await.status.as_u16());
    }
    assert_eq!(seen, [200, 200, 429]);
}

#[tokio::test]
async fn a_limit_is_set_for_a_key_and_its_successor_alike() {
    let service = Service::start().await;
    let old = service.key(json!({})).await;
    let new = IssuedKey::of(&service.operator.rotate(&old).await.ok());
    let patch = json!({"rate_limit_per_hour": 20, "monthly_prediction_limit": 7});
    service.operator.patch(&old.path(), patch).await.ok();
    for key in [&old, &new] {
        let shown = service.operator.get(&key.path()).await.ok();
        assert_eq!(shown["rate_limit_per_hour"], 20);
        assert_eq!(shown["monthly_prediction_limit"], 7);
        assert_eq!(service.validate(key).await.header("x-ratelimit-limit"), "20");
    }
}

#[tokio::test]
async fn an_expired_key_lives_again_with_a_new_expiry() {
    let service = Service::start().await;
    let key = service.key(json!({"expires_in_days": 1})).await;
    service.clock.advance(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(service.validate(&key).await.brief(), "401 expired");
    let changed = service.operator.patch(&key.path(), json!({"expires_at": "2026-04-01T00:00:00Z"})).await;
    assert_eq!(changed.ok()["status"], "active");
    assert_eq!(service.validate(&key).await.brief(), "200");
}

#[tokio::test]
async fn a_revoked_key_is_not_changed() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.operator.delete(&key.path()).await.ok();
    let before = service.operator.get(&key.path()).await.ok();
    assert_snapshot!(service.operator.patch(&key.path(), json!({"name": "Renamed"})).await, @r#"
    409 Conflict
    {
      "code": "key_revoked",
      "detail": "The key is revoked; create a new one"
    }
    "#);
    assert_eq!(service.operator.get(&key.path()).await.ok(), before);
}

#[tokio::test]
async fn a_change_out_of_range_changes_nothing() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let before = service.operator.get(&key.path()).await.ok();
    let mut answers = String::new();
    for patch in [
        json!({}),
        json!([]),
        json!({"name": ""}),
        json!({"name": null}),
        json!({"name": "Renamed", "rate_limit_per_hour": 9}),
        json!({"rate_limit_per_hour": null}),
        json!({"expires_in_days": 366}),
        json!({"expires_in_days": null}),
        json!({"expires_at": "2026-03-04T10:30:00Z"}),
        json!({"expires_at": null, "expires_in_days": 1}),
        json!({"allowed_ips": ["300.1.1.1"]}),
        json!({"scopes": null}),
        json!({"billing_plan": null}),
        json!({"environment": "test"}),
        json!({"service_id": "prediction"}),
        json!({"user_id": "ada"}),
        json!({"is_active": false}),
        json!({"rate_limit": 10}),
    ] {
        let answer = service.operator.patch(&key.path(), patch.clone()).await;
        answers.push_str(&format!("{patch} -> {}\n", answer.detail()));
    }
    assert_snapshot!(answers, @r#"
    {} -> 422 body: must name at least one field to change
    [] -> 400 The body must be a JSON object
    {"name":""} -> 422 name: must be 1 to 100 characters without control characters
    {"name":null} -> 422 name: must be 1 to 100 characters without control characters
    {"name":"Renamed","rate_limit_per_hour":9} -> 422 rate_limit_per_hour: must be a whole number from 10 to 100000
    {"rate_limit_per_hour":null} -> 422 rate_limit_per_hour: must be a whole number from 10 to 100000
    {"expires_in_days":366} -> 422 expires_in_days: must be a whole number from 1 to 365
    {"expires_in_days":null} -> 422 expires_in_days: must be a whole number from 1 to 365
    {"expires_at":"2026-03-04T10:30:00Z"} -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    {"expires_at":null,"expires_in_days":1} -> 422 expires_at: can't be given together with expires_in_days
    {"allowed_ips":["300.1.1.1"]} -> 422 allowed_ips: "300.1.1.1" is no IP address or CIDR block
    {"scopes":null} -> 422 scopes: must be a list of at most 64 scopes, each 1 to 64 of a-z 0-9 : . _ -, or such a text ending in ':*', or '*'
    {"billing_plan":null} -> 422 billing_plan: must be one of: free
    {"environment":"test"} -> 422 environment: is not a known field
    {"service_id":"prediction"} -> 422 service_id: is not a known field
    {"user_id":"ada"} -> 422 user_id: is not a known field
    {"is_active":false} -> 422 is_active: is not a known field
    {"rate_limit":10} -> 422 rate_limit: is not a known field
    "#);
    assert_eq!(service.operator.get(&key.path()).await.ok(), before);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_changed() {
    let service = Service::start().await;
    for id in ["no-uuid", "019cb840-0000-7000-8000-000000000000"] {
        let answer = service.operator.patch(&format!("/api/v1/keys/{id}"), json!({"name": "Renamed"})).await;
        assert_eq!(answer.detail(), "404 API key not found", "{id}");
    }
}
