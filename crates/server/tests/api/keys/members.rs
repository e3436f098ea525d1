//! Who may manage keys: operators every key, members those of their own user, nobody else any.

use std::time::Duration;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Caller, IssuedKey, Service, Setup};

const KEYS: &str = "/api/v1/keys";

/// Every request about one key, and the one that makes another.
fn requests(key: &IssuedKey) -> [(Method, String, Value); 6] {
    [
        (Method::POST, KEYS.to_owned(), json!({"name": "Another key"})),
        (Method::GET, KEYS.to_owned(), Value::Null),
        (Method::GET, key.path(), Value::Null),
        (Method::PATCH, key.path(), json!({"name": "Renamed"})),
        (Method::DELETE, key.path(), Value::Null),
        (Method::POST, format!("{}/rotate", key.path()), Value::Null),
    ]
}

async fn send(caller: &Caller, (method, path, body): (Method, String, Value)) -> Answer {
    let request = caller.request(method, &path);
    Answer::to(if body.is_null() { request } else { request.json(&body) }).await
}

/// What `caller` is answered to each of those requests; none of them changes anything.
async fn refusals(service: &Service, caller: &Caller, key: &IssuedKey) -> Vec<String> {
    let before = service.operator.get(KEYS).await.ok();
    let mut refusals = Vec::new();
    for request in requests(key) {
        refusals.push(send(caller, request).await.brief());
    }
    assert_eq!(service.operator.get(KEYS).await.ok(), before);
    refusals
}

#[tokio::test]
async fn without_an_admin_token_nothing_is_managed() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let caller = service.anyone();
    assert_eq!(refusals(&service, &caller, &key).await, ["401 invalid_admin_token"; 6]);
    assert_snapshot!(caller.post(KEYS, json!({"name": "A key"})).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "code": "invalid_admin_token",
      "detail": "An admin token is needed: Authorization: Bearer TOKEN"
    }
    "#);
}

#[tokio::test]
async fn an_unknown_admin_token_is_refused() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for text in ["hka_00000000000000000000000000000000", "any text of some length", "short", "hka_é"] {
        let caller = service.bearer(text);
        assert_eq!(refusals(&service, &caller, &key).await, ["401 invalid_admin_token"; 6], "{text}");
    }
    assert_snapshot!(service.bearer("any text of some length").get(KEYS).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "code": "invalid_admin_token",
      "detail": "The admin token is unknown, expired or revoked"
    }
    "#);
}

#[tokio::test]
async fn an_api_key_manages_nothing() {
    let service = Service::start().await;
    let key = service.key(json!({"scopes": ["*"]})).await;
    let caller = service.bearer(&key.text);
    for request in
        requests(&key).into_iter().filter(|(method, path, _)| (method, path.as_str()) != (&Method::GET, KEYS))
    {
        assert_eq!(send(&caller, request).await.brief(), "401 invalid_admin_token");
    }
    assert_snapshot!(caller.post(KEYS, json!({"name": "A key"})).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "code": "invalid_admin_token",
      "detail": "This is an API key; an admin token is needed here"
    }
    "#);
    assert_eq!(service.count_keys().await, 1);
}

