//! `POST /api/v1/usage/{key_id}`: a report is durable before it is answered, and counts once.

use insta::assert_snapshot;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{IssuedKey, Service, Setup, record_of, report, until};

#[tokio::test]
async fn a_report_is_answered_and_counted() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let fields = json!({
        "status_code": 503, "response_time_ms": 12.3456, "predictions_count": 7, "compute_ms": 8.5,
        "model_id": "a-model", "idempotency_key": "one", "occurred_at": "2026-03-04T10:29:59Z"
    });
    assert_snapshot!(service.operator.report(&key, fields).await, @r#"
    200 OK
    {
      "duplicates": 0,
      "message": "Usage recorded successfully",
      "recorded": 1
    }
    "#);
    assert_snapshot!(service.operator.get(&format!("{}/stats", key.usage_path())).await, @r#"
    200 OK
    {
      "average_response_time_ms": 12.346,
      "error_rate": 1.0,
      "key_id": "[id 1]",
      "period": "2026-03",
      "top_endpoints": [
        {
          "count": 1,
          "endpoint": "/v1/predict"
        }
      ],
      "total_compute_ms": 9,
      "total_predictions": 7,
      "total_requests": 1
    }
    "#);
}

#[tokio::test]
async fn what_was_answered_is_in_the_database() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for count in 1..=3 {
        service.operator.report(&key, json!({"idempotency_key": count.to_string()})).await.ok();
        // Somebody else, who sees only what is committed.
        assert_eq!(service.place.count_rows("usage_records").await, count);
    }
    service.operator.report(&key, json!({"idempotency_key": "3"})).await.ok();
    assert_eq!(service.place.count_rows("usage_records").await, 3);
}

#[tokio::test]
async fn what_was_answered_outlives_a_restart() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.operator.report(&key, json!({"predictions_count": 3})).await.ok();
    let service = service.restart(Setup::default()).await;
    assert_eq!(service.operator.stats(&key, "").await["total_predictions"], 3);
}

#[tokio::test]
async fn the_same_idempotency_key_counts_once_whatever_else_is_different() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let first = json!({"idempotency_key": "one", "predictions_count": 1});
    let taken = service.operator.report(&key, first).await.ok();
    assert_eq!((&taken["recorded"], &taken["duplicates"]), (&json!(1), &json!(0)));
    for other in [
        json!({}),
        json!({"predictions_count": 1}),
        json!({"predictions_count": 900, "compute_ms": 5}),
        json!({"occurred_at": "2026-02-10T00:00:00Z"}),
        json!({"service_id": "platform", "endpoint": "/elsewhere", "status_code": 500}),
    ] {
        let mut fields = other.clone();
        fields["idempotency_key"] = "one".into();
        let again = service.operator.report(&key, fields).await.ok();
        assert_eq!((&again["recorded"], &again["duplicates"]), (&json!(0), &json!(1)), "{other}");
    }
    let stats = service.operator.stats(&key, "").await;
    assert_eq!((&stats["total_requests"], &stats["total_predictions"]), (&json!(1), &json!(1)));
    assert_eq!(stats["top_endpoints"], json!([{"endpoint": "/v1/predict", "count": 1}]));
    assert_eq!(service.operator.stats(&key, "?period=2026-02").await["total_requests"], 0);
}

#[tokio::test]
async fn the_same_idempotency_key_counts_once_after_a_restart_too() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let fields = || json!({"idempotency_key": "one"});
    service.operator.report(&key, fields()).await.ok();
    let service = service.restart(Setup::default()).await;
    assert_eq!(service.operator.report(&key, fields()).await.ok()["duplicates"], 1);
    assert_eq!(service.operator.requests(&key).await, 1);
}

#[tokio::test]
async fn the_same_report_many_times_at_once_counts_once() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let mut reports = JoinSet::new();
    for _ in 0..30 {
        let (caller, path) = (service.operator.clone(), key.usage_path());
        reports.spawn(async move {
            let taken = caller.post(&path, report(json!({"idempotency_key": "one"}))).await.ok();
            taken["recorded"].as_i64().unwrap()
        });
    }
    assert_eq!(reports.join_all().await.iter().sum::<i64>(), 1);
    assert_eq!(service.operator.requests(&key).await, 1);
}

