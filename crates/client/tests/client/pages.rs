//! Lists that lead astray.

use hokusai_client::{Error, KeyQuery};

use crate::odd::{Odd, Reply};

const TOKEN: &str = r#"{"token_id": "t", "name": "n", "user_id": "u", "role": "member", "token_prefix": "hka_abc***",
    "created_at": "2026-03-04T10:30:00Z", "expires_at": null, "revoked_at": null}"#;

fn page(link: &str) -> Reply {
    Reply::json(200, &format!("link: {link}\r\n"), &format!("[{TOKEN}]"))
}

fn first_line(request: &str) -> &str {
    request.lines().next().unwrap()
}

#[tokio::test]
async fn a_next_page_is_always_asked_of_the_service_itself() {
    let elsewhere = Odd::replying([Reply::json(200, "", "[]")]).await;
    let link = format!("<{}/other?cursor=5>; rel=\"next\"", elsewhere.url);
    let odd = Odd::replying([page(&link), Reply::json(200, "", &format!("[{TOKEN}]"))]).await;
    let mut pages = odd.client().build().unwrap().tokens(None);
    for _ in 0..2 {
        assert_eq!(pages.next().await.unwrap().map(|page| page.len()), Some(1));
    }
    assert_eq!(pages.next().await.unwrap(), None);

    assert_eq!(elsewhere.requests().len(), 0);
    let requests = odd.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(first_line(&requests[0]), "GET /api/v1/admin-tokens HTTP/1.1");
    assert_eq!(first_line(&requests[1]), "GET /api/v1/admin-tokens?cursor=5 HTTP/1.1");
}

#[tokio::test]
async fn a_list_that_goes_in_a_circle_is_an_error() {
    let odd = Odd::replying([page("</api/v1/admin-tokens?cursor=5>; rel=\"next\"")]).await;
    let mut pages = odd.client().build().unwrap().tokens(None);
    pages.next().await.unwrap();
    let error = pages.next().await.unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. }), "{error:?}");
}

#[tokio::test]
async fn an_empty_list_has_no_page() {
    let odd = Odd::replying([Reply::json(200, "link: <?cursor=5>; rel=next\r\n", "[]")]).await;
    let mut pages = odd.client().build().unwrap().keys(&KeyQuery::default());
    assert_eq!(pages.next().await.unwrap(), None);
    assert_eq!(pages.next().await.unwrap(), None);
    assert_eq!(odd.requests().len(), 1);
}

#[tokio::test]
async fn after_an_error_the_same_page_can_be_asked_for_again() {
    let replies =
        [Reply::refusal(401, "", "invalid_admin_token"), Reply::json(200, "", &format!("[{TOKEN}]"))];
    let odd = Odd::replying(replies).await;
    let mut pages = odd.client().build().unwrap().tokens(Some(7));
    pages.next().await.unwrap_err();
    assert_eq!(pages.next().await.unwrap().map(|page| page.len()), Some(1));
    assert_eq!(first_line(&odd.requests()[1]), "GET /api/v1/admin-tokens?limit=7 HTTP/1.1");
}