#[tokio::test]
async fn a_verifier_manages_no_keys_not_even_those_of_its_user() {
    let service = Service::start().await;
    let verifier = service.verifier().await;
    let foreign = service.key(json!({})).await;
    assert_eq!(refusals(&service, &verifier, &foreign).await, ["403 forbidden"; 6]);
    let own = service.key(json!({"user_id": "gateway"})).await;
    assert_eq!(refusals(&service, &verifier, &own).await, ["403 forbidden"; 6]);
    assert_snapshot!(verifier.get(&own.path()).await, @r#"
    403 Forbidden
    {
      "code": "forbidden",
      "detail": "This token's role does not allow this"
    }
    "#);
}

#[tokio::test]
async fn a_token_ends_with_its_life() {
    let service = Service::start().await;
    let wish = json!({"user_id": "ada", "name": "For a day", "role": "member", "expires_in_days": 1});
    let created = service.operator.post("/api/v1/admin-tokens", wish).await.created();
    let member = service.bearer(created["token"].as_str().unwrap());
    service.clock.advance(Duration::from_secs(24 * 3600) - Duration::from_micros(1));
    assert_eq!(member.get(KEYS).await.brief(), "200");
    service.clock.advance(Duration::from_micros(1));
    assert_eq!(member.get(KEYS).await.brief(), "401 invalid_admin_token");
}

#[tokio::test]
async fn a_member_manages_its_own_keys() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let key = ada.key(json!({"scopes": ["model:*"], "rate_limit_per_hour": 1000, "user_id": "ada"})).await;
    assert_eq!(ada.get(&key.path()).await.ok()["user_id"], "ada");
    assert_eq!(ada.patch(&key.path(), json!({"name": "Renamed"})).await.ok()["name"], "Renamed");
    let successor = IssuedKey::of(&ada.rotate(&key).await.ok());
    assert_eq!(ada.delete(&successor.path()).await.status, 200);
}

#[tokio::test]
async fn a_member_does_not_learn_of_keys_of_others() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let foreign = service.key(json!({"user_id": "grace"})).await;
    let before = service.operator.get(&foreign.path()).await.ok();
    let absent = IssuedKey { id: "019cb840-0000-7000-8000-000000000000".into(), text: String::new() };
    for (of_others, of_nobody) in requests(&foreign).into_iter().zip(requests(&absent)).skip(2) {
        let (of_others, of_nobody) = (send(&ada, of_others).await, send(&ada, of_nobody).await);
        assert_eq!(of_others.brief(), "404 not_found");
        assert_eq!(of_others.to_string(), of_nobody.to_string());
    }
    let grab = json!({"scopes": ["*"], "rate_limit_per_hour": 100_000});
    assert_eq!(ada.patch(&foreign.path(), grab).await.brief(), "404 not_found");
    assert_eq!(ada.get(KEYS).await.ok(), json!([]));
    assert_eq!(ada.get("/api/v1/keys?user_id=grace").await.ok(), json!([]));
    assert_eq!(service.operator.get(&foreign.path()).await.ok(), before);
    assert_snapshot!(ada.delete(&foreign.path()).await, @r#"
    404 Not Found
    {
      "code": "not_found",
      "detail": "API key not found"
    }
    "#);
}

