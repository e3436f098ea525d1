//! A service of somebody's own behind the layer, before the real service.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath};
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Extension, Router};
use hokusai_client::api::keys::{CreateKey, UpdateKey};
use hokusai_client::{AdmittedKey, RequireKey, UsageBy, Verifier};
use insta::assert_snapshot;
use reqwest::{RequestBuilder, Response};

use crate::service::{Service, id, key_wish, token_wish};

/// What the service behind says: who asks, and what reached it.
async fn who(Extension(AdmittedKey(key)): Extension<AdmittedKey>, headers: HeaderMap) -> String {
    let reached = headers.keys().filter(|name| ["authorization", "x-api-key"].contains(&name.as_str()));
    format!("{} {}", key.rights.user_id, reached.count())
}

struct Protected {
    service: Service,
    url: String,
    verifier: Verifier,
}

async fn protected(restrict: impl FnOnce(RequireKey) -> RequireKey) -> Protected {
    let service = Service::start().await;
    let token = service.operator.create_token(&token_wish("gateway", "verifier")).await.unwrap().token;
    let verifier = Verifier::builder([&service.url], crate::secret(&token)).start().unwrap();
    let address = |extensions: &axum::http::Extensions| -> Option<IpAddr> {
        Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip())
    };
    let layer = restrict(RequireKey::new(verifier.clone()).client_address(address));
    let broken = || async { axum::http::StatusCode::IM_A_TEAPOT };
    let router = Router::new().route("/", get(who)).route("/models/{id}", get(broken)).layer(layer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async {
        axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await
    });
    Protected { service, url, verifier }
}

impl Protected {
    fn request(&self) -> RequestBuilder {
        reqwest::Client::builder().no_proxy().build().unwrap().get(&self.url)
    }

    async fn with(&self, key: &str) -> String {
        shown(self.request().bearer_auth(key).send().await.unwrap()).await
    }
}

async fn shown(response: Response) -> String {
    let status = response.status();
    let retry_after = response.headers().contains_key("retry-after");
    let text = response.text().await.unwrap();
    format!("{} {text}{}", status.as_u16(), if retry_after { " (Retry-After)" } else { "" })
}

#[tokio::test]
async fn a_good_key_passes_and_goes_no_further() {
    let protected = protected(|layer| layer).await;
    let key = protected.service.key("a key").await.api_key;
    assert_eq!(protected.with(&key).await, "200 admin 0");
    let named = protected.request().header("x-api-key", &key);
    assert_eq!(shown(named.send().await.unwrap()).await, "200 admin 0");
    let scheme = protected.request().header("authorization", format!("ApiKey {key}"));
    assert_eq!(shown(scheme.send().await.unwrap()).await, "200 admin 0");
    let twice = protected.request().bearer_auth(&key).header("x-api-key", &key);
    assert_eq!(shown(twice.send().await.unwrap()).await, "200 admin 0");
}

#[tokio::test]
async fn what_may_not_pass_is_answered_as_at_the_platform() {
    let protected = protected(|layer| layer.scope("model:write").service("platform")).await;
    let none = shown(protected.request().send().await.unwrap()).await;
    assert_snapshot!(none, @r#"401 {"detail":"API key required","code":"missing_key"}"#);
    assert_snapshot!(protected.with("hk_live_nothing").await, @r#"401 {"detail":"Invalid API key","code":"invalid_key"}"#);

    let wish = CreateKey { scopes: Some(vec!["model:read".into()]), ..key_wish("a reader") };
    let reader = protected.service.operator.create_key(&wish).await.unwrap();
    assert_snapshot!(protected.with(&reader.api_key).await, @r#"403 {"detail":"Insufficient permissions for this operation","code":"insufficient_scope","required_scope":"model:write"}"#);
    let two = protected.request().bearer_auth(&reader.api_key).header("x-api-key", "hk_live_another");
    assert_snapshot!(shown(two.send().await.unwrap()).await, @r#"400 {"detail":"Send one API key, not several","code":"ambiguous_credentials"}"#);

    let wish = CreateKey { service_id: Some("prediction".into()), ..key_wish("for another service") };
    let elsewhere = protected.service.operator.create_key(&wish).await.unwrap();
    assert_snapshot!(protected.with(&elsewhere.api_key).await, @r#"401 {"detail":"Key not authorized for this service","code":"service_mismatch"}"#);

    let wish = CreateKey { allowed_ips: Some(vec!["203.0.113.7".into()]), ..key_wish("an office key") };
    let office = protected.service.operator.create_key(&wish).await.unwrap();
    assert_snapshot!(protected.with(&office.api_key).await, @r#"401 {"detail":"IP address not in allowlist: 127.0.0.1","code":"ip_not_allowed"}"#);
}

#[tokio::test]
async fn exactly_the_limit_passes_and_changes_are_followed() {
    let protected = protected(|layer| layer).await;
    let wish = CreateKey { rate_limit_per_hour: Some(10), ..key_wish("a small key") };
    let small = protected.service.operator.create_key(&wish).await.unwrap();
    for request in 0..10 {
        assert_eq!(protected.with(&small.api_key).await, "200 admin 0", "request {request}");
    }
    assert_snapshot!(protected.with(&small.api_key).await, @r#"429 {"detail":"Rate limit exceeded"} (Retry-After)"#);

    let larger = UpdateKey { rate_limit_per_hour: Some(12), ..UpdateKey::default() };
    protected.service.operator.update_key(id(&small), &larger).await.unwrap();
    // It says at once that the limit is new; whoever admits hears of it in a moment.
    let mut passed = 0;
    for _ in 0..200 {
        passed += u32::from(protected.with(&small.api_key).await.starts_with("200"));
        tokio::time::sleep(Duration::from_millis(10)).await;
        if passed == 2 {
            break;
        }
    }
    assert_eq!(passed, 2);
    assert!(protected.with(&small.api_key).await.starts_with("429"));

    protected.service.operator.revoke_key(id(&small)).await.unwrap();
    assert_snapshot!(protected.with(&small.api_key).await, @r#"401 {"detail":"API key is inactive or has been revoked","code":"revoked"}"#);
    protected.verifier.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn each_request_that_passes_is_reported() {
    let route =
        |parts: &axum::http::request::Parts| Some(parts.extensions.get::<MatchedPath>()?.as_str().to_owned());
    let protected = protected(|layer| layer.endpoint("elsewhere").route(route)).await;
    let key = protected.service.key("a key").await;
    assert_eq!(protected.with(&key.api_key).await, "200 admin 0");
    assert!(protected.with("hk_live_nothing").await.starts_with("401"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for place in ["/models/1", "/models/2?key=value", "/nowhere"] {
        let asked = client.get(format!("{}{place}", protected.url)).bearer_auth(&key.api_key);
        asked.send().await.unwrap();
    }
    protected.verifier.stop(Duration::from_secs(20)).await;
    let stats =
        protected.service.operator.usage_stats(id(&key), None, Some(UsageBy::Endpoint)).await.unwrap();
    let reported: Vec<_> = stats
        .groups
        .unwrap()
        .into_iter()
        .map(|group| format!("{} {} {}", group.name, group.requests, group.errors))
        .collect();
    assert_eq!(reported, ["/models/{id} 2 2", "/ 1 0", "elsewhere 1 1"]);
    let by_service =
        protected.service.operator.usage_stats(id(&key), None, Some(UsageBy::Service)).await.unwrap();
    assert_eq!(by_service.groups.unwrap()[0].name, "platform");
}
