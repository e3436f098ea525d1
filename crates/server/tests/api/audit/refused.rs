//! `GET /api/v1/audit/refused`.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Answer, Service, Setup};

const REFUSED: &str = "/api/v1/audit/refused";

/// The sums once all that was refused is written down.
async fn sums(service: &Service, query: &str) -> Value {
    service.engine.note_refused_calls().await.unwrap();
    service.operator.get(&format!("{REFUSED}{query}")).await.ok()
}

/// A service that believes callers when they say where they come from.
async fn believing() -> Service {
    let mut setup = Setup::default();
    setup.app.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    Service::with(setup).await
}

/// Asks for the keys without a token, from this address.
async fn stranger(service: &Service, address: &str) {
    let request = service.anyone().request(reqwest::Method::GET, "/api/v1/keys");
    let answer = Answer::to(request.header("x-forwarded-for", address)).await;
    assert_eq!(answer.brief(), "401 invalid_admin_token");
}

#[tokio::test]
async fn refused_calls_are_summed_by_minute_address_and_code() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let (member, verifier) = (service.member("ada").await, service.verifier().await);
    for caller in [&service.anyone(), &service.bearer("hka_nobody"), &service.bearer(&key.text)] {
        caller.get("/api/v1/admin-tokens").await;
    }
    member.get("/api/v1/admin-tokens").await;
    member.post("/api/v1/keys", json!({"name": "a key", "scopes": ["*"]})).await;
    verifier.get("/api/v1/keys").await;
    service.clock.advance(Duration::from_secs(60));
    let question = service.bearer(&key.text).request(reqwest::Method::POST, "/api/v1/keys/validate");
    let answer = Answer::to(question.header("x-hokusai-service-token", "hka_nobody")).await;
    assert_eq!(answer.brief(), "403 service_token_refused");
    service.ask(&key, json!({"dry_run": true})).await;
    // Neither good calls, nor refused keys, nor what is not there.
    service.validate(&key).await.ok();
    assert_eq!(service.bearer("hk_live_x").get("/api/v1/keys").await.brief(), "401 invalid_key");
    member.get("/api/v1/keys/x").await;
    sums(&service, "").await;
    assert_snapshot!(service.operator.get(REFUSED).await, @r#"
    200 OK
    [
      {
        "address": "127.0.0.1",
        "code": "service_token_required",
        "count": 1,
        "minute": "2026-03-04T10:31:00Z"
      },
      {
        "address": "127.0.0.1",
        "code": "service_token_refused",
        "count": 1,
        "minute": "2026-03-04T10:31:00Z"
      },
      {
        "address": "127.0.0.1",
        "code": "invalid_admin_token",
        "count": 3,
        "minute": "2026-03-04T10:30:00Z"
      },
      {
        "address": "127.0.0.1",
        "code": "forbidden",
        "count": 3,
        "minute": "2026-03-04T10:30:00Z"
      }
    ]
    "#);
}

#[tokio::test]
async fn sums_are_written_down_by_themselves() {
    let service = Service::start().await;
    service.anyone().get("/api/v1/keys").await;
    let sum = crate::support::until("the sum is there", async || {
        let listed = service.operator.get(REFUSED).await.ok();
        listed.get(0).cloned()
    });
    assert_eq!(sum.await["count"], 1);
}

#[tokio::test]
async fn what_was_counted_is_written_down_when_the_service_stops() {
    let service = Service::start().await;
    service.anyone().get("/api/v1/keys").await;
    let (clock, operator) = (service.clock.clone(), service.operator.text().to_owned());
    let service = Service::again(service.stop().await, clock, &operator).await;
    assert_eq!(service.operator.get(REFUSED).await.ok()[0]["count"], 1);
}

#[tokio::test]
async fn sums_are_kept_while_the_database_is_away() {
    let service = Service::start().await;
    service.place.take_away().await;
    service.anyone().get("/api/v1/keys").await;
    assert!(service.engine.note_refused_calls().await.is_err());
    service.anyone().get("/api/v1/keys").await;
    assert!(service.engine.note_refused_calls().await.is_err());
    service.place.bring_back().await;
    crate::support::until("the database is back", async || service.engine.note_refused_calls().await.ok())
        .await;
    assert_eq!(service.operator.get(REFUSED).await.ok()[0]["count"], 2);
}

#[tokio::test]
async fn sums_are_kept_for_35_days() {
    let service = Service::start().await;
    service.anyone().get("/api/v1/keys").await;
    service.engine.note_refused_calls().await.unwrap();
    for (days, left) in [(35, 1), (1, 0)] {
        service.clock.advance(Duration::from_secs(days * 24 * 3600));
        service.engine.tidy().await.unwrap();
        assert_eq!(sums(&service, "").await.as_array().unwrap().len(), left);
    }
}

