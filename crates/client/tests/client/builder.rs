//! What a client is made of, and what it sends of that.

use hokusai_client::{BuildError, Client};

use crate::odd::{Odd, Reply};
use crate::{builder, no_key, secret};

#[tokio::test]
async fn a_request_names_its_client_its_token_and_the_path_under_the_services_own() {
    let odd = Odd::replying([Reply::refusal(404, "", "not_found")]).await;
    let client = builder(&format!("{}/auth/", odd.url)).token(secret("hka_the_token")).build().unwrap();
    client.key(no_key()).await.unwrap_err();
    let request = &odd.requests()[0];
    let line = format!("GET /auth/api/v1/keys/{} HTTP/1.1\r\n", no_key());
    assert!(request.starts_with(&line), "{request}");
    for header in [
        "authorization: Bearer hka_the_token\r\n",
        concat!("user-agent: hokusai-client/", env!("CARGO_PKG_VERSION"), "\r\n"),
        "accept: application/json\r\n",
    ] {
        assert!(request.contains(header), "{header:?} in {request}");
    }
}

#[tokio::test]
async fn a_program_can_give_its_own_name() {
    let odd = Odd::replying([Reply::json(200, "", r#"{"version": "1", "commit": "c"}"#)]).await;
    odd.client().user_agent("a-program/7").build().unwrap().version().await.unwrap();
    assert!(odd.requests()[0].contains("user-agent: a-program/7\r\n"), "{:?}", odd.requests());
}

#[test]
fn a_token_is_never_shown() {
    let builder = builder("http://localhost").token(secret("hka_the_token"));
    assert!(!format!("{builder:?}").contains("hka_the_token"));
    let client = builder.build().unwrap();
    assert_eq!(format!("{client:?}"), r#"Client { service: "http://localhost", .. }"#);
}

#[test]
fn a_token_that_no_header_can_carry_is_refused() {
    for token in ["", " ", "hka_x\n", " hka_x", "schlüssel"] {
        let refusal = builder("http://localhost").token(secret(token)).build().unwrap_err();
        assert!(matches!(refusal, BuildError::Token), "{token:?}: {refusal:?}");
    }
}

#[test]
fn plain_http_to_another_machine_has_to_be_allowed() {
    let refusal = builder("http://10.0.0.1:8000/").build().unwrap_err();
    let sentence = "http://10.0.0.1:8000 is plain http, which anybody in between can read; use https";
    assert_eq!(refusal.to_string(), sentence);
    assert!(builder("http://10.0.0.1:8000/").allow_plain_http().build().is_ok());
    assert!(builder("http://[::1]:8000/").build().is_ok());
}

#[test]
fn a_text_that_is_no_url_is_refused_before_anything_else() {
    let refusal = Client::builder("auth.hokus.ai").unwrap_err();
    assert_eq!(refusal.to_string(), "the service's URL needs a scheme: https://auth.hokus.ai");
}
