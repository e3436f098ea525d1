//! `GET /api/v1/keys/{key_id}`.

use std::time::Duration;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Service, until};

#[tokio::test]
async fn a_key_is_shown_without_its_secret() {
    let service = Service::start().await;
    let key = service.key(json!({"environment": "test"})).await;
    let answer = service.operator.get(&key.path()).await;
    assert!(!answer.body.contains(&key.text));
    assert_snapshot!(answer, @r#"
    200 OK
    {
      "allowed_ips": [],
      "billing_plan": "free",
      "created_at": "2026-03-04T10:30:00Z",
      "environment": "test",
      "expires_at": null,
      "id": "[id 1]",
      "is_active": true,
      "key_id": "[id 1]",
      "key_prefix": "hk_test_[3]***",
      "last_used_at": null,
      "metadata": {},
      "monthly_prediction_limit": null,
      "name": "A key",
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
    "#);
}

#[tokio::test]
async fn a_request_of_a_deployed_client_with_an_empty_json_body_is_answered() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for path in ["/api/v1/keys", &key.path()] {
        let request = service.operator.request(Method::GET, path);
        let answer = Answer::to(request.header("content-type", "application/json")).await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_id_that_names_no_key_is_not_found() {
    let service = Service::start().await;
    for id in ["no-uuid", "0", "019cb840-0000-7000-8000-000000000000", "%00", "%C3%A9", "hk_live_x"] {
        let answer = service.operator.get(&format!("/api/v1/keys/{id}")).await;
        assert_eq!(answer.brief(), "404 not_found", "{id}");
    }
    assert_snapshot!(service.operator.get("/api/v1/keys/no-uuid").await, @r#"
    404 Not Found
    {
      "code": "not_found",
      "detail": "API key not found"
    }
    "#);
}

#[tokio::test]
async fn a_use_shows_once_it_was_noted() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.clock.advance(Duration::from_millis(1500));
    service.validate(&key).await.ok();
    service.engine.hand_counts_in().await.unwrap();
    let shown = until("the use was noted", async || {
        let shown = service.operator.get(&key.path()).await.ok()["last_used_at"].clone();
        shown.as_str().map(str::to_owned)
    });
    assert_eq!(shown.await, "2026-03-04T10:30:01.500Z");
}

#[tokio::test]
async fn a_revoked_key_stays_visible() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.clock.advance(Duration::from_micros(1));
    service.operator.delete(&key.path()).await.ok();
    service.clock.advance(Duration::from_secs(400 * 24 * 3600));
    let shown = service.operator.get(&key.path()).await.ok();
    assert_eq!(shown["status"], "revoked");
    assert_eq!(shown["is_active"], false);
    assert_eq!(shown["revoked_at"], "2026-03-04T10:30:00.000001Z");
}
