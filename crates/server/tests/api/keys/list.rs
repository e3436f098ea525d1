//! `GET /api/v1/keys`.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Answer, Caller, IssuedKey, Service};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect()
}

async fn named(caller: &Caller, query: &str) -> Vec<String> {
    let list = caller.get(&format!("/api/v1/keys{query}")).await.ok();
    names(&list).into_iter().map(str::to_owned).collect()
}

/// The path that the `Link` header leads to.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link").strip_suffix(">; rel=\"next\"")?;
    Some(link.strip_prefix('<').unwrap().to_owned())
}

#[tokio::test]
async fn a_list_is_a_bare_array() {
    let service = Service::start().await;
    assert_snapshot!(service.operator.get("/api/v1/keys").await, @"
    200 OK
    []
    ");
    service.key(json!({"name": "First"})).await;
    service.key(json!({"name": "Second", "user_id": "ada"})).await;
    assert_snapshot!(service.operator.get("/api/v1/keys?limit=1").await, @r#"
    200 OK
    link: </api/v1/keys?limit=1&cursor=3>; rel="next"
    [
      {
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
        "name": "Second",
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
        "user_id": "ada"
      }
    ]
    "#);
}

#[tokio::test]
async fn a_list_is_narrowed_by_service_environment_user_and_activity() {
    let service = Service::start().await;
    service.key(json!({"name": "plain"})).await;
    service.key(json!({"name": "prediction", "service_id": "prediction"})).await;
    service.key(json!({"name": "test", "environment": "test"})).await;
    service.key(json!({"name": "ada", "user_id": "ada"})).await;
    let revoked = service.key(json!({"name": "revoked", "user_id": "ada"})).await;
    service.operator.delete(&revoked.path()).await.ok();
    let expired = service.key(json!({"name": "expired", "expires_at": "2026-03-04T10:30:01Z"})).await;
    service.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(service.operator.get(&expired.path()).await.ok()["status"], "expired");

    let operator = &service.operator;
    assert_eq!(named(operator, "").await, ["expired", "revoked", "ada", "test", "prediction", "plain"]);
    assert_eq!(named(operator, "?active_only=true").await, ["ada", "test", "prediction", "plain"]);
    assert_eq!(named(operator, "?active_only=false").await.len(), 6);
    assert_eq!(named(operator, "?service_id=prediction").await, ["prediction"]);
    assert_eq!(named(operator, "?service_id=website&active_only=true").await, ["ada", "test", "plain"]);
    assert_eq!(named(operator, "?environment=test").await, ["test"]);
    assert_eq!(named(operator, "?user_id=ada").await, ["revoked", "ada"]);
    assert_eq!(named(operator, "?user_id=ada&active_only=true&colour=red").await, ["ada"]);
}

#[tokio::test]
async fn a_member_lists_only_its_own() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    service.key(json!({"name": "of admin"})).await;
    service.key(json!({"name": "of ada", "user_id": "ada"})).await;
    assert_eq!(named(&ada, "").await, ["of ada"]);
    assert_eq!(named(&ada, "?user_id=ada").await, ["of ada"]);
    assert!(named(&ada, "?user_id=admin").await.is_empty());
}

#[tokio::test]
async fn a_page_leads_to_the_next() {
    let service = Service::start().await;
    for name in ["1", "2", "3", "4", "5"] {
        service.key(json!({"name": name})).await;
    }
    let mut path = "/api/v1/keys?limit=2&environment=production".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = service.operator.get(&path).await;
        pages.push(names(&page.json()).join(","));
        let Some(following) = next(&page) else { break };
        // A key made meanwhile does not move the others.
        service.key(json!({"name": "new"})).await;
        path = following;
    }
    assert_eq!(pages, ["5,4", "3,2", "1"]);
    assert!(path.starts_with("/api/v1/keys?limit=2&environment=production&cursor="), "{path}");
}

#[tokio::test]
async fn a_query_out_of_range_is_refused() {
    let service = Service::start().await;
    let mut answers = String::new();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "limit=-1",
        "limit=",
        "cursor=abc",
        "service_id=nowhere",
        "environment=live",
        "active_only=yes",
        "user_id=a%20b",
    ] {
        let answer = service.operator.get(&format!("/api/v1/keys?{query}")).await;
        answers.push_str(&format!("{query} -> {}\n", answer.detail()));
    }
    assert_snapshot!(answers, @"
    limit=0 -> 422 limit: must be a whole number from 1 to 1000
    limit=1001 -> 422 limit: must be a whole number from 1 to 1000
    limit=ten -> 422 limit: must be a whole number from 1 to 1000
    limit=-1 -> 422 limit: must be a whole number from 1 to 1000
    limit= -> 422 limit: must be a whole number from 1 to 1000
    cursor=abc -> 422 cursor: must be a whole number from 0 to 9999999999999999
    service_id=nowhere -> 422 service_id: must be one of: platform, prediction
    environment=live -> 422 environment: must be production, test or development
    active_only=yes -> 422 active_only: must be true or false
    user_id=a%20b -> 422 user_id: must be 1 to 100 of A-Z a-z 0-9 . _ @ : -
    ");
    assert_eq!(service.operator.get("/api/v1/keys?limit=1000").await.brief(), "200");
}

#[tokio::test]
async fn an_api_key_lists_itself_alone() {
    let service = Service::start().await;
    service.key(json!({"name": "another"})).await;
    let key = service.key(json!({"name": "itself", "rate_limit_per_hour": 10})).await;
    assert_snapshot!(service.bearer(&key.text).get("/api/v1/keys").await, @r#"
    200 OK
    [
      {
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
        "name": "itself",
        "rate_limit_per_hour": 10,
        "revoked_at": null,
        "rotated_from": null,
        "rotated_to": null,
        "scopes": [],
        "service_id": "platform",
        "status": "active",
        "usage": {
          "remaining_this_hour": 10,
          "requests_this_hour": 0,
          "resets_at": "2026-03-04T11:00:00Z"
        },
        "user_id": "admin"
      }
    ]
    "#);
    assert_eq!(service.used(&key).await, 0, "looking at oneself is free");
}

#[tokio::test]
async fn a_refused_api_key_lists_nothing() {
    let service = Service::start().await;
    let revoked = service.key(json!({})).await;
    service.operator.delete(&revoked.path()).await.ok();
    let elsewhere = service.key(json!({"allowed_ips": ["203.0.113.7"]})).await;
    assert_snapshot!(service.bearer(&revoked.text).get("/api/v1/keys").await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "code": "revoked",
      "detail": "API key is inactive or has been revoked"
    }
    "#);
    assert_eq!(service.bearer(&elsewhere.text).get("/api/v1/keys").await.brief(), "401 ip_not_allowed");
    assert_eq!(service.bearer("hk_live_nonsense").get("/api/v1/keys").await.brief(), "401 invalid_key");
}

#[tokio::test]
async fn a_list_shows_what_was_used_in_this_hour() {
    let service = Service::start().await;
    let key: IssuedKey = service.key(json!({"rate_limit_per_hour": 10})).await;
    for _ in 0..3 {
        service.validate(&key).await.ok();
    }
    let usage = |list: Value| list[0]["usage"].clone();
    let expected =
        json!({"requests_this_hour": 3, "remaining_this_hour": 7, "resets_at": "2026-03-04T11:00:00Z"});
    assert_eq!(usage(service.operator.get("/api/v1/keys").await.ok()), expected);
    assert_eq!(usage(service.bearer(&key.text).get("/api/v1/keys").await.ok()), expected);
}
