//! What is said of servers that are not there, too slow, or not the service.

use std::error::Error as _;
use std::time::Duration;

use hokusai_client::{Client, Error};
use tokio::net::TcpSocket;

use crate::no_key;
use crate::odd::{Odd, Reply};

/// The error of looking up a key at a server that does this.
async fn error_of(reply: Reply) -> Error {
    let odd = Odd::replying([reply]).await;
    odd.client().retries(0).build().unwrap().key(no_key()).await.unwrap_err()
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unreachable_and_the_reason_is_named() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let error = crate::builder(&url).retries(0).build().unwrap().version().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("{url} can't be reached"));
    let cause = error.source().unwrap().to_string();
    assert!(cause.starts_with("Connection refused"), "{cause}");
}

#[tokio::test]
async fn a_service_that_says_nothing_times_out() {
    let odd = Odd::replying([Reply::Silence]).await;
    let patience = Duration::from_millis(100);
    let client = odd.client().timeout(patience).retries(0).build().unwrap();
    let error = client.key(no_key()).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { patience: p, .. } if p == patience), "{error:?}");
    assert_eq!(error.to_string(), format!("{} did not answer within 0.1 s", odd.url));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_lost_answer() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\n{";
    let error = error_of(Reply::Bytes(half.into())).await;
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
}

#[tokio::test]
async fn a_body_that_stops_coming_times_out() {
    let half = Reply::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".into());
    let odd = Odd::replying([half]).await;
    let client = odd.client().timeout(Duration::from_millis(100)).retries(0).build().unwrap();
    let error = client.key(no_key()).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn an_endless_body_is_not_read_to_its_end() {
    for (limit, is_list) in [("1 MiB", false), ("16 MiB", true)] {
        let odd = Odd::replying([Reply::Endless]).await;
        let client = odd.client().build().unwrap();
        let error = if is_list {
            client.tokens(None).next().await.unwrap_err()
        } else {
            client.key(no_key()).await.unwrap_err()
        };
        let Error::NotOurs { what, .. } = error else { panic!("{error:?}") };
        assert_eq!(what, format!("the body is larger than {limit}"));
    }
}

#[tokio::test]
async fn an_answer_of_the_largest_size_is_read_and_one_byte_more_is_not() {
    const MIB: usize = 1024 * 1024;
    for (one, many, is_read) in [(MIB, 16 * MIB, true), (MIB + 1, 16 * MIB + 1, false)] {
        let filled = |text: &str, size: usize| format!("{text}{}", " ".repeat(size - text.len()));
        let version = filled(r#"{"version": "1", "commit": "c"}"#, one);
        let list = filled("[]", many);
        let odd = Odd::replying([Reply::json(200, "", &version), Reply::json(200, "", &list)]).await;
        let client = odd.client().build().unwrap();
        assert_eq!(client.version().await.is_ok(), is_read);
        assert_eq!(client.tokens(None).next().await.is_ok(), is_read);
        assert_eq!(odd.requests().len(), 2);
    }
}

#[tokio::test]
async fn what_is_not_the_service_is_described() {
    for (reply, status, what) in [
        (Reply::of(200, "content-type: text/html\r\n", "<!doctype html>"), 200, "the body is a web page"),
        (
            Reply::of(404, "content-type: text/html; charset=utf-8\r\n", "Nothing"),
            404,
            "the body is a web page",
        ),
        (Reply::of(200, "", ""), 200, "the body is empty"),
        (Reply::of(401, "", ""), 401, "the body is empty"),
        (Reply::of(200, "", "hello"), 200, "the body is not JSON"),
        (Reply::json(200, "", "{\"key_id\": 7}"), 200, "the body is JSON of another form"),
        (Reply::json(404, "", "{\"detail\": \"Not Found\"}"), 404, "the body is JSON of another form"),
    ] {
        let error = error_of(reply).await;
        let said = error.to_string();
        let Error::NotOurs { status: seen, what: described, .. } = error else { panic!("{error:?}") };
        assert_eq!((seen, described.as_str()), (status, what));
        let sentence = format!("answered {status}, but not as the Hokusai service would: {what}");
        assert!(said.ends_with(&sentence), "{said}");
    }
}

#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    let elsewhere = Odd::replying([Reply::json(200, "", "{}")]).await;
    let place = format!("{}/api/v1/keys", elsewhere.url);
    for status in [301, 302, 307, 308] {
        let error = error_of(Reply::of(status, &format!("location: {place}\r\n"), "")).await;
        let Error::NotOurs { what, .. } = error else { panic!("{error:?}") };
        assert_eq!(what, format!("it points to {place}"));
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn a_refusal_keeps_what_the_service_said() {
    for status in [400, 401, 403, 404, 409, 413, 422, 429, 500, 503] {
        let error = error_of(Reply::refusal(status, "", "some_code")).await;
        let is_its_variant = match &error {
            Error::Invalid { .. } => [400, 422].contains(&status),
            Error::Unauthorized(_) => status == 401,
            Error::Forbidden(_) => status == 403,
            Error::NotFound(_) => status == 404,
            Error::Conflict(_) => status == 409,
            Error::Limited { retry_after: None, .. } => status == 429,
            Error::Unavailable { retry_after: None, .. } => status == 503,
            Error::Other(_) => [413, 500].contains(&status),
            _ => false,
        };
        assert!(is_its_variant, "{status}: {error:?}");
        let told = error.told().unwrap();
        assert_eq!((told.status, told.code.as_deref()), (status, Some("some_code")));
        assert_eq!(
            (error.to_string().as_str(), error.request_id()),
            ("The detail of some_code", Some("request-7"))
        );
    }
}

#[tokio::test]
async fn a_proxy_whose_service_is_away_is_not_available() {
    for status in [502, 503, 504] {
        let error = error_of(Reply::of(status, "retry-after: 30\r\n", "<h1>Bad gateway</h1>")).await;
        let Error::Unavailable { told, retry_after } = &error else { panic!("{error:?}") };
        assert_eq!((told.code.as_ref(), *retry_after), (None, Some(Duration::from_secs(30))));
        assert!(error.to_string().ends_with(&format!("is not available (HTTP {status})")), "{error}");
    }
}

#[tokio::test]
async fn a_service_that_is_not_ready_says_so_at_once() {
    let body = r#"{"status": "not ready", "checks": {"database": false}}"#;
    let odd = Odd::replying([Reply::json(503, "retry-after: 1\r\n", body)]).await;
    assert!(!odd.client().build().unwrap().ready().await.unwrap());
    assert_eq!(odd.requests().len(), 1);
    assert!(!odd.requests()[0].contains("hka_the_token"), "{:?}", odd.requests());
}

#[test]
fn calls_can_be_spawned() {
    fn is_send<T: Send>(_: T) {}
    let client: Client = crate::builder("http://127.0.0.1:1").build().unwrap();
    is_send(client.version());
    is_send(client.tokens(None).next());
}
