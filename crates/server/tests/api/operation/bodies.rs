//! Bodies that can't be read: each has its own answer, and nothing is changed.

use insta::assert_snapshot;
use reqwest::{Body, Method};
use serde_json::json;

use crate::support::{Answer, Service};

const KEYS: &str = "/api/v1/keys";
/// One KiB over the most that is read.
const TOO_MUCH: usize = 65 * 1024;

/// A body of JSON with a name, padded with spaces to `length` bytes.
fn padded(length: usize) -> String {
    let json = json!({"name": "A key"}).to_string();
    json.clone() + &" ".repeat(length - json.len())
}

/// Sends a body under `content_type`, if one is given.
async fn post(service: &Service, content_type: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request = service.operator.request(Method::POST, KEYS).body(body);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    Answer::to(request).await
}

#[tokio::test]
async fn broken_json_is_a_bad_request() {
    let service = Service::start().await;
    assert_snapshot!(service.operator.post_text(KEYS, "{\"name\": \"A key\",\n}").await, @r#"
    400 Bad Request
    {
      "code": "unreadable_body",
      "detail": "The body is not JSON (line 2, column 1)"
    }
    "#);
    let deep = "[".repeat(10_000);
    for body in ["{", "{\"name\": \"A key\"} x", "name=A+key", "\u{feff}{}", "{\"name\": NaN}", &deep] {
        let answer = service.operator.post_text(KEYS, body).await;
        assert_eq!(answer.brief(), "400 unreadable_body", "{body:.20}");
    }
    let no_text = post(&service, Some("application/json"), &b"{\"name\": \"\xff\"}"[..]).await;
    assert_eq!(no_text.brief(), "400 unreadable_body");
    assert_eq!(service.count_keys().await, 0);
}

#[tokio::test]
async fn json_that_is_no_object_is_a_bad_request() {
    let service = Service::start().await;
    assert_snapshot!(service.operator.post_text(KEYS, "[]").await, @r#"
    400 Bad Request
    {
      "code": "unreadable_body",
      "detail": "The body must be a JSON object"
    }
    "#);
    for body in ["null", "7", "\"name\"", "true"] {
        assert_eq!(service.operator.post_text(KEYS, body).await.brief(), "400 unreadable_body", "{body}");
    }
}

#[tokio::test]
async fn an_empty_body_is_named_where_one_is_needed() {
    let service = Service::start().await;
    assert_snapshot!(service.operator.post_text(KEYS, "").await, @r#"
    400 Bad Request
    {
      "code": "unreadable_body",
      "detail": "The body is empty; it must be a JSON object"
    }
    "#);
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let service = Service::start().await;
    let body = || json!({"name": "A key"}).to_string();
    assert_snapshot!(post(&service, Some("text/plain"), body()).await, @r#"
    415 Unsupported Media Type
    {
      "code": "unsupported_media_type",
      "detail": "The body must be JSON, with Content-Type: application/json"
    }
    "#);
    for content_type in ["application/x-www-form-urlencoded", "multipart/form-data", "text/json", "json", ""]
    {
        let answer = post(&service, Some(content_type), body()).await;
        assert_eq!(answer.brief(), "415 unsupported_media_type", "{content_type}");
    }
    assert_eq!(service.count_keys().await, 0);
}

#[tokio::test]
async fn json_is_taken_under_its_names_or_none() {
    let service = Service::start().await;
    let names = ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"];
    for content_type in names.map(Some).into_iter().chain([None]) {
        let answer = post(&service, content_type, json!({"name": "A key"}).to_string()).await;
        assert_eq!(answer.brief(), "201", "{content_type:?}");
    }
}

#[tokio::test]
async fn a_body_has_at_most_64_kib() {
    let service = Service::start().await;
    assert_eq!(service.operator.post_text(KEYS, padded(64 * 1024)).await.brief(), "201");
    assert_snapshot!(service.operator.post_text(KEYS, padded(TOO_MUCH)).await, @r#"
    413 Payload Too Large
    {
      "code": "body_too_large",
      "detail": "The body is larger than 65536 bytes"
    }
    "#);
    assert_eq!(service.count_keys().await, 1);
}

#[tokio::test]
async fn a_body_without_a_length_has_at_most_64_kib_too() {
    let service = Service::start().await;
    let mut wire = service.connect().await;
    let token = service.operator.text();
    let head = format!(
        "POST {KEYS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{TOO_MUCH:x}\r\n"
    );
    wire.send(head + &padded(TOO_MUCH) + "\r\n0\r\n\r\n").await;
    assert_eq!(wire.status().await, "HTTP/1.1 413 Payload Too Large");
    assert_eq!(service.count_keys().await, 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_changes_nothing() {
    let service = Service::start().await;
    let mut wire = service.connect().await;
    let token = service.operator.text();
    let head = format!(
        "POST {KEYS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"name\": \"A key\"}}"
    );
    wire.send(head).await;
    wire.say_no_more().await;
    wire.rest().await;
    assert_eq!(service.count_keys().await, 0);
}

#[tokio::test]
async fn what_is_no_http_is_a_bad_request() {
    let service = Service::start().await;
    for bytes in ["NONSENSE\r\n\r\n", "GET /health HTTP/1.1\r\nbad header\r\n\r\n", "\0\0\0\0\r\n\r\n"] {
        let mut wire = service.connect().await;
        wire.send(bytes).await;
        assert_eq!(wire.status().await, "HTTP/1.1 400 Bad Request", "{bytes:?}");
    }
    assert_eq!(service.anyone().get("/health").await.status, 200);
}

#[tokio::test]
async fn two_lengths_in_one_request_are_a_bad_request() {
    let service = Service::start().await;
    for lengths in ["content-length: 2\r\ncontent-length: 3", "content-length: 2, 3", "content-length: -1"] {
        let mut wire = service.connect().await;
        wire.send(format!("POST {KEYS} HTTP/1.1\r\nhost: a\r\n{lengths}\r\n\r\n{{}}")).await;
        assert_eq!(wire.status().await, "HTTP/1.1 400 Bad Request", "{lengths:?}");
    }
}
