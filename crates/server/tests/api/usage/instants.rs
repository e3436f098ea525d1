//! `occurred_at`: when a request was made, which decides the day and the month that it counts in.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{IssuedKey, Service, Setup, instant, record_of};

async fn outcomes(service: &Service, key: &IssuedKey, values: &[&str]) -> String {
    let mut lines = String::new();
    for value in values {
        let answer = service.operator.report(key, json!({"occurred_at": value})).await;
        lines.push_str(&format!("{value} -> {}\n", answer.detail().trim_end()));
    }
    lines
}

#[tokio::test]
async fn a_record_lies_at_most_5_minutes_ahead_and_35_days_back() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let values = [
        "2026-03-04T10:35:00Z",
        "2026-03-04T10:35:00.000001Z",
        "2026-03-05T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-01-28T10:30:00Z",
        "2026-01-28T10:29:59.999999Z",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
    ];
    assert_snapshot!(outcomes(&service, &key, &values).await, @r#"
    2026-03-04T10:35:00Z -> 200
    2026-03-04T10:35:00.000001Z -> 422 occurred_at: must not lie more than 5 minutes ahead
    2026-03-05T00:00:00Z -> 422 occurred_at: must not lie more than 5 minutes ahead
    9999-12-31T23:59:59Z -> 422 occurred_at: must be an RFC 3339 time, with zone
    2026-01-28T10:30:00Z -> 200
    2026-01-28T10:29:59.999999Z -> 422 occurred_at: must not lie more than 35 days back: records are kept no longer
    1970-01-01T00:00:00Z -> 422 occurred_at: must not lie more than 35 days back: records are kept no longer
    0001-01-01T00:00:00Z -> 422 occurred_at: must not lie more than 35 days back: records are kept no longer
    "#);
    assert_eq!(service.operator.requests(&key).await, 1);
    assert_eq!(service.operator.stats(&key, "?period=2026-01").await["total_requests"], 1);
}

#[tokio::test]
async fn an_instant_is_an_rfc_3339_time_with_its_zone() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let values = [
        "2026-03-04T10:30:00Z",
        "2026-03-04T15:30:00.5+05:00",
        "2026-03-04T10:30:00",
        "2026-03-04",
        "2026-02-30T10:30:00Z",
        "1772620200",
        "now",
        "",
    ];
    assert_snapshot!(outcomes(&service, &key, &values).await, @r#"
    2026-03-04T10:30:00Z -> 200
    2026-03-04T15:30:00.5+05:00 -> 200
    2026-03-04T10:30:00 -> 422 occurred_at: must be an RFC 3339 time, with zone
    2026-03-04 -> 422 occurred_at: must be an RFC 3339 time, with zone
    2026-02-30T10:30:00Z -> 422 occurred_at: must be an RFC 3339 time, with zone
    1772620200 -> 422 occurred_at: must be an RFC 3339 time, with zone
    now -> 422 occurred_at: must be an RFC 3339 time, with zone
     -> 422 occurred_at: must be an RFC 3339 time, with zone
    "#);
    for value in [json!(1_772_620_200), json!(true), json!([])] {
        let answer = service.operator.report(&key, json!({"occurred_at": value})).await;
        assert_eq!(answer.brief(), "422 invalid_request", "{value}");
    }
    service.operator.report(&key, json!({"occurred_at": null})).await.ok();
}

#[tokio::test]
async fn how_long_records_are_kept_is_configured() {
    let mut setup = Setup::default();
    setup.engine.usage_retention_days = 3;
    let service = Service::with(setup).await;
    let key = service.key(json!({})).await;
    let values = ["2026-03-01T10:30:00Z", "2026-03-01T10:29:59.999999Z"];
    assert_snapshot!(outcomes(&service, &key, &values).await, @r#"
    2026-03-01T10:30:00Z -> 200
    2026-03-01T10:29:59.999999Z -> 422 occurred_at: must not lie more than 3 days back: records are kept no longer
    "#);
}

#[tokio::test]
async fn what_was_dropped_is_refused_by_name_however_long_records_are_kept_now() {
    let mut setup = Setup::default();
    setup.engine.usage_retention_days = 1;
    let service = Service::with(setup).await;
    let key = service.key(json!({})).await;
    let once = json!({"idempotency_key": "one", "occurred_at": "2026-03-04T10:30:00Z"});
    service.operator.report(&key, once.clone()).await.ok();
    service.clock.advance_to(instant("2026-03-06T10:30:00Z"));
    service.engine.tidy().await.unwrap();
    let service = service.restart(Setup::default()).await;
    let dropped = "occurred_at: must not lie so far back: records of that time were dropped";
    assert_eq!(service.operator.report(&key, once.clone()).await.detail(), format!("422 {dropped}"));
    let records = vec![record_of(&key, json!({})), record_of(&key, once)];
    assert_eq!(service.operator.batch(records).await.detail(), format!("422 records[1].{dropped}"));
    assert_eq!(service.operator.requests(&key).await, 1);
}

#[tokio::test]
async fn a_record_that_is_too_old_is_named_in_a_batch_and_nothing_is_taken() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let old = record_of(&key, json!({"occurred_at": "2026-01-01T00:00:00Z"}));
    let records = vec![record_of(&key, json!({})), old, record_of(&key, json!({}))];
    assert_snapshot!(service.operator.batch(records).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "records[1].occurred_at: must not lie more than 35 days back: records are kept no longer",
      "errors": [
        {
          "field": "records[1].occurred_at",
          "message": "must not lie more than 35 days back: records are kept no longer"
        }
      ]
    }
    "#);
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn a_debit_that_is_too_old_is_refused_by_name() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let path = format!("{}/debit", key.usage_path());
    let debit = json!({"model_id": "m", "idempotency_key": "one", "occurred_at": "2026-01-01T00:00:00Z"});
    let detail = service.operator.post(&path, debit).await.detail();
    assert_eq!(detail, "422 occurred_at: must not lie more than 35 days back: records are kept no longer");
}

