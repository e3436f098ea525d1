//! Keys that are good for what is asked.

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Service};

const VALIDATE: &str = "/api/v1/keys/validate";

#[tokio::test]
async fn a_good_key_says_whose_it_is_and_what_it_may_do() {
    let service = Service::start().await;
    let settings = json!({
        "service_id": "prediction", "scopes": ["predict"], "environment": "test", "user_id": "ada",
        "expires_in_days": 30, "monthly_prediction_limit": 5000,
    });
    let key = service.key(settings).await;
    assert_snapshot!(service.ask(&key, json!({"service_id": "prediction"})).await, @r#"
    200 OK
    x-ratelimit-limit: 1000
    x-ratelimit-remaining: 999
    x-ratelimit-reset: 1772622000
    {
      "billing_plan": "free",
      "environment": "test",
      "expires_at": "2026-04-03T10:30:00Z",
      "is_valid": true,
      "key_id": "[id 1]",
      "monthly_prediction_limit": 5000,
      "rate_limit_per_hour": 1000,
      "scopes": [
        "predict"
      ],
      "service_id": "prediction",
      "user_id": "ada"
    }
    "#);
}

#[tokio::test]
async fn a_body_is_optional() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let request = service.bearer(&key.text).request(Method::POST, VALIDATE);
    assert_eq!(Answer::to(request.try_clone().unwrap()).await.brief(), "200");
    assert_eq!(Answer::to(request.header("content-type", "application/json")).await.brief(), "200");
}

#[tokio::test]
async fn what_a_question_leaves_open_or_adds_does_not_matter() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for question in [
        json!({}),
        json!({"service_id": null, "required_scope": null, "client_ip": null, "api_key": null}),
        json!({"service_id": "platform", "colour": "red", "is_admin": true}),
    ] {
        assert_eq!(service.ask(&key, question.clone()).await.brief(), "200", "{question}");
    }
}

#[tokio::test]
async fn nothing_is_said_of_admin_rights_or_roles() {
    let service = Service::start().await;
    let key = service.key(json!({"scopes": ["*"]})).await;
    let body = service.validate(&key).await.ok();
    for name in body.as_object().unwrap().keys() {
        assert!(!name.contains("admin") && !name.contains("role"), "{name}");
    }
}

#[tokio::test]
async fn older_names_of_the_platform_service_mean_it() {
    let service = Service::start().await;
    let key = service.key(json!({"service_id": "platform"})).await;
    for name in ["platform", "website", "ml-platform"] {
        assert_eq!(service.ask(&key, json!({"service_id": name})).await.brief(), "200", "{name}");
    }
}

#[tokio::test]
async fn a_required_scope_is_met_by_itself_or_a_pattern_over_it() {
    let service = Service::start().await;
    for (scopes, required, outcome) in [
        (json!(["model:read"]), "model:read", "200"),
        (json!(["model:read"]), "model:write", "401 insufficient_scope"),
        (json!(["model:*"]), "model:write", "200"),
        (json!(["model:*"]), "model:admin", "401 insufficient_scope"),
        (json!(["*"]), "admin", "200"),
        (json!([]), "model:write", "200"),
        (json!([]), "admin:keys", "401 insufficient_scope"),
        (json!([]), "model:admin", "401 insufficient_scope"),
        (json!([]), "", "200"),
    ] {
        let key = service.key(json!({"scopes": scopes})).await;
        let answer = service.ask(&key, json!({"required_scope": required})).await;
        assert_eq!(answer.brief(), outcome, "{scopes} for {required:?}");
    }
}

#[tokio::test]
async fn a_question_out_of_range_is_refused() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let mut answers = String::new();
    for question in [
        json!({"service_id": 7}),
        json!({"service_id": "a".repeat(65)}),
        json!({"required_scope": ["model:read"]}),
        json!({"client_ip": 7}),
        json!({"dry_run": "true"}),
        json!({"api_key": 7}),
        json!([]),
        Value::from("hk_live_"),
    ] {
        let answer = service.ask(&key, question.clone()).await;
        let question = question.to_string().replace(&"a".repeat(65), "a…");
        answers.push_str(&format!("{question} -> {}\n", answer.detail()));
    }
    assert_snapshot!(answers, @r#"
    {"service_id":7} -> 422 service_id: must be text of at most 64 characters
    {"service_id":"a…"} -> 422 service_id: must be text of at most 64 characters
    {"required_scope":["model:read"]} -> 422 required_scope: must be text of at most 64 characters
    {"client_ip":7} -> 422 client_ip: must be text
    {"dry_run":"true"} -> 422 dry_run: must be true or false
    {"api_key":7} -> 422 api_key: must be text
    [] -> 400 The body must be a JSON object
    "hk_live_" -> 400 The body must be a JSON object
    "#);
    assert_snapshot!(service.ask(&key, json!({"service_id": 7})).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "service_id: must be text of at most 64 characters",
      "errors": [
        {
          "field": "service_id",
          "message": "must be text of at most 64 characters"
        }
      ]
    }
    "#);
    assert_eq!(service.used(&key).await, 0);
}
