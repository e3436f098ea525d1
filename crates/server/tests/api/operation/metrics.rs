//! `GET /metrics`: who may read them, and what is never in them.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Caller, Service, Setup};

async fn from(address: &str, caller: &Caller) -> Answer {
    Answer::to(caller.request(Method::GET, "/metrics").header("x-forwarded-for", address)).await
}

/// A service behind a proxy on this machine, whose metrics a network may read.
async fn behind_proxy() -> Service {
    let mut setup = Setup::default();
    setup.app.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    setup.app.metrics_networks = vec!["203.0.113.0/24".parse().unwrap()];
    Service::with(setup).await
}

#[tokio::test]
async fn this_machine_reads_the_metrics() {
    let service = Service::start().await;
    let answer = service.anyone().get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(answer.body.contains("# TYPE hokusai_cached_keys gauge"), "{answer}");
}

#[tokio::test]
async fn a_configured_network_reads_the_metrics_and_others_do_not() {
    let service = behind_proxy().await;
    assert_eq!(from("203.0.113.7", &service.anyone()).await.status, 200);
    assert_snapshot!(from("198.51.100.42", &service.anyone()).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "code": "invalid_admin_token",
      "detail": "An admin token is needed: Authorization: Bearer TOKEN"
    }
    "#);
}

#[tokio::test]
async fn an_operator_reads_the_metrics_from_anywhere() {
    let service = behind_proxy().await;
    assert_eq!(from("198.51.100.42", &service.operator).await.status, 200);
    let member = service.member("ada").await;
    assert_snapshot!(from("198.51.100.42", &member).await, @r#"
    403 Forbidden
    {
      "code": "forbidden",
      "detail": "Only an operator may read the metrics from here"
    }
    "#);
    let verifier = service.verifier().await;
    assert_eq!(from("198.51.100.42", &verifier).await.brief(), "403 forbidden");
}

#[tokio::test]
async fn a_proxy_that_nobody_trusts_is_not_this_machine() {
    let service = Service::start().await;
    for address in ["198.51.100.42", "127.0.0.1", "unknown"] {
        assert_eq!(from(address, &service.anyone()).await.brief(), "401 invalid_admin_token", "{address}");
    }
    let request = service.anyone().request(Method::GET, "/metrics").header("forwarded", "for=127.0.0.1");
    assert_eq!(Answer::to(request).await.brief(), "401 invalid_admin_token");
}

#[tokio::test]
async fn a_trusted_proxy_that_names_nobody_is_not_this_machine() {
    let service = behind_proxy().await;
    assert_eq!(from("unknown", &service.anyone()).await.brief(), "401 invalid_admin_token");
}

#[tokio::test]
async fn labels_are_of_bounded_sets() {
    let service = Service::start().await;
    let key = service.key(json!({"user_id": "a-user-of-metrics"})).await;
    service.validate(&key).await.ok();
    service.operator.get(&key.path()).await.ok();
    service.anyone().get("/nothing/at/a-path-of-metrics").await;
    let odd = Method::from_bytes(b"AMETHOD").unwrap();
    Answer::to(service.anyone().request(odd, "/health")).await;

    let metrics = service.anyone().get("/metrics").await.body;
    for text in [&*key.id, &key.text[..12], "a-user-of-metrics", "a-path-of-metrics", "AMETHOD", "127.0.0.1"]
    {
        assert!(!metrics.contains(text), "{text}");
    }
    assert!(metrics.contains(r#"route="/api/v1/keys/{key_id}""#));
    let labels: BTreeSet<&str> =
        metrics.split(['{', ',']).filter_map(|part| part.split_once("=\"")).map(|(name, _)| name).collect();
    assert_eq!(
        labels.into_iter().collect::<Vec<_>>(),
        ["kind", "le", "method", "outcome", "route", "status"]
    );
}

#[tokio::test]
async fn validations_are_counted_by_outcome() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.validate(&key).await.ok();
    service.ask(&key, json!({"service_id": "nowhere"})).await;
    let metrics = service.anyone().get("/metrics").await.body;
    for outcome in ["valid", "service_mismatch"] {
        assert!(
            metrics.contains(&format!("hokusai_validations_total{{outcome=\"{outcome}\"}}")),
            "{outcome}"
        );
    }
}
