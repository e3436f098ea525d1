//! The hourly limit: exact, one unit a success, new with each clock hour.

use std::time::Duration;

use hokusai_core::time::{HOUR, Timestamp};
use insta::assert_snapshot;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{IssuedKey, START, Service};

/// The hour after the one in which services start.
const NEXT_HOUR: Timestamp = Timestamp((START.0 / HOUR + 1) * HOUR);

/// How many of `count` validations at once pass.
async fn passed(service: &Service, key: &IssuedKey, count: usize) -> usize {
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let caller = service.bearer(&key.text);
        requests.spawn(async move { caller.post("/api/v1/keys/validate", json!({})).await.status.as_u16() });
    }
    let statuses = requests.join_all().await;
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    statuses.iter().filter(|status| **status == 200).count()
}

#[tokio::test]
async fn every_success_is_one_unit() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    let mut remaining = Vec::new();
    for _ in 0..10 {
        let answer = service.validate(&key).await;
        assert_eq!(answer.status, 200);
        remaining.push(answer.header("x-ratelimit-remaining").to_owned());
    }
    assert_eq!(remaining, ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]);
    assert_eq!(service.validate(&key).await.status, 429);
}

#[tokio::test]
async fn a_used_up_hour_is_answered_as_deployed_clients_read_it() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    for _ in 0..10 {
        service.validate(&key).await.ok();
    }
    service.clock.advance(Duration::from_millis(500));
    let answer = service.validate(&key).await;
    assert_eq!(answer.body, r#"{"detail":"Rate limit exceeded"}"#);
    assert_snapshot!(answer, @r#"
    429 Too Many Requests
    x-ratelimit-limit: 10
    x-ratelimit-remaining: 0
    x-ratelimit-reset: 1772622000
    retry-after: 1800
    {
      "detail": "Rate limit exceeded"
    }
    "#);
}

#[tokio::test]
async fn of_40_requests_at_once_exactly_10_pass() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    assert_eq!(passed(&service, &key, 40).await, 10);
    assert_eq!(service.used(&key).await, 10);
}

#[tokio::test]
async fn a_larger_limit_is_as_exact() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 150})).await;
    assert_eq!(passed(&service, &key, 100).await, 100);
    assert_eq!(passed(&service, &key, 100).await, 50);
}

#[tokio::test]
async fn a_pause_in_which_the_account_is_forgotten_gives_no_second_allowance() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    assert_eq!(passed(&service, &key, 6).await, 6);
    for pause in 1..=3 {
        service.clock.advance(Duration::from_secs(11));
        forget_accounts(&service).await;
        assert_eq!(passed(&service, &key, 12).await, if pause == 1 { 4 } else { 0 });
    }
    assert_eq!(service.used(&key).await, 10);
}

/// Waits until the service has settled with its store, and holds no account in memory any longer.
async fn forget_accounts(service: &Service) {
    for _ in 0..1000 {
        service.engine.sweep();
        if service.engine.accounts_in_use() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the account is still in memory");
}

#[tokio::test]
async fn the_limit_is_new_with_the_clock_hour() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    service.clock.advance_to(NEXT_HOUR.plus(-1000));
    assert_eq!(passed(&service, &key, 10).await, 10);
    let refused = service.validate(&key).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), "1");
    service.clock.advance_to(NEXT_HOUR);
    let answer = service.validate(&key).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-ratelimit-remaining"), "9");
    assert_eq!(answer.header("x-ratelimit-reset"), (NEXT_HOUR.plus(HOUR).0 / 1_000_000).to_string());
    assert_eq!(service.used(&key).await, 1);
}

#[tokio::test]
async fn units_of_an_hour_do_not_pass_into_the_next() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 100})).await;
    assert_eq!(passed(&service, &key, 60).await, 60);
    service.clock.advance_to(NEXT_HOUR);
    assert_eq!(passed(&service, &key, 110).await, 100);
}

#[tokio::test]
async fn keys_do_not_use_up_the_limits_of_others() {
    let service = Service::start().await;
    let one = service.key(json!({"rate_limit_per_hour": 10})).await;
    let other = service.key(json!({"rate_limit_per_hour": 10})).await;
    assert_eq!(passed(&service, &one, 20).await, 10);
    assert_eq!(passed(&service, &other, 20).await, 10);
}

#[tokio::test]
async fn a_restart_keeps_the_count() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    assert_eq!(passed(&service, &key, 4).await, 4);
    let (clock, operator) = (service.clock.clone(), service.operator.text().to_owned());
    let service = Service::again(service.stop().await, clock, &operator).await;
    assert_eq!(service.used(&key).await, 4);
    assert_eq!(passed(&service, &key, 20).await, 6);
}
