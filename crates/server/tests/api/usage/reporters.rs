//! Who may report usage: tokens, the key itself, and, without a credential, trusted networks alone.

use std::time::Duration;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Caller, IssuedKey, Service, Setup, record_of, report};

const NO_CREDENTIAL: &str = "401 credential_required";

/// Reports with these headers.
async fn with_headers(caller: &Caller, key: &IssuedKey, headers: &[(&str, &str)]) -> Answer {
    let mut request = caller.request(Method::POST, &key.usage_path()).json(&report(json!({})));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::to(request).await
}

/// What is answered to a report, a batch and a debit of this key.
async fn each_way(caller: &Caller, key: &IssuedKey) -> [String; 3] {
    let batch = vec![record_of(key, json!({}))];
    [
        caller.report(key, json!({})).await.brief(),
        caller.batch(batch).await.brief(),
        caller.debit(key, 1, "one").await.brief(),
    ]
}

/// A service behind a proxy on this machine, with these networks trusted.
async fn behind_proxy(trusted_networks: &[&str]) -> Service {
    let mut setup = Setup::default();
    setup.app.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.1/32".parse().unwrap()];
    setup.app.trusted_networks = trusted_networks.iter().map(|block| block.parse().unwrap()).collect();
    Service::with(setup).await
}

#[tokio::test]
async fn an_operator_reports_of_every_key() {
    let service = Service::start().await;
    let key = service.key(json!({"user_id": "ada"})).await;
    assert_eq!(each_way(&service.operator, &key).await, ["200"; 3]);
}

#[tokio::test]
async fn a_member_reports_of_its_own_keys_and_learns_nothing_of_others() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let (own, foreign) = (ada.key(json!({})).await, service.key(json!({"user_id": "grace"})).await);
    assert_eq!(each_way(&ada, &own).await, ["200"; 3]);
    let refused = ["404 not_found", "422 invalid_request", "404 not_found"];
    assert_eq!(each_way(&ada, &foreign).await, refused);
    let absent = IssuedKey { id: "019cb840-0000-7000-8000-000000000000".into(), text: String::new() };
    let (foreign_told, absent_told) =
        (ada.report(&foreign, json!({})).await, ada.report(&absent, json!({})).await);
    assert_eq!(foreign_told.to_string(), absent_told.to_string());
    assert_eq!(service.operator.requests(&foreign).await, 0);
}

#[tokio::test]
async fn a_verifier_reports_of_every_key_by_either_header() {
    let service = Service::start().await;
    let key = service.key(json!({"user_id": "ada"})).await;
    let verifier = service.verifier().await;
    assert_eq!(each_way(&verifier, &key).await, ["200"; 3]);
    let header = [("x-hokusai-service-token", verifier.text())];
    assert_eq!(with_headers(&service.anyone(), &key, &header).await.brief(), "200");
    // The key that is asked about may stand beside it.
    let other = service.key(json!({})).await;
    assert_eq!(with_headers(&service.bearer(&other.text), &key, &header).await.brief(), "200");
}

#[tokio::test]
async fn a_members_service_token_reports_of_its_own_keys() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let (own, foreign) = (ada.key(json!({})).await, service.key(json!({})).await);
    let header = [("x-hokusai-service-token", ada.text())];
    assert_eq!(with_headers(&service.anyone(), &own, &header).await.brief(), "200");
    assert_eq!(with_headers(&service.anyone(), &foreign, &header).await.brief(), "404 not_found");
}

#[tokio::test]
async fn a_refused_service_token_is_told_whatever_else_is_sent() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let revoked = service.verifier().await;
    let listed = service.operator.get("/api/v1/admin-tokens").await.ok();
    let id = listed.as_array().unwrap().iter().find(|token| token["role"] == "verifier").unwrap();
    let path = format!("/api/v1/admin-tokens/{}", id["token_id"].as_str().unwrap());
    service.operator.delete(&path).await.ok();
    for text in [revoked.text(), "some text that is no token", ""] {
        for caller in [service.anyone(), service.operator.clone(), service.bearer(&key.text)] {
            let answer = with_headers(&caller, &key, &[("x-hokusai-service-token", text)]).await;
            assert_eq!(answer.brief(), "403 service_token_refused", "{text}");
        }
    }
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn a_key_reports_of_itself_alone() {
    let service = Service::start().await;
    let (key, other) = (service.key(json!({})).await, service.key(json!({})).await);
    let bearer = service.bearer(&key.text);
    assert_eq!(each_way(&bearer, &key).await, ["200"; 3]);
    assert_eq!(each_way(&bearer, &other).await, ["404 not_found", "422 invalid_request", "404 not_found"]);
    let header = [("x-api-key", key.text.as_str())];
    assert_eq!(with_headers(&service.anyone(), &key, &header).await.brief(), "200");
    assert_eq!(with_headers(&service.anyone(), &other, &header).await.brief(), "404 not_found");
    assert_eq!(service.operator.requests(&other).await, 0);
}

