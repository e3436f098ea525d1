//! `GET /api/v1/usage/{key_id}/stats`: what one key used in a month.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{IssuedKey, Service};

/// A key with requests on two days, to two endpoints, of two services, and two errors.
async fn busy_key(service: &Service) -> IssuedKey {
    let key = service.key(json!({})).await;
    for fields in [
        json!({"response_time_ms": 10, "predictions_count": 2, "compute_ms": 5}),
        json!({"response_time_ms": 20, "status_code": 399}),
        json!({"response_time_ms": 40, "status_code": 400, "endpoint": "/v1/models", "service_id": "platform"}),
        json!({
            "response_time_ms": 0.5, "status_code": 500, "predictions_count": 1,
            "occurred_at": "2026-03-01T00:00:00Z"
        }),
        json!({"predictions_count": 50, "occurred_at": "2026-02-28T23:59:59Z"}),
    ] {
        service.operator.report(&key, fields).await.ok();
    }
    key
}

#[tokio::test]
async fn a_month_is_summed_up() {
    let service = Service::start().await;
    let key = busy_key(&service).await;
    let stats = service.operator.get(&format!("{}/stats", key.usage_path())).await;
    assert_snapshot!(stats, @r#"
    200 OK
    {
      "average_response_time_ms": 17.625,
      "error_rate": 0.5,
      "key_id": "[id 1]",
      "period": "2026-03",
      "top_endpoints": [
        {
          "count": 3,
          "endpoint": "/v1/predict"
        },
        {
          "count": 1,
          "endpoint": "/v1/models"
        }
      ],
      "total_compute_ms": 5,
      "total_predictions": 3,
      "total_requests": 4
    }
    "#);
    let named = service.operator.stats(&key, "?period=2026-03").await;
    assert_eq!(named, stats.json());
    assert_eq!(service.operator.stats(&key, "?period=2026-02").await["total_predictions"], 50);
}

#[tokio::test]
async fn a_month_is_told_apart_by_day() {
    let service = Service::start().await;
    let key = busy_key(&service).await;
    let path = format!("{}/stats?by=day&period=2026-03", key.usage_path());
    assert_snapshot!(service.operator.get(&path).await, @r#"
    200 OK
    {
      "average_response_time_ms": 17.625,
      "error_rate": 0.5,
      "groups": [
        {
          "average_response_time_ms": 0.5,
          "compute_ms": 0,
          "errors": 1,
          "name": "2026-03-01",
          "predictions": 1,
          "requests": 1
        },
        {
          "average_response_time_ms": 23.333333,
          "compute_ms": 5,
          "errors": 1,
          "name": "2026-03-04",
          "predictions": 2,
          "requests": 3
        }
      ],
      "key_id": "[id 1]",
      "period": "2026-03",
      "top_endpoints": [
        {
          "count": 3,
          "endpoint": "/v1/predict"
        },
        {
          "count": 1,
          "endpoint": "/v1/models"
        }
      ],
      "total_compute_ms": 5,
      "total_predictions": 3,
      "total_requests": 4
    }
    "#);
}

#[tokio::test]
async fn a_month_is_told_apart_by_endpoint_the_most_used_first() {
    let service = Service::start().await;
    let key = busy_key(&service).await;
    let stats = service.operator.stats(&key, "?by=endpoint").await;
    assert_snapshot!(serde_json::to_string_pretty(&stats["groups"]).unwrap(), @r#"
    [
      {
        "name": "/v1/predict",
        "requests": 3,
        "errors": 1,
        "predictions": 3,
        "compute_ms": 5,
        "average_response_time_ms": 10.166667
      },
      {
        "name": "/v1/models",
        "requests": 1,
        "errors": 1,
        "predictions": 0,
        "compute_ms": 0,
        "average_response_time_ms": 40.0
      }
    ]
    "#);
}

#[tokio::test]
async fn a_month_is_told_apart_by_service() {
    let service = Service::start().await;
    let key = busy_key(&service).await;
    let stats = service.operator.stats(&key, "?by=service").await;
    assert_snapshot!(serde_json::to_string_pretty(&stats["groups"]).unwrap(), @r#"
    [
      {
        "name": "platform",
        "requests": 1,
        "errors": 1,
        "predictions": 0,
        "compute_ms": 0,
        "average_response_time_ms": 40.0
      },
      {
        "name": "prediction",
        "requests": 3,
        "errors": 1,
        "predictions": 3,
        "compute_ms": 5,
        "average_response_time_ms": 10.166667
      }
    ]
    "#);
}

#[tokio::test]
async fn months_without_usage_are_empty() {
    let service = Service::start().await;
    let key = busy_key(&service).await;
    for period in ["1970-01", "2026-01", "2026-04", "9999-12"] {
        let path = format!("{}/stats?by=day&period={period}", key.usage_path());
        let stats = service.operator.get(&path).await.ok();
        assert_eq!(stats["period"], period);
        assert_eq!(stats["total_requests"], 0);
        assert_eq!(stats["groups"], json!([]));
    }
    let unused = service.key(json!({})).await;
    assert_snapshot!(service.operator.get(&format!("{}/stats?by=service", unused.usage_path())).await, @r#"
    200 OK
    {
      "average_response_time_ms": 0.0,
      "error_rate": 0.0,
      "groups": [],
      "key_id": "[id 1]",
      "period": "2026-03",
      "top_endpoints": [],
      "total_compute_ms": 0,
      "total_predictions": 0,
      "total_requests": 0
    }
    "#);
}

#[tokio::test]
async fn a_period_is_a_month_in_one_form() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for period in [
        "2025-13",
        "2025-00",
        "2025-1",
        "25-01",
        "",
        "2025-01-01",
        "2025",
        "now",
        "1969-12",
        "10000-01",
        "+025-01",
    ] {
        for path in ["stats", "billing"] {
            let answer = service.operator.get(&format!("{}/{path}?period={period}", key.usage_path())).await;
            assert_eq!(answer.detail(), "422 period: must be a month such as 2025-01", "{path} {period}");
        }
    }
}

#[tokio::test]
async fn what_to_tell_apart_is_one_of_three_things() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for by in ["hour", "", "Day", "day,service"] {
        let answer = service.operator.get(&format!("{}/stats?by={by}", key.usage_path())).await;
        assert_eq!(answer.detail(), "422 by: must be day, endpoint or service", "{by}");
    }
}

#[tokio::test]
async fn a_rotated_key_and_its_successor_are_counted_apart() {
    let service = Service::start().await;
    let key = busy_key(&service).await;
    let successor = IssuedKey::of(&service.operator.rotate(&key).await.ok());
    service.operator.report(&successor, json!({})).await.ok();
    assert_eq!(service.operator.requests(&key).await, 4);
    assert_eq!(service.operator.requests(&successor).await, 1);
}

#[tokio::test]
async fn a_member_sees_the_usage_of_its_own_keys_alone() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let (own, foreign) = (ada.key(json!({})).await, service.key(json!({"user_id": "grace"})).await);
    for key in [&own, &foreign] {
        service.operator.report(key, json!({})).await.ok();
    }
    assert_eq!(ada.requests(&own).await, 1);
    for path in ["stats", "billing", "stats?by=day", "billing?period=2026-02"] {
        let answer = ada.get(&format!("{}/{path}", foreign.usage_path())).await;
        assert_eq!(answer.detail(), "404 API key not found", "{path}");
    }
}

#[tokio::test]
async fn the_usage_of_a_revoked_key_stays_visible() {
    let service = Service::start().await;
    let key = busy_key(&service).await;
    service.operator.delete(&key.path()).await.ok();
    assert_eq!(service.operator.requests(&key).await, 4);
}
