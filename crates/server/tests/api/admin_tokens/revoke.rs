//! `DELETE /api/v1/admin-tokens/{token_id}`.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Caller, Service};

const TOKENS: &str = "/api/v1/admin-tokens";

/// A new token of this role, as a caller, and the path that revokes it.
async fn token(service: &Service, role: &str, expires_in_days: Option<u32>) -> (Caller, String) {
    let wish = json!({"user_id": "ada", "name": "A token", "role": role, "expires_in_days": expires_in_days});
    let created = service.operator.post(TOKENS, wish).await.created();
    let path = format!("{TOKENS}/{}", created["token_id"].as_str().unwrap());
    (service.bearer(created["token"].as_str().unwrap()), path)
}

/// The path that revokes the first operator's token.
async fn first(service: &Service) -> String {
    let listed = service.operator.get(TOKENS).await.ok();
    let first = listed.as_array().unwrap().last().unwrap()["token_id"].clone();
    format!("{TOKENS}/{}", first.as_str().unwrap())
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let service = Service::start().await;
    let (member, path) = token(&service, "member", None).await;
    assert_eq!(member.get("/api/v1/keys").await.brief(), "200");
    let answer = service.operator.delete(&path).await;
    assert_snapshot!(answer, @r#"
    200 OK
    {
      "message": "Admin token revoked successfully",
      "token_id": "[id 1]"
    }
    "#);
    assert_eq!(member.get("/api/v1/keys").await.brief(), "401 invalid_admin_token");
    assert_eq!(service.operator.delete(&path).await.to_string(), answer.to_string(), "again");
}

#[tokio::test]
async fn the_last_operator_cannot_be_revoked() {
    let service = Service::start().await;
    let path = first(&service).await;
    assert_snapshot!(service.operator.delete(&path).await, @r#"
    409 Conflict
    {
      "code": "last_operator",
      "detail": "This is the last operator token without an expiry; create another one first"
    }
    "#);
    assert_eq!(service.operator.get(TOKENS).await.status, 200);
}

#[tokio::test]
async fn an_operator_that_will_expire_or_a_member_does_not_replace_the_last() {
    let service = Service::start().await;
    token(&service, "operator", Some(365)).await;
    token(&service, "member", None).await;
    assert_eq!(service.operator.delete(&first(&service).await).await.brief(), "409 last_operator");
}

#[tokio::test]
async fn an_operator_is_revoked_once_another_lasts() {
    let service = Service::start().await;
    let (second, second_path) = token(&service, "operator", None).await;
    assert_eq!(second.delete(&first(&service).await).await.brief(), "200");
    assert_eq!(service.operator.get(TOKENS).await.brief(), "401 invalid_admin_token");
    assert_eq!(second.delete(&second_path).await.brief(), "409 last_operator");
}

#[tokio::test]
async fn of_two_operators_that_revoke_each_other_one_stays() {
    let service = Service::start().await;
    let (second, second_path) = token(&service, "operator", None).await;
    let first_path = first(&service).await;
    let (one, other) = tokio::join!(second.delete(&first_path), service.operator.delete(&second_path));
    let statuses = [one.status.as_u16(), other.status.as_u16()];
    let lasting = [&second, &service.operator];
    let mut living = 0;
    for operator in lasting {
        living += usize::from(operator.get(TOKENS).await.status == 200);
    }
    assert_eq!(living, 1, "{statuses:?}");
}

#[tokio::test]
async fn an_operator_that_will_expire_can_be_revoked() {
    let service = Service::start().await;
    let (expiring, path) = token(&service, "operator", Some(1)).await;
    assert_eq!(expiring.delete(&path).await.brief(), "200");
    service.clock.advance(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(service.operator.delete(&path).await.brief(), "200");
}

#[tokio::test]
async fn only_an_operator_revokes_tokens() {
    let service = Service::start().await;
    let (member, path) = token(&service, "member", None).await;
    assert_eq!(member.delete(&path).await.brief(), "403 forbidden");
    assert_eq!(service.verifier().await.delete(&path).await.brief(), "403 forbidden");
    assert_eq!(service.anyone().delete(&path).await.brief(), "401 invalid_admin_token");
    assert_eq!(member.get("/api/v1/keys").await.brief(), "200");
}

#[tokio::test]
async fn a_token_that_is_not_there_is_not_revoked() {
    let service = Service::start().await;
    for id in ["no-uuid", "019cb840-0000-7000-8000-000000000000"] {
        let answer = service.operator.delete(&format!("{TOKENS}/{id}")).await;
        assert_eq!(answer.detail(), "404 Admin token not found", "{id}");
    }
}
