//! `POST /api/v1/admin-tokens`.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::Service;

const TOKENS: &str = "/api/v1/admin-tokens";

async fn count(service: &Service) -> usize {
    service.operator.get(TOKENS).await.ok().as_array().unwrap().len()
}

#[tokio::test]
async fn a_token_is_shown_once() {
    let service = Service::start().await;
    let wish = json!({"user_id": "ada", "name": "Ada's laptop", "role": "member", "expires_in_days": 30});
    let answer = service.operator.post(TOKENS, wish).await;
    assert_snapshot!(answer, @r#"
    201 Created
    {
      "token": "hka_[32 characters]",
      "token_id": "[id 1]",
      "token_info": {
        "created_at": "2026-03-04T10:30:00Z",
        "expires_at": "2026-04-03T10:30:00Z",
        "name": "Ada's laptop",
        "revoked_at": null,
        "role": "member",
        "token_id": "[id 1]",
        "token_prefix": "hka_[3]***",
        "user_id": "ada"
      }
    }
    "#);
    let listed = service.operator.get(TOKENS).await;
    assert!(!listed.body.contains(answer.json()["token"].as_str().unwrap()));
}

#[tokio::test]
async fn a_token_lives_until_it_is_revoked_unless_told_otherwise() {
    let service = Service::start().await;
    for expiry in [json!({}), json!({"expires_in_days": null})] {
        let mut wish = expiry;
        wish["user_id"] = "ops".into();
        wish["name"] = "Second operator".into();
        wish["role"] = "operator".into();
        let created = service.operator.post(TOKENS, wish).await.created();
        assert_eq!(created["token_info"]["expires_at"], Value::Null);
        let operator = service.bearer(created["token"].as_str().unwrap());
        assert_eq!(operator.get(TOKENS).await.status, 200);
    }
}

#[tokio::test]
async fn each_role_may_do_its_own() {
    let service = Service::start().await;
    let member = service.member("ada").await;
    let verifier = service.verifier().await;
    assert_eq!(member.get("/api/v1/keys").await.brief(), "200");
    assert_eq!(member.get(TOKENS).await.brief(), "403 forbidden");
    assert_eq!(verifier.get("/api/v1/keys").await.brief(), "403 forbidden");
    assert_eq!(verifier.get(TOKENS).await.brief(), "403 forbidden");
}

#[tokio::test]
async fn only_an_operator_makes_tokens() {
    let service = Service::start().await;
    let member = service.member("ada").await;
    let verifier = service.verifier().await;
    let before = count(&service).await;
    let wish = json!({"user_id": "ada", "name": "More", "role": "operator"});
    assert_snapshot!(member.post(TOKENS, wish.clone()).await, @r#"
    403 Forbidden
    {
      "code": "forbidden",
      "detail": "This token's role does not allow this"
    }
    "#);
    assert_eq!(verifier.post(TOKENS, wish.clone()).await.brief(), "403 forbidden");
    assert_eq!(service.anyone().post(TOKENS, wish).await.brief(), "401 invalid_admin_token");
    assert_eq!(count(&service).await, before);
}

#[tokio::test]
async fn an_api_key_makes_no_tokens() {
    let service = Service::start().await;
    let key = service.key(json!({"scopes": ["*"]})).await;
    let caller = service.bearer(&key.text);
    let wish = json!({"user_id": "ada", "name": "More", "role": "operator"});
    assert_snapshot!(caller.post(TOKENS, wish).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "code": "invalid_admin_token",
      "detail": "This is an API key; an admin token is needed here"
    }
    "#);
    assert_eq!(caller.get(TOKENS).await.brief(), "401 invalid_admin_token");
}

#[tokio::test]
async fn every_fault_is_named_and_makes_nothing() {
    let service = Service::start().await;
    assert_snapshot!(service.operator.post(TOKENS, json!({"roles": "member"})).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "user_id: is required (and 3 more)",
      "errors": [
        {
          "field": "user_id",
          "message": "is required"
        },
        {
          "field": "name",
          "message": "is required"
        },
        {
          "field": "role",
          "message": "is required"
        },
        {
          "field": "roles",
          "message": "is not a known field; did you mean role?"
        }
      ]
    }
    "#);
    let mut answers = String::new();
    for fault in [
        json!({"user_id": "ada lovelace"}),
        json!({"name": ""}),
        json!({"role": "admin"}),
        json!({"expires_in_days": 0}),
        json!({"expires_in_days": 366}),
        json!({"expires_at": "2027-01-01T00:00:00Z"}),
    ] {
        let mut wish = json!({"user_id": "ada", "name": "A token", "role": "member"});
        wish.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        answers.push_str(&format!("{fault} -> {}\n", service.operator.post(TOKENS, wish).await.detail()));
    }
    assert_snapshot!(answers, @r#"
    {"user_id":"ada lovelace"} -> 422 user_id: must be 1 to 100 of A-Z a-z 0-9 . _ @ : -
    {"name":""} -> 422 name: must be 1 to 100 characters without control characters
    {"role":"admin"} -> 422 role: must be operator, member or verifier
    {"expires_in_days":0} -> 422 expires_in_days: must be a whole number from 1 to 365
    {"expires_in_days":366} -> 422 expires_in_days: must be a whole number from 1 to 365
    {"expires_at":"2027-01-01T00:00:00Z"} -> 422 expires_at: is not a known field
    "#);
    assert_eq!(count(&service).await, 1);
}
