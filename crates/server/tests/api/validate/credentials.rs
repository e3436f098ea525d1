//! Where a key may stand in a request, and which one counts.

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Service};

const VALIDATE: &str = "/api/v1/keys/validate";

/// Validates with these headers, and with `body` unless it is empty.
async fn with_headers(service: &Service, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = service.anyone().request(Method::POST, VALIDATE).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::to(request).await
}

#[tokio::test]
async fn a_key_comes_in_either_header_or_in_the_body() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for headers in [
        ("authorization", format!("Bearer {}", key.text)),
        ("authorization", format!("bearer {}", key.text)),
        ("authorization", format!("BEARER   {} ", key.text)),
        ("x-api-key", key.text.clone()),
        ("X-API-KEY", format!(" {} ", key.text)),
    ] {
        let answer = with_headers(&service, &[(headers.0, &headers.1)], "").await;
        assert_eq!(answer.brief(), "200", "{}", headers.0);
    }
    let in_body = service.anyone().post(VALIDATE, json!({"api_key": key.text})).await;
    assert_eq!(in_body.brief(), "200");
}

#[tokio::test]
async fn of_several_keys_the_first_place_counts() {
    let service = Service::start().await;
    let key = service.key(json!({"name": "bearer"})).await;
    let other = service.key(json!({"name": "other"})).await;
    let id = |answer: Answer| answer.ok()["key_id"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {}", key.text);
    let in_body = json!({"api_key": other.text}).to_string();

    let headers = [("authorization", bearer.as_str()), ("x-api-key", &other.text)];
    assert_eq!(id(with_headers(&service, &headers, &in_body).await), key.id);
    assert_eq!(id(with_headers(&service, &headers[..1], &in_body).await), key.id);
    assert_eq!(id(with_headers(&service, &[("x-api-key", &key.text)], &in_body).await), key.id);
}

#[tokio::test]
async fn a_refused_key_in_a_header_is_not_made_up_for_by_the_body() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let in_body = json!({"api_key": key.text}).to_string();
    let answer = with_headers(&service, &[("x-api-key", "hk_live_nonsense")], &in_body).await;
    assert_eq!(answer.brief(), "401 invalid_key");
}

#[tokio::test]
async fn an_empty_place_or_another_scheme_is_passed_over() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let in_body = json!({"api_key": key.text}).to_string();
    for headers in [("authorization", "Bearer"), ("authorization", "Basic YTpi"), ("x-api-key", "")] {
        assert_eq!(with_headers(&service, &[headers], &in_body).await.brief(), "200", "{headers:?}");
    }
}

#[tokio::test]
async fn no_credential_at_all_is_a_bad_request() {
    let service = Service::start().await;
    assert_snapshot!(with_headers(&service, &[], "").await, @r#"
    400 Bad Request
    {
      "code": "missing_key",
      "detail": "No API key provided"
    }
    "#);
    assert_eq!(with_headers(&service, &[], r#"{"service_id": "platform"}"#).await.brief(), "400 missing_key");
    assert_eq!(with_headers(&service, &[], r#"{"api_key": null}"#).await.brief(), "400 missing_key");
}

#[tokio::test]
async fn an_empty_or_malformed_credential_is_a_refused_key() {
    let service = Service::start().await;
    assert_snapshot!(with_headers(&service, &[("authorization", "Bearer")], "").await, @r#"
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
    for headers in [
        ("authorization", ""),
        ("authorization", "Bearer "),
        ("authorization", "Basic YTpi"),
        ("authorization", "hk_live_nonsense"),
        ("authorization", "Bearer two words"),
        ("authorization", "Bearer hk_live_é"),
        ("x-api-key", ""),
        ("x-api-key", "é"),
        ("x-api-key", "hk_live_"),
    ] {
        assert_eq!(with_headers(&service, &[headers], "").await.brief(), "401 invalid_key", "{headers:?}");
    }
    for text in ["", "hk_live_é", "\0", &"x".repeat(60_000)] {
        let answer = service.anyone().post(VALIDATE, json!({"api_key": text})).await;
        assert_eq!(answer.brief(), "401 invalid_key", "{} characters", text.len());
    }
}

#[tokio::test]
async fn two_authorization_headers_are_a_bad_request() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let bearer = format!("Bearer {}", key.text);
    let headers = [("authorization", bearer.as_str()), ("authorization", &bearer)];
    assert_snapshot!(with_headers(&service, &headers, "").await, @r#"
    400 Bad Request
    {
      "code": "ambiguous_credentials",
      "detail": "Send one Authorization header, not several"
    }
    "#);
    let request = service.operator.request(Method::GET, "/api/v1/keys").header("authorization", "Bearer a");
    assert_eq!(Answer::to(request).await.brief(), "400 ambiguous_credentials");
}

#[tokio::test]
async fn a_key_in_the_query_is_not_looked_at() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let answer = service.anyone().post(&format!("{VALIDATE}?api_key={}", key.text), json!({})).await;
    assert_eq!(answer.brief(), "400 missing_key");
}