#[tokio::test]
async fn a_member_gives_no_key_what_only_an_operator_may_give() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let mut answers = String::new();
    for settings in [
        json!({"scopes": ["*"]}),
        json!({"scopes": ["model:read", "admin"]}),
        json!({"scopes": ["administrate"]}),
        json!({"scopes": ["model:admin"]}),
        json!({"rate_limit_per_hour": 1001}),
        json!({"monthly_prediction_limit": 5}),
        json!({"user_id": "grace"}),
    ] {
        let mut wish = settings.clone();
        wish["name"] = "A key".into();
        answers.push_str(&format!("{settings} -> {}\n", ada.post(KEYS, wish).await.detail()));
    }
    assert_snapshot!(answers, @r#"
    {"scopes":["*"]} -> 403 Only an operator may give a key the scopes '*', 'admin…' or '…:admin'
    {"scopes":["model:read","admin"]} -> 403 Only an operator may give a key the scopes '*', 'admin…' or '…:admin'
    {"scopes":["administrate"]} -> 403 Only an operator may give a key the scopes '*', 'admin…' or '…:admin'
    {"scopes":["model:admin"]} -> 403 Only an operator may give a key the scopes '*', 'admin…' or '…:admin'
    {"rate_limit_per_hour":1001} -> 403 Only an operator may give a key this many requests an hour
    {"monthly_prediction_limit":5} -> 403 Only an operator may set a monthly prediction limit
    {"user_id":"grace"} -> 403 Only an operator may create keys for another user
    "#);
    assert_eq!(service.count_keys().await, 0);
    assert_snapshot!(ada.post(KEYS, json!({"name": "A key", "scopes": ["*"]})).await, @r#"
    403 Forbidden
    {
      "code": "forbidden",
      "detail": "Only an operator may give a key the scopes '*', 'admin…' or '…:admin'"
    }
    "#);
}

#[tokio::test]
async fn a_member_chooses_no_billing_plan() {
    let mut setup = Setup::default();
    setup.app.billing_plans = vec!["free".into(), "gold".into()];
    let service = Service::with(setup).await;
    let ada = service.member("ada").await;
    let wish = json!({"name": "A key", "billing_plan": "gold"});
    assert_snapshot!(ada.post(KEYS, wish).await, @r#"
    403 Forbidden
    {
      "code": "forbidden",
      "detail": "Only an operator may choose a billing plan"
    }
    "#);
    let key = ada.key(json!({})).await;
    assert_eq!(ada.patch(&key.path(), json!({"billing_plan": "gold"})).await.brief(), "403 forbidden");
    assert_eq!(service.operator.get(&key.path()).await.ok()["billing_plan"], "free");
}

#[tokio::test]
async fn a_member_changes_no_key_beyond_what_it_may_give() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let key = ada.key(json!({})).await;
    let before = ada.get(&key.path()).await.ok();
    for patch in [
        json!({"scopes": ["*"]}),
        json!({"name": "Renamed", "scopes": ["model:admin"]}),
        json!({"rate_limit_per_hour": 1001}),
        json!({"monthly_prediction_limit": 5}),
        json!({"monthly_prediction_limit": null}),
    ] {
        assert_eq!(ada.patch(&key.path(), patch.clone()).await.brief(), "403 forbidden", "{patch}");
    }
    assert_eq!(ada.get(&key.path()).await.ok(), before);
}

#[tokio::test]
async fn a_member_rotates_no_key_with_more_than_it_may_give() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    for settings in [json!({"rate_limit_per_hour": 5000}), json!({"scopes": ["admin"]})] {
        let mut settings = settings;
        settings["user_id"] = "ada".into();
        let key = service.key(settings).await;
        assert_eq!(ada.rotate(&key).await.brief(), "403 forbidden");
        assert_eq!(ada.get(&key.path()).await.ok()["status"], "active");
    }
}

#[tokio::test]
async fn how_much_a_member_may_give_is_configured() {
    let mut setup = Setup::default();
    setup.engine.member_max_rate_limit = 20;
    let service = Service::with(setup).await;
    let ada = service.member("ada").await;
    let wish = |limit: u32| json!({"name": "A key", "rate_limit_per_hour": limit});
    assert_eq!(ada.post(KEYS, wish(21)).await.brief(), "403 forbidden");
    assert_eq!(ada.post(KEYS, wish(20)).await.brief(), "201");
}

#[tokio::test]
async fn a_member_gives_no_longer_life_to_what_it_could_not_give() {
    let service = Service::start().await;
    let member = service.member("ada").await;
    let privileged = json!({"user_id": "ada", "scopes": ["*"], "expires_in_days": 1});
    let key = service.key(privileged).await;
    for patch in [json!({"expires_at": null}), json!({"expires_in_days": 365}), json!({"allowed_ips": []})] {
        assert_eq!(member.patch(&key.path(), patch).await.brief(), "403 forbidden");
    }
    let renamed = member.patch(&key.path(), json!({"name": "Mine"})).await;
    assert_eq!(renamed.status, 200);
}

#[tokio::test]
async fn refused_tokens_do_not_lock_out_a_good_one() {
    let service = Service::start().await;
    let stranger = service.bearer("a text that is no token of anybody");
    assert_eq!(service.operator.get(KEYS).await.status, 200);
    let mut refused = Vec::new();
    for _ in 0..60 {
        refused.push(stranger.get(KEYS).await.status.as_u16());
    }
    assert_eq!(refused.iter().filter(|status| **status == 401).count(), 50);
    assert_eq!(refused.iter().filter(|status| **status == 503).count(), 10);
    assert_eq!(service.operator.get(KEYS).await.status, 200);
}
