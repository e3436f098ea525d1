//! `GET /api/v1/usage/aggregate`: what was used from day to day, of all keys that the caller may see.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Caller, Service, instant};

const AGGREGATE: &str = "/api/v1/usage/aggregate";

async fn used(caller: &Caller, query: &str) -> Value {
    caller.get(&format!("{AGGREGATE}{query}")).await.ok()["usage_by_date"].clone()
}

/// Ada's and Grace's keys with usage on three days.
async fn busy() -> Service {
    let service = Service::start().await;
    for (user, service_id, at, predictions) in [
        ("ada", "prediction", "2026-03-04T00:00:00Z", 1),
        ("ada", "prediction", "2026-03-04T10:00:00Z", 2),
        ("ada", "platform", "2026-03-03T23:59:59.999999Z", 4),
        ("grace", "prediction", "2026-03-04T00:00:00Z", 8),
        ("grace", "platform", "2026-02-01T12:00:00Z", 16),
    ] {
        let key = service.key(json!({"user_id": user})).await;
        let fields = json!({"service_id": service_id, "occurred_at": at, "predictions_count": predictions});
        service.operator.report(&key, fields).await.ok();
    }
    service
}

#[tokio::test]
async fn days_and_services_are_summed_up() {
    let service = busy().await;
    assert_snapshot!(service.operator.get(AGGREGATE).await, @r#"
    200 OK
    {
      "end_date": "2026-03-04",
      "start_date": "2026-02-03",
      "usage_by_date": {
        "2026-03-03": {
          "platform": {
            "avg_response_time_ms": 10.0,
            "compute_ms": 0,
            "predictions": 4,
            "requests": 1
          }
        },
        "2026-03-04": {
          "prediction": {
            "avg_response_time_ms": 10.0,
            "compute_ms": 0,
            "predictions": 11,
            "requests": 3
          }
        }
      }
    }
    "#);
}

#[tokio::test]
async fn the_first_and_the_last_day_are_included() {
    let service = busy().await;
    let days = async |query: &str| {
        let used = used(&service.operator, query).await;
        used.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(days("?start_date=2026-03-03&end_date=2026-03-03").await, "2026-03-03");
    assert_eq!(days("?start_date=2026-02-01&end_date=2026-03-03").await, "2026-02-01 2026-03-03");
    assert_eq!(days("?start_date=2026-03-04").await, "2026-03-04");
    assert_eq!(days("?start_date=2026-02-02&end_date=2026-03-02").await, "");
    assert_eq!(days("?end_date=2026-03-02").await, "2026-02-01");
}

#[tokio::test]
async fn one_service_is_told_alone_by_either_of_its_names() {
    let service = busy().await;
    for name in ["platform", "website", "ml-platform"] {
        let used = used(&service.operator, &format!("?service_id={name}")).await;
        assert_eq!(used.as_object().unwrap().len(), 1, "{name}");
        assert_eq!(used["2026-03-03"]["platform"]["predictions"], 4, "{name}");
    }
    let answer = service.operator.get(&format!("{AGGREGATE}?service_id=search")).await;
    assert_eq!(answer.brief(), "422 invalid_request");
}

#[tokio::test]
async fn an_operator_asks_for_one_user() {
    let service = busy().await;
    let grace = used(&service.operator, "?user_id=grace").await;
    assert_eq!(grace["2026-03-04"]["prediction"]["predictions"], 8);
    assert_eq!(used(&service.operator, "?user_id=nobody").await, json!({}));
    let answer = service.operator.get(&format!("{AGGREGATE}?user_id=a%20b")).await;
    assert_eq!(answer.brief(), "422 invalid_request");
}

#[tokio::test]
async fn a_member_sees_its_own_usage_alone() {
    let service = busy().await;
    let ada = service.member("ada").await;
    for query in ["", "?user_id=ada"] {
        let used = used(&ada, query).await;
        assert_eq!(used["2026-03-04"]["prediction"]["predictions"], 3);
        assert_eq!(used["2026-03-04"]["prediction"]["requests"], 2);
    }
    assert_eq!(used(&ada, "?user_id=grace").await, json!({}));
    assert_eq!(used(&service.member("nobody").await, "").await, json!({}));
}

#[tokio::test]
async fn without_days_it_is_the_last_30() {
    let service = Service::start().await;
    let span = async |query: &str| {
        let answer = service.operator.get(&format!("{AGGREGATE}{query}")).await.ok();
        [answer["start_date"].clone(), answer["end_date"].clone()]
    };
    assert_eq!(span("").await, ["2026-02-03", "2026-03-04"]);
    assert_eq!(span("?end_date=2026-01-30").await, ["2026-01-01", "2026-01-30"]);
    assert_eq!(span("?start_date=2026-01-01").await, ["2026-01-01", "2026-03-04"]);
    assert_eq!(span("?start_date=2026-05-01").await, ["2026-05-01", "2026-05-01"]);
    service.clock.advance_to(instant("2026-03-05T00:00:00Z"));
    assert_eq!(span("").await, ["2026-02-04", "2026-03-05"]);
}

#[tokio::test]
async fn a_span_runs_forward_and_over_366_days_at_most() {
    let service = Service::start().await;
    let mut answers = String::new();
    for query in [
        "start_date=2024-01-01&end_date=2024-12-31",
        "start_date=2024-01-01&end_date=2025-01-01",
        "start_date=2020-01-01",
        "start_date=2026-03-04&end_date=2026-03-03",
        "start_date=2026-03-04&end_date=2026-03-04",
        "start_date=2026-02-29",
        "start_date=2026-3-1",
        "start_date=",
        "end_date=2026-03-04T00:00:00Z",
        "end_date=1969-12-31",
    ] {
        let answer = service.operator.get(&format!("{AGGREGATE}?{query}")).await;
        answers.push_str(&format!("{query} -> {}\n", answer.detail().trim_end()));
    }
    assert_snapshot!(answers, @r#"
    start_date=2024-01-01&end_date=2024-12-31 -> 200
    start_date=2024-01-01&end_date=2025-01-01 -> 422 end_date: must lie less than 366 days after start_date
    start_date=2020-01-01 -> 422 end_date: must lie less than 366 days after start_date
    start_date=2026-03-04&end_date=2026-03-03 -> 422 end_date: must not lie before start_date
    start_date=2026-03-04&end_date=2026-03-04 -> 200
    start_date=2026-02-29 -> 422 start_date: must be a day such as 2025-01-15
    start_date=2026-3-1 -> 422 start_date: must be a day such as 2025-01-15
    start_date= -> 422 start_date: must be a day such as 2025-01-15
    end_date=2026-03-04T00:00:00Z -> 422 end_date: must be a day such as 2025-01-15
    end_date=1969-12-31 -> 422 end_date: must be a day such as 2025-01-15
    "#);
}

#[tokio::test]
async fn the_first_days_that_can_be_written_are_taken() {
    let service = Service::start().await;
    let answer = service.operator.get(&format!("{AGGREGATE}?end_date=1970-01-05")).await.ok();
    assert_eq!(answer["usage_by_date"], json!({}));
    assert_eq!(answer["end_date"], "1970-01-05");
}
