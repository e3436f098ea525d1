//! Admin tokens of the real service, and what happens without a good one.

use hokusai_client::{Error, TokenId};

use crate::service::{Service, key_wish, token_wish};

#[tokio::test]
async fn a_token_works_until_it_is_revoked() {
    let service = Service::start().await;
    let created = service.operator.create_token(&token_wish("ada", "member")).await.unwrap();
    let ada = service.client(&created.token);
    assert_eq!(ada.create_key(&key_wish("hers")).await.unwrap().key_info.user_id, "ada");

    let id: TokenId = created.token_id.parse().unwrap();
    for _ in 0..2 {
        assert_eq!(service.operator.revoke_token(id).await.unwrap().token_id, created.token_id);
    }
    let error = ada.create_key(&key_wish("too late")).await.unwrap_err();
    let Error::Unauthorized(told) = error else { panic!("{error:?}") };
    assert_eq!(told.code.as_deref(), Some("invalid_admin_token"));
}

#[tokio::test]
async fn a_client_can_ask_whose_token_it_has() {
    let service = Service::start().await;
    for role in ["operator", "member", "verifier"] {
        let created = service.operator.create_token(&token_wish("ada", role)).await.unwrap();
        let current = service.client(&created.token).current_token().await.unwrap();
        assert_eq!(current, created.token_info);
        assert_eq!((current.user_id.as_str(), current.role.as_str()), ("ada", role));
    }
}

#[tokio::test]
async fn tokens_come_page_by_page_newest_first() {
    let service = Service::start().await;
    for user in ["ada", "bob"] {
        service.operator.create_token(&token_wish(user, "member")).await.unwrap();
    }
    let mut pages = service.operator.tokens(Some(2));
    let mut users = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        users.push(page.into_iter().map(|token| token.user_id).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(users, ["bob ada", "admin"]);
}

#[tokio::test]
async fn the_last_operator_token_stays() {
    let service = Service::start().await;
    let tokens = service.operator.tokens(None).next().await.unwrap().unwrap();
    let error = service.operator.revoke_token(tokens[0].token_id.parse().unwrap()).await.unwrap_err();
    let Error::Conflict(told) = error else { panic!("{error:?}") };
    assert_eq!(told.code.as_deref(), Some("last_operator"));
}

#[tokio::test]
async fn a_member_may_not_make_tokens() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let error = ada.create_token(&token_wish("bob", "operator")).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error:?}");
    assert_eq!(error.to_string(), "This token's role does not allow this");
}

#[tokio::test]
async fn without_a_token_nothing_is_managed() {
    let service = Service::start().await;
    let error = service.anyone().create_key(&key_wish("anyone's")).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error:?}");
}

#[tokio::test]
async fn anyone_may_ask_for_the_version_and_whether_the_service_is_ready() {
    let service = Service::start().await;
    let version = service.anyone().version().await.unwrap();
    assert_eq!((version.version.as_str(), version.commit.as_str()), ("0.1.0", "unknown"));
    assert!(service.anyone().ready().await.unwrap());
}