#[tokio::test]
async fn keys_have_idempotency_keys_of_their_own() {
    let service = Service::start().await;
    let (one, other) = (service.key(json!({})).await, service.key(json!({})).await);
    for key in [&one, &other] {
        let taken = service.operator.report(key, json!({"idempotency_key": "one"})).await.ok();
        assert_eq!(taken["recorded"], 1);
    }
}

#[tokio::test]
async fn a_report_and_a_debit_of_the_same_idempotency_key_count_once() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.operator.report(&key, json!({"idempotency_key": "one"})).await.ok();
    assert_eq!(service.operator.debit(&key, 5, "one").await.ok()["duplicates"], 1);
    assert_eq!(service.operator.stats(&key, "").await["total_predictions"], 0);
}

#[tokio::test]
async fn without_an_idempotency_key_every_report_counts() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for fields in [json!({}), json!({}), json!({"idempotency_key": null})] {
        assert_eq!(service.operator.report(&key, fields).await.ok()["recorded"], 1);
    }
    assert_eq!(service.operator.requests(&key).await, 3);
}

#[tokio::test]
async fn fields_that_nobody_knows_are_ignored() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let fields = json!({"method": "POST", "key_id": 7, "records": [], "nested": {"a": [null]}});
    assert_eq!(service.operator.report(&key, fields).await.brief(), "200");
}

#[tokio::test]
async fn a_key_that_does_not_exist_has_no_usage() {
    let service = Service::start().await;
    for id in ["019cb840-0000-7000-8000-000000000000", "no-uuid", "%00"] {
        let key = IssuedKey { id: id.into(), text: String::new() };
        let operator = &service.operator;
        assert_eq!(operator.report(&key, json!({})).await.brief(), "404 not_found", "{id}");
        assert_eq!(operator.debit(&key, 1, "one").await.brief(), "404 not_found", "{id}");
        for path in ["stats", "billing"] {
            let answer = operator.get(&format!("{}/{path}", key.usage_path())).await;
            assert_eq!(answer.detail(), "404 API key not found", "{id}");
        }
    }
}

#[tokio::test]
async fn what_a_key_did_before_its_end_can_be_reported_after_it() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.operator.delete(&key.path()).await.ok();
    service.operator.report(&key, json!({})).await.ok();
    assert_eq!(service.operator.requests(&key).await, 1);
}

#[tokio::test]
async fn usage_does_not_touch_the_hourly_limit() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 10})).await;
    for number in 0..12 {
        service.operator.report(&key, json!({})).await.ok();
        service.bearer(&key.text).debit(&key, 1, &number.to_string()).await.ok();
    }
    assert_eq!(service.used(&key).await, 0);
    assert_eq!(service.validate(&key).await.status, 200);
}

#[tokio::test]
async fn a_store_that_is_away_takes_nothing_and_a_repeated_report_counts_once() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.operator.report(&key, json!({"idempotency_key": "before"})).await.ok();
    service.place.take_away().await;
    let fields = || json!({"idempotency_key": "during"});
    let refused = service.anyone().report(&key, fields()).await;
    assert_eq!(refused.brief(), "503 store_unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    let batch = vec![record_of(&key, json!({"idempotency_key": "during"}))];
    for answer in [
        service.anyone().batch(batch).await,
        service.operator.debit(&key, 1, "during").await,
        service.operator.get(&format!("{}/stats", key.usage_path())).await,
        service.operator.get(&format!("{}/billing", key.usage_path())).await,
        service.operator.get("/api/v1/usage/aggregate").await,
    ] {
        assert_eq!(answer.brief(), "503 store_unavailable");
    }
    service.place.bring_back().await;
    for _ in 0..2 {
        until("the report is taken", async || {
            (service.anyone().report(&key, fields()).await.status == 200).then_some(())
        })
        .await;
    }
    assert_eq!(service.operator.requests(&key).await, 2);
}