#[tokio::test]
async fn sums_are_bounded_however_many_addresses_there_are() {
    let service = believing().await;
    for number in 0..1100 {
        stranger(&service, &format!("198.51.{}.{}", number / 250, number % 250)).await;
    }
    stranger(&service, "198.51.0.0").await;
    let listed = sums(&service, "?limit=1000").await;
    assert_eq!(listed.as_array().unwrap().len(), 1000);
    let other = sums(&service, "?address=other").await;
    assert_eq!((other.as_array().unwrap().len(), &other[0]["count"]), (1, &json!(100)));
    assert_eq!(sums(&service, "?address=198.51.0.0").await[0]["count"], 2);
}

#[tokio::test]
async fn an_ipv6_network_has_one_sum() {
    let service = believing().await;
    for address in ["2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:3::1"] {
        stranger(&service, address).await;
    }
    let listed = sums(&service, "").await;
    let told: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|sum| (sum["address"].as_str(), sum["count"].as_i64()))
        .collect();
    assert_eq!(told, [(Some("2001:db8:1:3::"), Some(1)), (Some("2001:db8:1:2::"), Some(2))]);
}

#[tokio::test]
async fn sums_are_found_by_address_and_time() {
    let service = believing().await;
    for address in ["198.51.100.1", "198.51.100.2", "2001:db8::1"] {
        stranger(&service, address).await;
    }
    service.clock.advance(Duration::from_secs(60));
    stranger(&service, "198.51.100.1").await;
    let minutes = async |query: &str| -> Vec<String> {
        let listed = sums(&service, query).await;
        let minute = |sum: &Value| sum["minute"].as_str().unwrap()[11..16].to_owned();
        listed.as_array().unwrap().iter().map(minute).collect()
    };
    assert_eq!(minutes("").await, ["10:31", "10:30", "10:30", "10:30"]);
    assert_eq!(minutes("?address=198.51.100.1").await, ["10:31", "10:30"]);
    assert_eq!(minutes("?address=2001:DB8:0::1").await, ["10:30"]);
    assert_eq!(minutes("?address=2001:db8::f:1").await, ["10:30"]);
    assert_eq!(minutes("?address=2001:db8:0:1::1").await, [""; 0]);
    assert_eq!(minutes("?since=2026-03-04T10:31:00Z").await, ["10:31"]);
    assert_eq!(minutes("?until=2026-03-04T10:31:00Z").await, ["10:30", "10:30", "10:30"]);
}

#[tokio::test]
async fn a_page_leads_to_the_next() {
    let service = believing().await;
    for address in ["198.51.100.1", "198.51.100.2", "2001:db8::1"] {
        stranger(&service, address).await;
    }
    sums(&service, "").await;
    let (mut path, mut seen) = (format!("{REFUSED}?limit=1&since=2026-03-04T10:30:00Z"), Vec::new());
    for _ in 0..3 {
        let page = service.operator.get(&path).await;
        seen.push(page.json()[0]["address"].as_str().unwrap().to_owned());
        assert_eq!(page.json().as_array().unwrap().len(), 1);
        let link = page.header("link");
        path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
    assert_eq!(seen, ["2001:db8::", "198.51.100.2", "198.51.100.1"]);
    assert_eq!(service.operator.get(&path).await.ok(), json!([]));
}

#[tokio::test]
async fn wrong_parameters_are_refused_by_name() {
    let service = Service::start().await;
    for (query, detail) in [
        ("limit=x", "422 limit: must be a whole number from 1 to 1000"),
        ("cursor=5", "422 cursor: must be the cursor that an earlier page links to"),
        ("cursor=x,y,z", "422 cursor: must be the cursor that an earlier page links to"),
        ("cursor=5,%00,x", "422 cursor: must be text of at most 128 characters without control characters"),
        ("address=here", "422 address: must be an IP address, or other"),
        ("since=1", "422 since: must be an RFC 3339 time with zone, such as 2026-03-04T10:30:00Z"),
        ("code=forbidden", "422 code: is not a known parameter"),
    ] {
        assert_eq!(service.operator.get(&format!("{REFUSED}?{query}")).await.detail(), detail, "{query}");
    }
}

#[tokio::test]
async fn only_an_operator_sees_the_sums() {
    let service = Service::start().await;
    assert_eq!(service.member("ada").await.get(REFUSED).await.brief(), "403 forbidden");
    assert_eq!(service.verifier().await.get(REFUSED).await.brief(), "403 forbidden");
    assert_eq!(service.anyone().get(REFUSED).await.brief(), "401 invalid_admin_token");
}
