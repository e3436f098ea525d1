//! `DELETE /api/v1/keys/{key_id}`.

use std::time::Duration;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, IssuedKey, Service};

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_for_good() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    assert_eq!(service.validate(&key).await.brief(), "200");
    assert_snapshot!(service.operator.delete(&key.path()).await, @r#"
    200 OK
    {
      "effective": {
        "at": "2026-03-04T10:30:00Z",
        "everywhere": true
      },
      "key_id": "[id 1]",
      "message": "API key revoked successfully"
    }
    "#);
    assert_eq!(service.validate(&key).await.brief(), "401 revoked");
    service.clock.advance(Duration::from_secs(30 * 24 * 3600));
    assert_eq!(service.validate(&key).await.brief(), "401 revoked");
}

#[tokio::test]
async fn revoking_again_changes_nothing() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let first = service.operator.delete(&key.path()).await.to_string();
    let before = service.operator.get(&key.path()).await.ok();
    service.clock.advance(Duration::from_secs(60));
    // Who knows of it is found out anew.
    let again = service.operator.delete(&key.path()).await.without("10:31:00Z", "time");
    assert_eq!(again, first.replace("10:30:00Z", "[time]"));
    assert_eq!(service.operator.get(&key.path()).await.ok(), before);
}

#[tokio::test]
async fn an_empty_json_body_is_no_obstacle() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let request = service.operator.request(Method::DELETE, &key.path());
    assert_eq!(Answer::to(request.header("content-type", "application/json")).await.status, 200);
}

#[tokio::test]
async fn a_key_revoked_in_its_grace_ends_while_its_successor_works() {
    let service = Service::start().await;
    let old = service.key(json!({})).await;
    let new = IssuedKey::of(&service.operator.rotate(&old).await.ok());
    assert_eq!(service.validate(&old).await.brief(), "200");
    service.operator.delete(&old.path()).await.ok();
    assert_eq!(service.validate(&old).await.brief(), "401 revoked");
    assert_eq!(service.validate(&new).await.brief(), "200");
}

#[tokio::test]
async fn a_revoked_successor_leaves_the_old_key_its_grace() {
    let service = Service::start().await;
    let old = service.key(json!({})).await;
    let new = IssuedKey::of(&service.operator.rotate(&old).await.ok());
    service.operator.delete(&new.path()).await.ok();
    assert_eq!(service.validate(&new).await.brief(), "401 revoked");
    assert_eq!(service.validate(&old).await.brief(), "200");
}

#[tokio::test]
async fn an_expired_key_can_be_revoked() {
    let service = Service::start().await;
    let key = service.key(json!({"expires_in_days": 1})).await;
    service.clock.advance(Duration::from_secs(2 * 24 * 3600));
    service.operator.delete(&key.path()).await.ok();
    assert_eq!(service.validate(&key).await.brief(), "401 revoked");
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_revoked() {
    let service = Service::start().await;
    for id in ["no-uuid", "019cb840-0000-7000-8000-000000000000"] {
        let answer = service.operator.delete(&format!("/api/v1/keys/{id}")).await;
        assert_eq!(answer.detail(), "404 API key not found", "{id}");
    }
}
