//! `GET /api/v1/alerts`: keys that somebody should look at, for as long as there is a reason to.

use std::time::Duration;

use hokusai_engine::AlertThresholds;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Caller, IssuedKey, Service, Setup, instant};

const ALERTS: &str = "/api/v1/alerts";
const HOUR: Duration = Duration::from_secs(3600);

/// A service that has alerts from 3 refusals and 2 limit hits on.
async fn watchful() -> Service {
    let mut setup = Setup::default();
    setup.engine.alerts = AlertThresholds { expiry_days: 14, refusals: 3, limit_hits: 2 };
    Service::with(setup).await
}

/// What there is an alert of, and of which key, with what was counted up to now.
async fn alerts(service: &Service, caller: &Caller) -> Vec<(String, String)> {
    service.engine.hand_counts_in().await.unwrap();
    let alerts = caller.get(ALERTS).await.ok()["alerts"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    alerts.as_array().unwrap().iter().map(|alert| (text(&alert["kind"]), text(&alert["key_id"]))).collect()
}

/// An alert of this kind and key.
fn of(kind: &str, key: &IssuedKey) -> (String, String) {
    (kind.to_owned(), key.id.clone())
}

async fn refuse(service: &Service, key: &IssuedKey, times: usize) {
    for _ in 0..times {
        service.ask(key, json!({"service_id": "prediction"})).await;
    }
}

#[tokio::test]
async fn without_a_reason_there_are_none() {
    let service = watchful().await;
    let key = service.key(json!({"expires_in_days": 15})).await;
    service.validate(&key).await.ok();
    assert_snapshot!(service.operator.get(ALERTS).await, @r#"
    200 OK
    {
      "alerts": [],
      "truncated": false
    }
    "#);
}

/// A key of each kind that there are alerts of, in their order.
async fn one_of_each_kind(service: &Service) -> [IssuedKey; 4] {
    let expiring = service.key(json!({"name": "Expiring", "expires_in_days": 14})).await;
    let rotated = service.key(json!({"name": "Rotated"})).await;
    service.operator.rotate(&rotated).await.ok();
    service.clock.advance(Duration::from_secs(1));
    service.validate(&rotated).await.ok();
    let refused = service.key(json!({"name": "Refused"})).await;
    refuse(service, &refused, 3).await;
    let limited = service.key(json!({"name": "Limited", "rate_limit_per_hour": 10})).await;
    for _ in 0..12 {
        service.validate(&limited).await;
    }
    [expiring, rotated, refused, limited]
}

#[tokio::test]
async fn each_kind_is_shown_with_what_to_do() {
    let service = watchful().await;
    let [expiring, rotated, refused, limited] = one_of_each_kind(&service).await;
    let expected = [
        of("expires_soon", &expiring),
        of("used_in_grace", &rotated),
        of("many_refusals", &refused),
        of("many_limit_hits", &limited),
    ];
    assert_eq!(alerts(&service, &service.operator).await, expected);
    assert_snapshot!(service.operator.get(ALERTS).await, @r#"
    200 OK
    {
      "alerts": [
        {
          "at": "2026-03-18T10:30:00Z",
          "count": 0,
          "key_id": "[id 1]",
          "kind": "expires_soon",
          "message": "expires at 2026-03-18T10:30:00Z: rotate it, or give it a new expiry",
          "name": "Expiring",
          "user_id": "admin"
        },
        {
          "at": "2026-03-05T10:30:00Z",
          "count": 0,
          "key_id": "[id 2]",
          "kind": "used_in_grace",
          "message": "was rotated, is still used, and ends at 2026-03-05T10:30:00Z: use its successor",
          "name": "Rotated",
          "user_id": "admin"
        },
        {
          "at": "2026-03-04T10:00:00Z",
          "count": 3,
          "key_id": "[id 3]",
          "kind": "many_refusals",
          "message": "was refused 3 times between 2026-03-04T10:00:00Z and 2026-03-04T11:00:00Z: see who still uses it, and how",
          "name": "Refused",
          "user_id": "admin"
        },
        {
          "at": "2026-03-04T10:00:00Z",
          "count": 2,
          "key_id": "[id 4]",
          "kind": "many_limit_hits",
          "message": "reached its limit 2 times between 2026-03-04T10:00:00Z and 2026-03-04T11:00:00Z: slow down, or raise it",
          "name": "Limited",
          "user_id": "admin"
        }
      ],
      "truncated": false
    }
    "#);
}

#[tokio::test]
async fn an_expiry_is_told_of_from_so_many_days_before_until_it_is_there() {
    let service = watchful().await;
    let key = service.key(json!({"expires_at": "2026-04-01T00:00:00Z"})).await;
    for (now, is_told) in [
        ("2026-03-17T23:59:59.999999Z", false),
        ("2026-03-18T00:00:00Z", true),
        ("2026-03-31T23:59:59.999999Z", true),
        ("2026-04-01T00:00:00Z", false),
    ] {
        service.clock.advance_to(instant(now));
        let expected = is_told.then(|| of("expires_soon", &key)).into_iter().collect::<Vec<_>>();
        assert_eq!(alerts(&service, &service.operator).await, expected, "{now}");
    }
}

#[tokio::test]
async fn an_expiry_is_not_told_of_once_it_is_seen_to() {
    let service = watchful().await;
    let soon = || json!({"expires_in_days": 5});
    let (renewed, rotated, revoked) =
        (service.key(soon()).await, service.key(soon()).await, service.key(soon()).await);
    assert_eq!(alerts(&service, &service.operator).await.len(), 3);
    service.operator.patch(&renewed.path(), json!({"expires_in_days": 100})).await.ok();
    let successor = IssuedKey::of(&service.operator.rotate(&rotated).await.ok());
    service.operator.delete(&revoked.path()).await.ok();
    // The successor lives as long as its predecessor was made for.
    assert_eq!(alerts(&service, &service.operator).await, [of("expires_soon", &successor)]);
    service.operator.patch(&successor.path(), json!({"expires_at": null})).await.ok();
    assert_eq!(alerts(&service, &service.operator).await, []);
}

#[tokio::test]
async fn a_key_in_grace_is_told_of_only_if_it_is_still_used() {
    let service = watchful().await;
    let (used, unused) = (service.key(json!({})).await, service.key(json!({})).await);
    for key in [&used, &unused] {
        service.validate(key).await.ok();
        service.clock.advance(Duration::from_secs(1));
        service.operator.rotate(key).await.ok();
    }
    assert_eq!(alerts(&service, &service.operator).await, []);
    service.clock.advance(Duration::from_secs(1));
    refuse(&service, &unused, 1).await;
    service.validate(&used).await.ok();
    assert_eq!(alerts(&service, &service.operator).await, [of("used_in_grace", &used)]);
    service.clock.advance(24 * HOUR);
    assert_eq!(alerts(&service, &service.operator).await, []);
}

#[tokio::test]
async fn a_key_in_grace_is_not_told_of_once_it_is_revoked() {
    let service = watchful().await;
    let key = service.key(json!({})).await;
    service.operator.rotate(&key).await.ok();
    service.clock.advance(Duration::from_secs(1));
    service.validate(&key).await.ok();
    assert_eq!(alerts(&service, &service.operator).await, [of("used_in_grace", &key)]);
    service.operator.delete(&key.path()).await.ok();
    assert_eq!(alerts(&service, &service.operator).await, []);
}

#[tokio::test]
async fn refusals_are_told_of_from_the_threshold_on_until_the_next_hour_is_over() {
    let service = watchful().await;
    let key = service.key(json!({})).await;
    refuse(&service, &key, 2).await;
    assert_eq!(alerts(&service, &service.operator).await, []);
    service.ask(&key, json!({"required_scope": "admin"})).await;
    assert_eq!(alerts(&service, &service.operator).await, [of("many_refusals", &key)]);
    service.clock.advance_to(instant("2026-03-04T11:59:59.999999Z"));
    assert_eq!(alerts(&service, &service.operator).await, [of("many_refusals", &key)]);
    service.clock.advance(Duration::from_micros(1));
    assert_eq!(alerts(&service, &service.operator).await, []);
}

#[tokio::test]
async fn refusals_of_two_hours_are_not_added_up_and_the_worse_hour_is_told() {
    let service = watchful().await;
    let (key, worse) = (service.key(json!({})).await, service.key(json!({})).await);
    refuse(&service, &key, 2).await;
    refuse(&service, &worse, 5).await;
    service.clock.advance(HOUR);
    refuse(&service, &key, 2).await;
    refuse(&service, &worse, 3).await;
    assert_eq!(alerts(&service, &service.operator).await, [of("many_refusals", &worse)]);
    let alert = service.operator.get(ALERTS).await.ok()["alerts"][0].clone();
    assert_eq!((&alert["count"], &alert["at"]), (&json!(5), &json!("2026-03-04T10:00:00Z")));
}

#[tokio::test]
async fn whoever_goes_on_with_a_revoked_key_is_told_of() {
    let service = watchful().await;
    let key = service.key(json!({})).await;
    service.operator.delete(&key.path()).await.ok();
    for _ in 0..3 {
        service.validate(&key).await;
    }
    assert_eq!(alerts(&service, &service.operator).await, [of("many_refusals", &key)]);
}

#[tokio::test]
async fn limit_hits_are_told_of_from_the_threshold_on_until_the_next_hour_is_over() {
    let service = watchful().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    for _ in 0..11 {
        service.validate(&key).await;
    }
    assert_eq!(alerts(&service, &service.operator).await, []);
    service.validate(&key).await;
    assert_eq!(alerts(&service, &service.operator).await, [of("many_limit_hits", &key)]);
    service.clock.advance_to(instant("2026-03-04T12:00:00Z"));
    assert_eq!(alerts(&service, &service.operator).await, []);
}

#[tokio::test]
async fn a_member_sees_alerts_of_its_own_keys_alone() {
    let service = watchful().await;
    let (ada, grace) = (service.member("ada").await, service.member("grace").await);
    let mut keys = Vec::new();
    for caller in [&ada, &grace] {
        let key = caller.key(json!({"expires_in_days": 3})).await;
        refuse(&service, &key, 3).await;
        keys.push(key);
    }
    let own = [of("expires_soon", &keys[0]), of("many_refusals", &keys[0])];
    assert_eq!(alerts(&service, &ada).await, own);
    assert_eq!(alerts(&service, &service.operator).await.len(), 4);
    assert_eq!(alerts(&service, &service.member("nobody").await).await, []);
}

#[tokio::test]
async fn more_than_a_thousand_of_a_kind_are_cut_off_and_it_is_said() {
    let service = watchful().await;
    for _ in 0..999 {
        service.key(json!({"expires_in_days": 3})).await;
    }
    assert_eq!(service.operator.get(ALERTS).await.ok()["truncated"], false);
    for _ in 0..2 {
        service.key(json!({"expires_in_days": 3})).await;
    }
    let told = service.operator.get(ALERTS).await.ok();
    assert_eq!((told["alerts"].as_array().unwrap().len(), &told["truncated"]), (1000, &json!(true)));
}
