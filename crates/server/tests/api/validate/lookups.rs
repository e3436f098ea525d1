//! Look-ups that strangers cause: so many a second for each address, and no more.

use std::time::Duration;

use hokusai_core::key::{Environment, PlainKey};
use hokusai_core::token::PlainToken;
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Caller, Service, Setup};

const VALIDATE: &str = "/api/v1/keys/validate";

/// A service that looks two unknown things up a second for each client behind the proxy on this machine.
async fn capped() -> Service {
    let mut setup = Setup::default();
    setup.engine.lookups_per_second = 2;
    setup.app.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    Service::with(setup).await
}

/// Sends `caller`'s request as if from `address`.
async fn from(address: &str, caller: &Caller, method: Method, path: &str) -> Answer {
    Answer::to(caller.request(method, path).header("x-forwarded-for", address)).await
}

async fn try_unknown_key(service: &Service, address: &str) -> Answer {
    let unknown = PlainKey::generate(Environment::Production, &mut rand::rng());
    from(address, &service.bearer(unknown.expose()), Method::POST, VALIDATE).await
}

#[tokio::test]
async fn too_many_unknown_keys_of_one_address_are_put_off() {
    let service = capped().await;
    for _ in 0..2 {
        assert_eq!(try_unknown_key(&service, "203.0.113.7").await.brief(), "401 invalid_key");
    }
    assert_snapshot!(try_unknown_key(&service, "203.0.113.7").await, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "code": "too_many_lookups",
      "detail": "Too many unknown keys or tokens from this address; try again in a second"
    }
    "#);
    assert_eq!(try_unknown_key(&service, "203.0.113.8").await.brief(), "401 invalid_key");
    service.clock.advance(Duration::from_secs(1));
    assert_eq!(try_unknown_key(&service, "203.0.113.7").await.brief(), "401 invalid_key");
}

#[tokio::test]
async fn an_ipv6_host_is_counted_by_its_network() {
    let service = capped().await;
    for address in ["2001:db8::1", "2001:db8::2"] {
        assert_eq!(try_unknown_key(&service, address).await.brief(), "401 invalid_key");
    }
    assert_eq!(try_unknown_key(&service, "2001:db8::3").await.brief(), "503 too_many_lookups");
    assert_eq!(try_unknown_key(&service, "2001:db8:0:1::1").await.brief(), "401 invalid_key");
}

#[tokio::test]
async fn a_key_in_memory_passes_untouched() {
    let service = capped().await;
    let key = service.key(json!({})).await;
    let unused = service.key(json!({})).await;
    service.validate(&key).await.ok();
    for _ in 0..3 {
        try_unknown_key(&service, "127.0.0.1").await;
    }
    assert_eq!(service.validate(&key).await.brief(), "200");
    assert_eq!(service.validate(&unused).await.brief(), "503 too_many_lookups");
}

#[tokio::test]
async fn a_wrong_checksum_costs_no_look_up() {
    let service = capped().await;
    for text in ["hk_live_00000000000000000000000000000000", "nonsense", "hka_"].repeat(2) {
        let answer = service.bearer(text).post(VALIDATE, json!({})).await;
        assert_eq!(answer.brief(), "401 invalid_key", "{text}");
    }
    assert_eq!(try_unknown_key(&service, "127.0.0.1").await.brief(), "401 invalid_key");
}

#[tokio::test]
async fn a_caller_with_a_service_token_is_not_counted() {
    let service = capped().await;
    let verifier = service.verifier().await;
    for _ in 0..5 {
        let unknown = PlainKey::generate(Environment::Test, &mut rand::rng());
        let request = service.bearer(unknown.expose()).request(Method::POST, VALIDATE);
        let answer = Answer::to(request.header("x-hokusai-service-token", verifier.text())).await;
        assert_eq!(answer.brief(), "401 invalid_key");
    }
}

#[tokio::test]
async fn refused_admin_tokens_count_too() {
    let service = capped().await;
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        let unknown = PlainToken::generate(&mut rand::rng());
        let caller = service.bearer(unknown.expose());
        outcomes.push(from("203.0.113.7", &caller, Method::GET, "/api/v1/keys").await.brief());
    }
    assert_eq!(outcomes, ["401 invalid_admin_token", "401 invalid_admin_token", "503 too_many_lookups"]);
    assert_eq!(try_unknown_key(&service, "203.0.113.7").await.brief(), "503 too_many_lookups");
}

#[tokio::test]
async fn living_admin_tokens_do_not_count() {
    let service = capped().await;
    for _ in 0..5 {
        let answer = from("203.0.113.7", &service.operator, Method::GET, "/api/v1/keys").await;
        assert_eq!(answer.brief(), "200");
    }
}
