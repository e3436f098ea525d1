//! `GET /api/v1/admin-tokens/current`.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::Service;

const CURRENT: &str = "/api/v1/admin-tokens/current";

#[tokio::test]
async fn a_token_tells_whose_it_is_and_what_it_may_do() {
    let service = Service::start().await;
    let member = service.member("ada").await;
    let answer = member.get(CURRENT).await;
    assert!(!answer.body.contains(member.text()));
    assert_snapshot!(answer, @r#"
    200 OK
    {
      "created_at": "2026-03-04T10:30:00Z",
      "expires_at": null,
      "name": "ada's token",
      "revoked_at": null,
      "role": "member",
      "token_id": "[id 1]",
      "token_prefix": "hka_[3]***",
      "user_id": "ada"
    }
    "#);
    for (caller, role) in [(&service.operator, "operator"), (&service.verifier().await, "verifier")] {
        assert_eq!(caller.get(CURRENT).await.json()["role"], role);
    }
}

#[tokio::test]
async fn a_token_that_is_unknown_or_revoked_is_nobodys() {
    let service = Service::start().await;
    let member = service.member("ada").await;
    let id = member.get(CURRENT).await.json()["token_id"].as_str().unwrap().to_owned();
    service.operator.delete(&format!("/api/v1/admin-tokens/{id}")).await.ok();
    assert_eq!(member.get(CURRENT).await.brief(), "401 invalid_admin_token");
    let key = service.key(json!({})).await;
    assert_eq!(service.bearer(&key.text).get(CURRENT).await.brief(), "401 invalid_admin_token");
    assert_eq!(service.bearer("").get(CURRENT).await.brief(), "401 invalid_admin_token");
}