#[tokio::test]
async fn a_record_of_the_last_month_counts_there() {
    let service = Service::start().await;
    let key = service.key(json!({"monthly_prediction_limit": 1})).await;
    let late = json!({"occurred_at": "2026-02-28T23:59:59.999999Z", "predictions_count": 5});
    service.operator.report(&key, late).await.ok();
    assert_eq!(service.operator.requests(&key).await, 0);
    let february = service.operator.stats(&key, "?period=2026-02&by=day").await;
    assert_eq!(february["total_predictions"], 5);
    assert_eq!(february["groups"][0]["name"], "2026-02-28");
    assert_eq!(service.operator.bill(&key, "?period=2026-02").await["overage_charges"], 0.004);
    assert_eq!(service.operator.bill(&key, "").await["overage_charges"], 0.0);
}

#[tokio::test]
async fn a_zone_decides_nothing_but_the_instant() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.operator.report(&key, json!({"occurred_at": "2026-03-01T01:30:00+02:00"})).await.ok();
    assert_eq!(service.operator.stats(&key, "?period=2026-02").await["total_requests"], 1);
}

/// What a key used in two months, between which the service's clock turns from one to the other.
async fn around(turn: &str, months: [&str; 2]) -> [[i64; 2]; 2] {
    let service = Service::start().await;
    let (told, timed) = (service.key(json!({})).await, service.key(json!({})).await);
    let turn = instant(turn);
    service.clock.advance_to(turn.plus(-1));
    service.operator.report(&timed, json!({})).await.ok();
    service.clock.advance_to(turn);
    service.operator.report(&timed, json!({})).await.ok();
    for at in [turn.plus(-1), turn] {
        let at = hokusai_api::time::write(at.0);
        service.operator.report(&told, json!({"occurred_at": at})).await.ok();
    }
    let mut used = [[0; 2]; 2];
    for (key, used) in [&told, &timed].into_iter().zip(&mut used) {
        for (month, used) in months.into_iter().zip(used) {
            let stats = service.operator.stats(key, &format!("?period={month}")).await;
            *used = stats["total_requests"].as_i64().unwrap();
        }
    }
    used
}

#[tokio::test]
async fn months_turn_to_the_microsecond() {
    assert_eq!(around("2026-04-01T00:00:00Z", ["2026-03", "2026-04"]).await, [[1, 1]; 2]);
    assert_eq!(around("2027-01-01T00:00:00Z", ["2026-12", "2027-01"]).await, [[1, 1]; 2]);
    assert_eq!(around("2028-03-01T00:00:00Z", ["2028-02", "2028-03"]).await, [[1, 1]; 2]);
}

#[tokio::test]
async fn a_leap_day_is_a_day_of_february() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.clock.advance_to(instant("2028-02-29T23:59:59.999999Z"));
    service.operator.report(&key, json!({})).await.ok();
    let stats = service.operator.stats(&key, "?by=day").await;
    assert_eq!((&stats["period"], &stats["groups"][0]["name"]), (&json!("2028-02"), &json!("2028-02-29")));
    assert_eq!(service.operator.bill(&key, "").await["next_billing_date"], "2028-03-01");
    let day = service.operator.get("/api/v1/usage/aggregate?start_date=2028-02-29&end_date=2028-02-29").await;
    assert_eq!(day.ok()["usage_by_date"]["2028-02-29"]["prediction"]["requests"], 1);
}

#[tokio::test]
async fn a_year_ends_with_december() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.clock.advance_to(instant("2026-12-31T23:59:59.999999Z"));
    let bill = service.operator.bill(&key, "").await;
    assert_eq!((&bill["period"], &bill["next_billing_date"]), (&json!("2026-12"), &json!("2027-01-01")));
}
