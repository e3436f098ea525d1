//! `GET /api/v1/admin-tokens`.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::Service;

const TOKENS: &str = "/api/v1/admin-tokens";

#[tokio::test]
async fn tokens_are_listed_newest_first_without_their_texts() {
    let service = Service::start().await;
    let member = service.member("ada").await;
    let answer = service.operator.get(TOKENS).await;
    for text in [member.text(), service.operator.text()] {
        assert!(!answer.body.contains(text));
    }
    assert_snapshot!(answer, @r#"
    200 OK
    [
      {
        "created_at": "2026-03-04T10:30:00Z",
        "expires_at": null,
        "name": "ada's token",
        "revoked_at": null,
        "role": "member",
        "token_id": "[id 1]",
        "token_prefix": "hka_[3]***",
        "user_id": "ada"
      },
      {
        "created_at": "2026-03-04T10:30:00Z",
        "expires_at": null,
        "name": "First operator token",
        "revoked_at": null,
        "role": "operator",
        "token_id": "[id 2]",
        "token_prefix": "hka_[3]***",
        "user_id": "admin"
      }
    ]
    "#);
}

#[tokio::test]
async fn a_page_leads_to_the_next() {
    let service = Service::start().await;
    service.member("ada").await;
    let page = service.operator.get(&format!("{TOKENS}?limit=1")).await;
    assert_eq!(page.json()[0]["user_id"], "ada");
    let link = page.header("link");
    let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let page = service.operator.get(next).await;
    assert_eq!(page.json()[0]["user_id"], "admin");
    assert_eq!(page.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_an_operator_lists_tokens() {
    let service = Service::start().await;
    assert_snapshot!(service.member("ada").await.get(TOKENS).await, @r#"
    403 Forbidden
    {
      "code": "forbidden",
      "detail": "This token's role does not allow this"
    }
    "#);
    assert_eq!(service.verifier().await.get(TOKENS).await.brief(), "403 forbidden");
    assert_eq!(service.anyone().get(TOKENS).await.brief(), "401 invalid_admin_token");
}

#[tokio::test]
async fn revoked_tokens_stay_visible() {
    let service = Service::start().await;
    service.member("ada").await;
    let id = service.operator.get(TOKENS).await.ok()[0]["token_id"].as_str().unwrap().to_owned();
    service.operator.delete(&format!("{TOKENS}/{id}")).await.ok();
    let listed = service.operator.get(TOKENS).await.ok();
    assert_eq!(listed[0]["token_id"], json!(id));
    assert_eq!(listed[0]["revoked_at"], "2026-03-04T10:30:00Z");
}
