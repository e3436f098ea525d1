//! Address lists, and whose word on the client's address counts.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, IssuedKey, Service, Setup};

async fn forwarded(service: &Service, key: &IssuedKey, entries: &[&str]) -> Answer {
    let mut request = service.bearer(&key.text).request(Method::POST, "/api/v1/keys/validate");
    for entry in entries {
        request = request.header("x-forwarded-for", *entry);
    }
    Answer::to(request).await
}

/// A service behind a proxy on this machine and another at 10.0.0.1.
async fn behind_proxies() -> Service {
    let mut setup = Setup::default();
    setup.app.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.1/32".parse().unwrap()];
    Service::with(setup).await
}

#[tokio::test]
async fn any_text_is_taken_for_an_address_where_no_list_is() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for text in ["unknown", "testclient", "", "1.2.3.4:567", "[::1]", "\0\n", &"x".repeat(5000)] {
        assert_eq!(service.ask(&key, json!({"client_ip": text})).await.brief(), "200", "{text:?}");
    }
}

#[tokio::test]
async fn a_list_lets_its_addresses_in_however_they_are_written() {
    let service = Service::start().await;
    let key = service.key(json!({"allowed_ips": ["1.2.3.4", "10.0.0.0/8", "::1", "2001:db8::/32"]})).await;
    for (text, outcome) in [
        ("1.2.3.4", "200"),
        (" 1.2.3.4 ", "200"),
        ("1.2.3.4:567", "200"),
        ("::ffff:1.2.3.4", "200"),
        ("[::ffff:1.2.3.4]:567", "200"),
        ("10.255.0.1", "200"),
        ("[::1]", "200"),
        ("[::1]:567", "200"),
        ("2001:DB8:1::9", "200"),
        ("1.2.3.5", "401 ip_not_allowed"),
        ("2001:db9::1", "401 ip_not_allowed"),
        ("unknown", "401 ip_not_allowed"),
        ("testclient", "401 ip_not_allowed"),
        ("", "401 ip_not_allowed"),
        ("1.2.3.4, 9.9.9.9", "401 ip_not_allowed"),
        ("1.2.3.4/32", "401 ip_not_allowed"),
    ] {
        assert_eq!(service.ask(&key, json!({"client_ip": text})).await.brief(), outcome, "{text:?}");
    }
}

#[tokio::test]
async fn a_list_of_mapped_addresses_lets_their_ipv4_twins_in() {
    let service = Service::start().await;
    let key = service.key(json!({"allowed_ips": ["::ffff:203.0.113.7"]})).await;
    for text in ["203.0.113.7", "::ffff:203.0.113.7", "::ffff:cb00:7107"] {
        assert_eq!(service.ask(&key, json!({"client_ip": text})).await.brief(), "200", "{text}");
    }
    assert_eq!(service.ask(&key, json!({"client_ip": "203.0.113.8"})).await.brief(), "401 ip_not_allowed");
}

#[tokio::test]
async fn a_refused_text_is_shown_without_what_could_do_harm() {
    let service = Service::start().await;
    let key = service.key(json!({"allowed_ips": ["203.0.113.7"]})).await;
    let detail = async |text: Value| service.ask(&key, json!({"client_ip": text})).await.detail();
    assert_eq!(detail("unknown".into()).await, "401 IP address not in allowlist: unknown");
    assert_eq!(detail("a\r\n\u{1b}[31mb".into()).await, "401 IP address not in allowlist: a[31mb");
    let long = detail("x".repeat(5000).into()).await;
    assert_eq!(long, format!("401 IP address not in allowlist: {}", "x".repeat(64)));
}

#[tokio::test]
async fn without_a_told_address_the_connection_counts() {
    let service = Service::start().await;
    let near = service.key(json!({"allowed_ips": ["127.0.0.1"]})).await;
    let far = service.key(json!({"allowed_ips": ["203.0.113.7"]})).await;
    assert_eq!(service.validate(&near).await.brief(), "200");
    assert_eq!(service.ask(&near, json!({"client_ip": null})).await.brief(), "200");
    assert_eq!(service.validate(&far).await.detail(), "401 IP address not in allowlist: 127.0.0.1");
}

#[tokio::test]
async fn nobody_is_believed_about_other_addresses_unless_trusted() {
    let service = Service::start().await;
    let key = service.key(json!({"allowed_ips": ["203.0.113.7"]})).await;
    let answer = forwarded(&service, &key, &["203.0.113.7"]).await;
    assert_eq!(answer.detail(), "401 IP address not in allowlist: 127.0.0.1");
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_from_the_right() {
    let service = behind_proxies().await;
    let key = service.key(json!({"allowed_ips": ["203.0.113.7"]})).await;
    for entries in [
        &["203.0.113.7"][..],
        &["203.0.113.7:4711"],
        &["198.51.100.42, 203.0.113.7"],
        &["198.51.100.42", "203.0.113.7"],
        &["203.0.113.7, 10.0.0.1"],
    ] {
        assert_eq!(forwarded(&service, &key, entries).await.brief(), "200", "{entries:?}");
    }
    for (entries, seen) in [
        (&["203.0.113.7, 198.51.100.42"][..], "198.51.100.42"),
        (&["203.0.113.7", "198.51.100.42"], "198.51.100.42"),
        (&["203.0.113.7, unknown"], "127.0.0.1"),
        (&["203.0.113.7, 198.51.100.42, 10.0.0.1"], "198.51.100.42"),
        (&[], "127.0.0.1"),
    ] {
        let detail = forwarded(&service, &key, entries).await.detail();
        assert_eq!(detail, format!("401 IP address not in allowlist: {seen}"), "{entries:?}");
    }
}

#[tokio::test]
async fn a_told_address_outweighs_that_of_the_connection() {
    let service = behind_proxies().await;
    let key = service.key(json!({"allowed_ips": ["203.0.113.7"]})).await;
    let request = service.bearer(&key.text).request(Method::POST, "/api/v1/keys/validate");
    let request = request.header("x-forwarded-for", "203.0.113.7");
    let answer = Answer::to(request.json(&json!({"client_ip": "198.51.100.42"}))).await;
    assert_eq!(answer.detail(), "401 IP address not in allowlist: 198.51.100.42");
}