#[tokio::test]
async fn a_rotated_key_reports_of_itself_and_not_of_its_successor() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let successor = IssuedKey::of(&service.operator.rotate(&key).await.ok());
    assert_eq!(service.bearer(&key.text).report(&key, json!({})).await.brief(), "200");
    assert_eq!(service.bearer(&key.text).report(&successor, json!({})).await.brief(), "404 not_found");
}

#[tokio::test]
async fn a_key_that_is_not_good_reports_nothing() {
    let service = Service::start().await;
    let revoked = service.key(json!({})).await;
    service.operator.delete(&revoked.path()).await.ok();
    let elsewhere = service.key(json!({"allowed_ips": ["203.0.113.7"]})).await;
    let expired = service.key(json!({"expires_at": "2026-03-04T10:30:00.000001Z"})).await;
    service.clock.advance(Duration::from_micros(1));
    let unknown = "hk_live_00000000000000000000000000000000";
    let unknown = IssuedKey { id: revoked.id.clone(), text: unknown.into() };
    for (key, code) in [
        (&revoked, "401 revoked"),
        (&expired, "401 expired"),
        (&elsewhere, "401 ip_not_allowed"),
        (&unknown, "401 invalid_key"),
    ] {
        assert_eq!(each_way(&service.bearer(&key.text), key).await, [code; 3]);
        let header = [("x-api-key", key.text.as_str())];
        assert_eq!(with_headers(&service.anyone(), key, &header).await.brief(), code);
        assert_eq!(service.operator.requests(key).await, 0);
    }
    assert_snapshot!(service.bearer(&revoked.text).report(&revoked, json!({})).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "code": "revoked",
      "detail": "API key is inactive or has been revoked"
    }
    "#);
}

#[tokio::test]
async fn without_a_credential_this_machine_is_trusted() {
    let service = Service::start().await;
    let key = service.key(json!({"user_id": "ada"})).await;
    assert_eq!(each_way(&service.anyone(), &key).await, ["200"; 3]);
    let absent = IssuedKey { id: "019cb840-0000-7000-8000-000000000000".into(), text: String::new() };
    assert_eq!(service.anyone().report(&absent, json!({})).await.brief(), "404 not_found");
}

#[tokio::test]
async fn where_no_network_is_trusted_a_credential_is_needed() {
    let mut setup = Setup::default();
    setup.app.trusted_networks = Vec::new();
    let service = Service::with(setup).await;
    let key = service.key(json!({})).await;
    assert_eq!(each_way(&service.anyone(), &key).await, [NO_CREDENTIAL; 3]);
    assert_snapshot!(service.anyone().report(&key, json!({})).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "code": "credential_required",
      "detail": "Usage is reported with an admin token, a service token in X-Hokusai-Service-Token, or the key itself; without one only from the networks that are configured as trusted"
    }
    "#);
    assert_eq!(service.operator.requests(&key).await, 0);
    assert_eq!(each_way(&service.bearer(&key.text), &key).await, ["200"; 3]);
}

#[tokio::test]
async fn a_web_page_is_not_trusted() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let anyone = service.anyone();
    for origin in ["https://example.org", "http://127.0.0.1", "null", ""] {
        assert_eq!(
            with_headers(&anyone, &key, &[("origin", origin)]).await.brief(),
            NO_CREDENTIAL,
            "{origin}"
        );
    }
    let with_token = with_headers(&service.operator, &key, &[("origin", "https://example.org")]).await;
    assert_eq!(with_token.brief(), "200");
    assert_eq!(service.operator.requests(&key).await, 1);
}

