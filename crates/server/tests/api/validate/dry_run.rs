//! Judging a key without spending anything, for those who show a service token.

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, IssuedKey, Service};

async fn dry_run(service: &Service, key: &IssuedKey, service_token: Option<&str>) -> Answer {
    let mut request = service.bearer(&key.text).request(Method::POST, "/api/v1/keys/validate");
    if let Some(token) = service_token {
        request = request.header("x-hokusai-service-token", token);
    }
    Answer::to(request.json(&json!({"dry_run": true}))).await
}

#[tokio::test]
async fn a_dry_run_judges_and_spends_nothing() {
    let service = Service::start().await;
    let verifier = service.verifier().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    for token in [verifier.text(), service.operator.text()] {
        assert_eq!(dry_run(&service, &key, Some(token)).await.header("x-ratelimit-remaining"), "10");
    }
    assert_snapshot!(dry_run(&service, &key, Some(verifier.text())).await, @r#"
    200 OK
    x-ratelimit-limit: 10
    x-ratelimit-remaining: 10
    x-ratelimit-reset: 1772622000
    {
      "billing_plan": "free",
      "environment": "production",
      "expires_at": null,
      "is_valid": true,
      "key_id": "[id 1]",
      "monthly_prediction_limit": null,
      "rate_limit_per_hour": 10,
      "scopes": [],
      "service_id": "platform",
      "user_id": "admin"
    }
    "#);
    assert_eq!(service.used(&key).await, 0);
    service.operator.delete(&key.path()).await.ok();
    assert_eq!(dry_run(&service, &key, Some(verifier.text())).await.brief(), "401 revoked");
}

#[tokio::test]
async fn a_dry_run_says_when_nothing_is_left() {
    let service = Service::start().await;
    let verifier = service.verifier().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    for _ in 0..10 {
        service.validate(&key).await.ok();
    }
    let answer = dry_run(&service, &key, Some(verifier.text())).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.body, r#"{"detail":"Rate limit exceeded"}"#);
    assert_eq!(answer.header("retry-after"), "1800");
}

#[tokio::test]
async fn a_dry_run_needs_a_service_token() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    assert_snapshot!(dry_run(&service, &key, None).await, @r#"
    403 Forbidden
    {
      "code": "service_token_required",
      "detail": "A dry run needs an admin or service token in X-Hokusai-Service-Token"
    }
    "#);
    assert_eq!(service.used(&key).await, 0);
}

#[tokio::test]
async fn a_refused_service_token_is_no_refused_key() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    assert_snapshot!(dry_run(&service, &key, Some("any text of some length")).await, @r#"
    403 Forbidden
    {
      "code": "service_token_refused",
      "detail": "The token in X-Hokusai-Service-Token is unknown, expired or revoked"
    }
    "#);
    for token in ["", "short", "hka_00000000000000000000000000000000", &key.text] {
        assert_eq!(
            dry_run(&service, &key, Some(token)).await.brief(),
            "403 service_token_refused",
            "{token}"
        );
    }
    assert_eq!(service.used(&key).await, 0);
}
