//! `GET /api/v1/usage/{key_id}/billing`: what a month costs.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{IssuedKey, Service, Setup, instant};

/// The plan, the limit and the charges of a bill.
async fn terms(service: &Service, key: &IssuedKey, query: &str) -> Value {
    let bill = service.operator.bill(key, query).await;
    json!([bill["billing_plan"], bill["monthly_limit"], bill["overage_charges"]])
}

#[tokio::test]
async fn predictions_past_the_limit_cost_what_the_plan_says() {
    let service = Service::start().await;
    let key = service.key(json!({"monthly_prediction_limit": 1000})).await;
    let used = json!({"predictions_count": 1498, "compute_ms": 47.4, "response_time_ms": 3});
    service.operator.report(&key, used).await.ok();
    assert_snapshot!(service.operator.get(&format!("{}/billing", key.usage_path())).await, @r#"
    200 OK
    {
      "billing_plan": "free",
      "current_usage": {
        "compute_ms": 47,
        "predictions": 1498,
        "requests": 1
      },
      "key_id": "[id 1]",
      "monthly_limit": 1000,
      "next_billing_date": "2026-04-01",
      "overage_charges": 0.498,
      "period": "2026-03"
    }
    "#);
}

#[tokio::test]
async fn up_to_the_limit_and_without_one_nothing_is_charged() {
    let service = Service::start().await;
    for (limit, used, charged) in [
        (json!(100), 100, 0.0),
        (json!(100), 101, 0.001),
        (json!(0), 5, 0.005),
        (json!(null), 1_000_000, 0.0),
    ] {
        let key = service.key(json!({"monthly_prediction_limit": limit})).await;
        service.operator.report(&key, json!({"predictions_count": used})).await.ok();
        assert_eq!(service.operator.bill(&key, "").await["overage_charges"], charged, "{limit} {used}");
    }
}

#[tokio::test]
async fn charges_are_exact_to_a_millionth_of_a_dollar() {
    let service = Service::with(Setup::with_plans(&["odd=0.000001", "dear=12.345678", "fixed"])).await;
    for (plan, charged) in [("odd", 0.000_003), ("dear", 37.037_034), ("fixed", 0.0)] {
        let key = service.key(json!({"billing_plan": plan, "monthly_prediction_limit": 4})).await;
        service.operator.report(&key, json!({"predictions_count": 7})).await.ok();
        assert_eq!(service.operator.bill(&key, "").await["overage_charges"], charged, "{plan}");
    }
}

#[tokio::test]
async fn a_month_without_usage_costs_nothing() {
    let service = Service::start().await;
    let key = service.key(json!({"monthly_prediction_limit": 5})).await;
    for (period, next) in [("2026-04", "2026-05-01"), ("2025-12", "2026-01-01"), ("2024-02", "2024-03-01")] {
        let bill = service.operator.bill(&key, &format!("?period={period}")).await;
        assert_eq!(bill["current_usage"], json!({"requests": 0, "predictions": 0, "compute_ms": 0}));
        assert_eq!((&bill["period"], &bill["next_billing_date"]), (&json!(period), &json!(next)));
        assert_eq!(bill["overage_charges"], 0.0);
    }
}

#[tokio::test]
async fn a_rotated_key_and_its_successor_show_one_bill() {
    let service = Service::start().await;
    let key = service.key(json!({"monthly_prediction_limit": 10})).await;
    service.operator.report(&key, json!({"predictions_count": 8, "compute_ms": 1})).await.ok();
    let successor = IssuedKey::of(&service.operator.rotate(&key).await.ok());
    service.operator.report(&successor, json!({"predictions_count": 5, "compute_ms": 2})).await.ok();
    let third = IssuedKey::of(&service.operator.rotate(&successor).await.ok());
    for key in [&key, &successor, &third] {
        let mut bill = service.operator.bill(key, "").await;
        assert_eq!(bill["key_id"].take(), key.id.as_str());
        assert_eq!(bill["current_usage"], json!({"requests": 2, "predictions": 13, "compute_ms": 3}));
        assert_eq!(bill["overage_charges"], 0.003);
    }
}

#[tokio::test]
async fn a_plan_that_is_changed_for_one_of_two_rotated_keys_is_on_the_one_bill_of_both() {
    let service = Service::with(Setup::with_plans(&["free=0.001", "gold=0.5"])).await;
    let key = service.key(json!({"monthly_prediction_limit": 10})).await;
    let successor = IssuedKey::of(&service.operator.rotate(&key).await.ok());
    service.operator.report(&successor, json!({"predictions_count": 12})).await.ok();
    service.operator.patch(&successor.path(), json!({"billing_plan": "gold"})).await.ok();
    assert_eq!(terms(&service, &successor, "").await, json!(["gold", 10, 1.0]));
    assert_eq!(terms(&service, &key, "").await, json!(["gold", 10, 1.0]));
}

#[tokio::test]
async fn a_month_is_billed_by_what_held_at_its_end() {
    let service = Service::with(Setup::with_plans(&["free=0.001", "gold=0.5"])).await;
    let key = service.key(json!({"monthly_prediction_limit": 10})).await;
    let used = || json!({"predictions_count": 12});
    service.operator.report(&key, used()).await.ok();
    assert_eq!(terms(&service, &key, "").await, json!(["free", 10, 0.002]));

    // Within the month the new plan holds for all of it.
    service.operator.patch(&key.path(), json!({"billing_plan": "gold"})).await.ok();
    assert_eq!(terms(&service, &key, "").await, json!(["gold", 10, 1.0]));

    // From the next month on it no longer changes.
    service.clock.advance_to(instant("2026-04-01T00:00:00Z"));
    service.operator.report(&key, used()).await.ok();
    service.operator.patch(&key.path(), json!({"billing_plan": "free"})).await.ok();
    service.operator.patch(&key.path(), json!({"monthly_prediction_limit": 4})).await.ok();
    service.operator.patch(&key.path(), json!({"monthly_prediction_limit": 2})).await.ok();
    assert_eq!(terms(&service, &key, "?period=2026-03").await, json!(["gold", 10, 1.0]));
    assert_eq!(terms(&service, &key, "").await, json!(["free", 2, 0.01]));

    service.clock.advance_to(instant("2026-06-15T00:00:00Z"));
    service.operator.patch(&key.path(), json!({"monthly_prediction_limit": null})).await.ok();
    assert_eq!(terms(&service, &key, "?period=2026-03").await, json!(["gold", 10, 1.0]));
    assert_eq!(terms(&service, &key, "?period=2026-04").await, json!(["free", 2, 0.01]));
    assert_eq!(terms(&service, &key, "?period=2026-05").await, json!(["free", 2, 0.0]));
    assert_eq!(terms(&service, &key, "").await, json!(["free", null, 0.0]));
}

#[tokio::test]
async fn a_late_record_is_billed_by_the_terms_of_its_month() {
    let service = Service::with(Setup::with_plans(&["free=0.001", "gold=0.5"])).await;
    let key = service.key(json!({"monthly_prediction_limit": 10})).await;
    service.clock.advance_to(instant("2026-04-02T00:00:00Z"));
    let gold = json!({"billing_plan": "gold", "monthly_prediction_limit": 0});
    service.operator.patch(&key.path(), gold).await.ok();
    let late = json!({"predictions_count": 12, "occurred_at": "2026-03-31T00:00:00Z"});
    service.operator.report(&key, late).await.ok();
    assert_eq!(terms(&service, &key, "?period=2026-03").await, json!(["free", 10, 0.002]));
    assert_eq!(terms(&service, &key, "").await, json!(["gold", 0, 0.0]));
}

#[tokio::test]
async fn a_plan_that_is_not_configured_any_more_has_no_price() {
    let service = Service::with(Setup::with_plans(&["free=0.001", "gold=0.5"])).await;
    let key = service.key(json!({"billing_plan": "gold"})).await;
    service.operator.report(&key, json!({})).await.ok();
    let service = service.restart(Setup::default()).await;
    assert_snapshot!(service.operator.get(&format!("{}/billing", key.usage_path())).await, @r#"
    409 Conflict
    {
      "code": "unknown_plan",
      "detail": "The plan gold is not among the configured billing plans, so its price is not known"
    }
    "#);
    assert_eq!(service.operator.requests(&key).await, 1);
    service.operator.report(&key, json!({})).await.ok();
}

#[tokio::test]
async fn a_member_sees_its_own_bill() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let key = ada.key(json!({})).await;
    assert_eq!(ada.bill(&key, "").await["billing_plan"], "free");
}