#[tokio::test]
async fn what_a_proxy_that_nobody_named_passes_on_is_not_trusted() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for header in [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", ""),
        ("forwarded", "for=127.0.0.1"),
    ] {
        let answer = with_headers(&service.anyone(), &key, &[header]).await;
        assert_eq!(answer.brief(), NO_CREDENTIAL, "{header:?}");
    }
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn behind_a_proxy_that_nobody_named_this_machine_is_not_trusted() {
    let mut setup = Setup::default();
    // Whoever comes through the proxy comes from this machine, too.
    setup.app.behind_unnamed_proxy = true;
    let service = Service::with(setup).await;
    let key = service.key(json!({})).await;
    assert_eq!(each_way(&service.anyone(), &key).await, [NO_CREDENTIAL; 3]);
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn a_trusted_proxy_says_which_network_a_request_is_from() {
    let service = behind_proxy(&["192.168.0.0/16", "10.0.0.0/8"]).await;
    let key = service.key(json!({})).await;
    for (entries, outcome) in [
        ("192.168.7.7", "200"),
        ("192.168.7.7:4711", "200"),
        ("203.0.113.7, 192.168.7.7", "200"),
        ("192.168.7.7, 10.0.0.1", "200"),
        ("192.168.7.7, 203.0.113.7", NO_CREDENTIAL),
        ("203.0.113.7", NO_CREDENTIAL),
        ("192.168.7.7, unknown", NO_CREDENTIAL),
    ] {
        let answer = with_headers(&service.anyone(), &key, &[("x-forwarded-for", entries)]).await;
        assert_eq!(answer.brief(), outcome, "{entries}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_that_names_nobody_is_not_trusted_itself() {
    let service = behind_proxy(&["127.0.0.0/8", "10.0.0.0/8"]).await;
    let key = service.key(json!({})).await;
    for headers in [
        &[][..],
        &[("x-forwarded-for", "")],
        &[("x-forwarded-for", "unknown")],
        &[("x-forwarded-for", "127.0.0.1")],
        &[("x-forwarded-for", "10.0.0.1")],
        &[("forwarded", "for=10.7.7.7")],
    ] {
        let answer = with_headers(&service.anyone(), &key, headers).await;
        assert_eq!(answer.brief(), NO_CREDENTIAL, "{headers:?}");
    }
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn a_wrong_credential_is_refused_from_a_trusted_network_too() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let unknown_key = "hk_live_00000000000000000000000000000000";
    let basic = [("authorization", "Basic YTpi")];
    for (headers, code) in [
        (&[("authorization", "Bearer some text that is no token")][..], "401 invalid_admin_token"),
        (&[("authorization", "Bearer hka_00000000000000000000000000000000")], "401 invalid_admin_token"),
        (&[("authorization", "Bearer ")], "401 invalid_admin_token"),
        (&[("authorization", "")], "401 invalid_admin_token"),
        (&basic, "401 invalid_admin_token"),
        (&[("authorization", "Bearer hk_live_x")], "401 invalid_key"),
        (&[("x-api-key", unknown_key)], "401 invalid_key"),
        (&[("x-api-key", "")], "401 invalid_key"),
        (&[("x-api-key", service.operator.text())], "401 invalid_key"),
    ] {
        let answer = with_headers(&service.anyone(), &key, headers).await;
        assert_eq!(answer.brief(), code, "{headers:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    // The header that wins is wrong, whatever the other one is.
    let good = [("x-api-key", key.text.as_str())];
    let answer = with_headers(&service.bearer("some text that is no token"), &key, &good).await;
    assert_eq!(answer.brief(), "401 invalid_admin_token");
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn two_authorization_headers_are_ambiguous() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let mut wire = service.connect().await;
    let (path, body) = (key.usage_path(), report(json!({})).to_string());
    let token = service.operator.text();
    wire.send(format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\n\r\n{body}",
        key.text,
        body.len()
    ))
    .await;
    assert_eq!(wire.status().await, "HTTP/1.1 400 Bad Request");
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn reading_takes_an_admin_token_that_may_manage() {
    let service = Service::start().await;
    let key = service.key(json!({"user_id": "gateway"})).await;
    let verifier = service.verifier().await;
    let paths = [
        format!("{}/stats", key.usage_path()),
        format!("{}/billing", key.usage_path()),
        "/api/v1/usage/aggregate".to_owned(),
        "/api/v1/alerts".to_owned(),
        format!("{}/validations", key.path()),
    ];
    for path in paths {
        for (caller, code) in [
            (service.anyone(), "401 invalid_admin_token"),
            (service.bearer(&key.text), "401 invalid_admin_token"),
            (service.bearer("some text that is no token"), "401 invalid_admin_token"),
            (verifier.clone(), "403 forbidden"),
        ] {
            assert_eq!(caller.get(&path).await.brief(), code, "{path}");
        }
    }
}

#[tokio::test]
async fn no_refusal_repeats_a_secret() {
    let service = Service::start().await;
    let key = service.key(json!({"allowed_ips": ["203.0.113.7"]})).await;
    let refused: Value = service.bearer(&key.text).report(&key, json!({})).await.json();
    assert_eq!(refused["code"], "ip_not_allowed");
    assert!(!refused.to_string().contains(&key.text));
}
