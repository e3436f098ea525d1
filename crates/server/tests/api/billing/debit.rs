//! `POST /api/v1/usage/{key_id}/debit`: predictions are taken off the month, exactly up to its limit.

use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{IssuedKey, Service, Setup, instant, record_of};

/// A service with a plan that ends at the limit, and one that goes on for a price.
async fn with_plans() -> Service {
    Service::with(Setup::with_plans(&["fixed", "open=0.001"])).await
}

/// A key that ends at `limit`.
async fn limited(service: &Service, limit: i64) -> IssuedKey {
    service.key(json!({"billing_plan": "fixed", "monthly_prediction_limit": limit})).await
}

async fn predictions(service: &Service, key: &IssuedKey) -> Value {
    service.operator.bill(key, "").await["current_usage"]["predictions"].clone()
}

#[tokio::test]
async fn a_debit_is_taken_and_counted() {
    let service = with_plans().await;
    let key = limited(&service, 10).await;
    assert_snapshot!(service.operator.debit(&key, 4, "one").await, @r#"
    200 OK
    {
      "duplicates": 0,
      "message": "Usage recorded successfully",
      "recorded": 1
    }
    "#);
    let stats = service.operator.stats(&key, "?by=service").await;
    assert_eq!(stats["total_predictions"], 4);
    assert_eq!(stats["top_endpoints"], json!([{"endpoint": "/models/a-model", "count": 1}]));
    assert_eq!(stats["groups"][0]["name"], "platform");
    assert_eq!(predictions(&service, &key).await, 4);
}

#[tokio::test]
async fn a_debit_past_the_limit_is_answered_as_a_deployed_client_reads_it() {
    let service = with_plans().await;
    let key = limited(&service, 10).await;
    service.operator.debit(&key, 8, "one").await.ok();
    let refused = service.operator.debit(&key, 3, "two").await;
    assert_eq!(
        refused.body,
        "{\"detail\":{\"error\":\"monthly_limit_exceeded\",\"message\":\
         \"This would pass the monthly limit of 10 predictions, 8 of which are used; the plan allows no more\"}}"
    );
    assert_snapshot!(refused, @r#"
    402 Payment Required
    {
      "detail": {
        "error": "monthly_limit_exceeded",
        "message": "This would pass the monthly limit of 10 predictions, 8 of which are used; the plan allows no more"
      }
    }
    "#);
}

#[tokio::test]
async fn a_debit_that_just_fits_is_taken_after_one_that_did_not() {
    let service = with_plans().await;
    let key = limited(&service, 10).await;
    assert_eq!(service.operator.debit(&key, 11, "one").await.brief(), "402");
    assert_eq!(service.operator.debit(&key, 10, "two").await.brief(), "200");
    assert_eq!(service.operator.debit(&key, 1, "three").await.brief(), "402");
    assert_eq!(service.operator.debit(&key, 0, "four").await.brief(), "200");
    assert_eq!(predictions(&service, &key).await, 10);
}

#[tokio::test]
async fn a_limit_of_nothing_admits_nothing() {
    let service = with_plans().await;
    let key = limited(&service, 0).await;
    assert_eq!(service.operator.debit(&key, 1, "one").await.brief(), "402");
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn a_plan_with_overage_and_a_key_without_a_limit_allow_more() {
    let service = with_plans().await;
    let open = service.key(json!({"billing_plan": "open", "monthly_prediction_limit": 10})).await;
    let free = service.key(json!({"billing_plan": "fixed"})).await;
    for key in [&open, &free] {
        assert_eq!(service.operator.debit(key, 1_000_000, "one").await.brief(), "200");
        assert_eq!(service.operator.debit(key, 1, "two").await.brief(), "200");
    }
}

#[tokio::test]
async fn a_debit_that_was_taken_is_taken_again_even_at_the_limit() {
    let service = with_plans().await;
    let key = limited(&service, 10).await;
    service.operator.debit(&key, 10, "one").await.ok();
    assert_eq!(service.operator.debit(&key, 1, "two").await.brief(), "402");
    for predictions in [10, 11] {
        let again = service.operator.debit(&key, predictions, "one").await.ok();
        assert_eq!((&again["recorded"], &again["duplicates"]), (&json!(0), &json!(1)));
    }
    assert_eq!(predictions(&service, &key).await, 10);
}

#[tokio::test]
async fn a_refused_debit_leaves_nothing_behind_and_passes_under_a_higher_limit() {
    let service = with_plans().await;
    let key = limited(&service, 10).await;
    service.operator.debit(&key, 10, "one").await.ok();
    let before = service.operator.stats(&key, "?by=endpoint").await;
    for _ in 0..3 {
        assert_eq!(service.operator.debit(&key, 5, "two").await.brief(), "402");
    }
    assert_eq!(service.operator.stats(&key, "?by=endpoint").await, before);
    let day = service.operator.get("/api/v1/usage/aggregate").await.ok();
    assert_eq!(day["usage_by_date"]["2026-03-04"]["platform"]["requests"], 1);
    service.operator.patch(&key.path(), json!({"monthly_prediction_limit": 15})).await.ok();
    assert_eq!(service.operator.debit(&key, 5, "two").await.ok()["recorded"], 1);
    assert_eq!(predictions(&service, &key).await, 15);
}

#[tokio::test]
async fn a_plan_that_allows_more_lets_a_refused_debit_pass() {
    let service = with_plans().await;
    let key = limited(&service, 10).await;
    assert_eq!(service.operator.debit(&key, 11, "one").await.brief(), "402");
    service.operator.patch(&key.path(), json!({"billing_plan": "open"})).await.ok();
    assert_eq!(service.operator.debit(&key, 11, "one").await.brief(), "200");
}

#[tokio::test]
async fn a_lowered_limit_holds_for_what_was_used_before() {
    let service = with_plans().await;
    let key = limited(&service, 10).await;
    service.operator.debit(&key, 6, "one").await.ok();
    service.operator.patch(&key.path(), json!({"monthly_prediction_limit": 5})).await.ok();
    assert_eq!(service.operator.debit(&key, 1, "two").await.brief(), "402");
    service.operator.patch(&key.path(), json!({"monthly_prediction_limit": null})).await.ok();
    assert_eq!(service.operator.debit(&key, 1, "two").await.brief(), "200");
}

#[tokio::test]
async fn what_was_reported_without_a_debit_counts_against_the_limit_and_is_never_refused() {
    let service = with_plans().await;
    let key = limited(&service, 10).await;
    service.operator.report(&key, json!({"predictions_count": 9})).await.ok();
    assert_eq!(service.operator.debit(&key, 2, "one").await.brief(), "402");
    service.operator.batch(vec![record_of(&key, json!({"predictions_count": 20}))]).await.ok();
    assert_eq!(service.operator.debit(&key, 1, "one").await.brief(), "402");
    assert_eq!(predictions(&service, &key).await, 29);
}

#[tokio::test]
async fn the_next_month_begins_anew() {
    let service = with_plans().await;
    let key = limited(&service, 10).await;
    let turn = instant("2026-04-01T00:00:00Z");
    service.clock.advance_to(turn.plus(-1));
    service.operator.debit(&key, 10, "one").await.ok();
    assert_eq!(service.operator.debit(&key, 1, "two").await.brief(), "402");
    service.clock.advance_to(turn);
    assert_eq!(service.operator.debit(&key, 10, "two").await.brief(), "200");
    assert_eq!(service.operator.debit(&key, 1, "three").await.brief(), "402");
}

#[tokio::test]
async fn a_debit_of_the_last_month_is_held_to_what_was_used_in_it() {
    let service = with_plans().await;
    let key = limited(&service, 10).await;
    let path = format!("{}/debit", key.usage_path());
    let late = |idempotency_key: &str, predictions: i64| {
        json!({
            "model_id": "a-model", "idempotency_key": idempotency_key, "predictions_count": predictions,
            "occurred_at": "2026-02-28T23:59:59.999999Z"
        })
    };
    service.operator.debit(&key, 10, "now").await.ok();
    assert_eq!(service.operator.post(&path, late("one", 10)).await.brief(), "200");
    assert_eq!(service.operator.post(&path, late("two", 1)).await.brief(), "402");
}

#[tokio::test]
async fn a_rotated_key_and_its_successor_share_the_month() {
    let service = with_plans().await;
    let key = limited(&service, 10).await;
    service.operator.debit(&key, 6, "one").await.ok();
    let successor = IssuedKey::of(&service.operator.rotate(&key).await.ok());
    assert_eq!(service.operator.debit(&successor, 5, "two").await.brief(), "402");
    assert_eq!(service.operator.debit(&successor, 4, "three").await.brief(), "200");
    assert_eq!(service.operator.debit(&key, 1, "four").await.brief(), "402");
}

#[tokio::test]
async fn of_50_debits_at_once_exactly_20_pass() {
    let service = with_plans().await;
    let key = limited(&service, 20).await;
    let mut debits = JoinSet::new();
    for number in 0..50 {
        let (caller, path) = (service.operator.clone(), format!("{}/debit", key.usage_path()));
        let debit =
            json!({"model_id": "a-model", "predictions_count": 1, "idempotency_key": number.to_string()});
        debits.spawn(async move { caller.post(&path, debit).await.status.as_u16() });
    }
    let statuses = debits.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 20, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 402).count(), 30, "{statuses:?}");
    assert_eq!(predictions(&service, &key).await, 20);
    assert_eq!(service.operator.requests(&key).await, 20);
}

#[tokio::test]
async fn debits_of_several_predictions_at_once_never_pass_the_limit_together() {
    let service = with_plans().await;
    let key = limited(&service, 100).await;
    let mut debits = JoinSet::new();
    for number in 0..40 {
        let (caller, path) = (service.operator.clone(), format!("{}/debit", key.usage_path()));
        let debit =
            json!({"model_id": "a-model", "predictions_count": 7, "idempotency_key": number.to_string()});
        debits.spawn(async move { caller.post(&path, debit).await.status.as_u16() });
    }
    let taken = debits.join_all().await.iter().filter(|status| **status == 200).count();
    assert_eq!(taken, 14);
    assert_eq!(predictions(&service, &key).await, 98);
}

#[tokio::test]
async fn under_a_plan_that_nobody_knows_any_more_the_limit_is_the_end() {
    let service = with_plans().await;
    let key = service.key(json!({"billing_plan": "open", "monthly_prediction_limit": 10})).await;
    service.operator.debit(&key, 11, "one").await.ok();
    let service = service.restart(Setup::with_plans(&["fixed"])).await;
    assert_eq!(service.operator.debit(&key, 1, "two").await.brief(), "402");
}
