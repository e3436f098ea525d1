//! What the fields of a report may be: everything else is refused by name, and nothing of it counts.

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, IssuedKey, Service, report};

/// What is wrong with numbers, whatever they count.
const WRONG_NUMBERS: [&str; 13] = [
    "-1",
    "-0.001",
    "9007199254740992",
    "9223372036854775808",
    "1e300",
    "1e400",
    "NaN",
    "\"NaN\"",
    "\"5\"",
    "true",
    "[]",
    "{}",
    "\"\"",
];

/// What becomes of reports whose `field` has each of these values, written as JSON.
async fn outcomes(field: &str, values: &[&str]) -> String {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let (mut lines, mut taken) = (String::new(), 0);
    for value in values {
        let mut usual = report(json!({}));
        usual.as_object_mut().unwrap().remove(field);
        let usual = usual.to_string();
        let body = format!("{},\"{field}\":{value}}}", usual.strip_suffix('}').unwrap());
        let answer = service.operator.post_text(&key.usage_path(), body).await;
        taken += i64::from(answer.status == 200);
        lines.push_str(&format!("{} -> {}\n", shortened(value), answer.detail().trim_end()));
    }
    assert_eq!(service.operator.requests(&key).await, taken);
    lines
}

fn shortened(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    if start.len() < text.len() { format!("{start}… ({} characters)", text.chars().count()) } else { start }
}

/// The figure of the one report of a key that has this field.
async fn figure(fields: Value, shown: &str) -> Value {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.operator.report(&key, fields).await.ok();
    service.operator.stats(&key, "").await[shown].clone()
}

#[tokio::test]
async fn all_that_is_required_is_named_at_once() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    assert_snapshot!(service.operator.post(&key.usage_path(), json!({})).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "service_id: is required (and 3 more)",
      "errors": [
        {
          "field": "service_id",
          "message": "is required"
        },
        {
          "field": "endpoint",
          "message": "is required"
        },
        {
          "field": "status_code",
          "message": "is required"
        },
        {
          "field": "response_time_ms",
          "message": "is required"
        }
      ]
    }
    "#);
    assert_snapshot!(service.operator.post(&format!("{}/debit", key.usage_path()), json!({})).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "model_id: is required (and 1 more)",
      "errors": [
        {
          "field": "model_id",
          "message": "is required"
        },
        {
          "field": "idempotency_key",
          "message": "is required"
        }
      ]
    }
    "#);
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn what_is_required_is_not_null() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for field in ["service_id", "endpoint", "status_code", "response_time_ms"] {
        let answer = service.operator.report(&key, json!({field: null})).await;
        assert_eq!(answer.json()["errors"][0]["field"], field);
        assert_eq!(answer.brief(), "422 invalid_request");
    }
}

#[tokio::test]
async fn a_status_is_that_of_an_http_answer() {
    let values = ["100", "599", "2e2", "99", "600", "0", "200.5", "null"];
    assert_snapshot!(outcomes("status_code", &[&values[..], &WRONG_NUMBERS].concat()).await, @r#"
    100 -> 200
    599 -> 200
    2e2 -> 200
    99 -> 422 status_code: must be a whole number from 100 to 599
    600 -> 422 status_code: must be a whole number from 100 to 599
    0 -> 422 status_code: must be a whole number from 100 to 599
    200.5 -> 422 status_code: must be a whole number from 100 to 599
    null -> 422 status_code: must be a whole number from 100 to 599
    -1 -> 422 status_code: must be a whole number from 100 to 599
    -0.001 -> 422 status_code: must be a whole number from 100 to 599
    9007199254740992 -> 422 status_code: must be a whole number from 100 to 599
    9223372036854775808 -> 422 status_code: must be a whole number from 100 to 599
    1e300 -> 422 status_code: must be a whole number from 100 to 599
    1e400 -> 400 The body is not JSON (line 1, column 93)
    NaN -> 400 The body is not JSON (line 1, column 89)
    "NaN" -> 422 status_code: must be a whole number from 100 to 599
    "5" -> 422 status_code: must be a whole number from 100 to 599
    true -> 422 status_code: must be a whole number from 100 to 599
    [] -> 422 status_code: must be a whole number from 100 to 599
    {} -> 422 status_code: must be a whole number from 100 to 599
    "" -> 422 status_code: must be a whole number from 100 to 599
    "#);
}

#[tokio::test]
async fn a_response_takes_up_to_a_day() {
    let values = ["0", "-0.0", "0.0004", "86400000", "86400000.001", "86400001", "null"];
    assert_snapshot!(outcomes("response_time_ms", &[&values[..], &WRONG_NUMBERS].concat()).await, @r#"
    0 -> 200
    -0.0 -> 200
    0.0004 -> 200
    86400000 -> 200
    86400000.001 -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    86400001 -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    null -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    -1 -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    -0.001 -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    9007199254740992 -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    9223372036854775808 -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    1e300 -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    1e400 -> 400 The body is not JSON (line 1, column 94)
    NaN -> 400 The body is not JSON (line 1, column 90)
    "NaN" -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    "5" -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    true -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    [] -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    {} -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    "" -> 422 response_time_ms: must be a number of milliseconds from 0 to 86400000
    "#);
}

#[tokio::test]
async fn predictions_are_counted_in_whole_numbers() {
    let values = ["0", "1000000000", "3.0", "1e3", "1000000001", "0.5", "null"];
    assert_snapshot!(outcomes("predictions_count", &[&values[..], &WRONG_NUMBERS].concat()).await, @r#"
    0 -> 200
    1000000000 -> 200
    3.0 -> 200
    1e3 -> 200
    1000000001 -> 422 predictions_count: must be a whole number from 0 to 1000000000
    0.5 -> 422 predictions_count: must be a whole number from 0 to 1000000000
    null -> 200
    -1 -> 422 predictions_count: must be a whole number from 0 to 1000000000
    -0.001 -> 422 predictions_count: must be a whole number from 0 to 1000000000
    9007199254740992 -> 422 predictions_count: must be a whole number from 0 to 1000000000
    9223372036854775808 -> 422 predictions_count: must be a whole number from 0 to 1000000000
    1e300 -> 422 predictions_count: must be a whole number from 0 to 1000000000
    1e400 -> 400 The body is not JSON (line 1, column 117)
    NaN -> 400 The body is not JSON (line 1, column 113)
    "NaN" -> 422 predictions_count: must be a whole number from 0 to 1000000000
    "5" -> 422 predictions_count: must be a whole number from 0 to 1000000000
    true -> 422 predictions_count: must be a whole number from 0 to 1000000000
    [] -> 422 predictions_count: must be a whole number from 0 to 1000000000
    {} -> 422 predictions_count: must be a whole number from 0 to 1000000000
    "" -> 422 predictions_count: must be a whole number from 0 to 1000000000
    "#);
}

#[tokio::test]
async fn computing_is_measured_in_milliseconds() {
    let values = ["0", "1000000000", "0.4", "1000000000.5", "1000000001", "null"];
    assert_snapshot!(outcomes("compute_ms", &[&values[..], &WRONG_NUMBERS].concat()).await, @r#"
    0 -> 200
    1000000000 -> 200
    0.4 -> 200
    1000000000.5 -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    1000000001 -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    null -> 200
    -1 -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    -0.001 -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    9007199254740992 -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    9223372036854775808 -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    1e300 -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    1e400 -> 400 The body is not JSON (line 1, column 110)
    NaN -> 400 The body is not JSON (line 1, column 106)
    "NaN" -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    "5" -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    true -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    [] -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    {} -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    "" -> 422 compute_ms: must be a number of milliseconds from 0 to 1000000000
    "#);
}

#[tokio::test]
async fn the_largest_figures_count_exactly() {
    let most = json!({"predictions_count": 1_000_000_000, "compute_ms": 1e9, "response_time_ms": 86_400_000});
    assert_eq!(figure(most.clone(), "total_predictions").await, 1_000_000_000);
    assert_eq!(figure(most.clone(), "total_compute_ms").await, 1_000_000_000);
    // Of a time to answer, an average counts an hour at the most.
    assert_eq!(figure(most, "average_response_time_ms").await, 3_600_000.0);
}

#[tokio::test]
async fn times_are_kept_to_the_microsecond_and_computing_to_the_millisecond() {
    assert_eq!(figure(json!({"response_time_ms": 0.0014}), "average_response_time_ms").await, 0.001);
    assert_eq!(figure(json!({"response_time_ms": 12.3456}), "average_response_time_ms").await, 12.346);
    assert_eq!(figure(json!({"compute_ms": 1.4}), "total_compute_ms").await, 1);
    assert_eq!(figure(json!({"compute_ms": 1.5}), "total_compute_ms").await, 2);
}

#[tokio::test]
async fn a_service_is_one_of_those_that_there_are() {
    let values = [r#""platform""#, r#""prediction""#, r#""website""#, r#""search""#, r#""""#, "7", "null"];
    assert_snapshot!(outcomes("service_id", &values).await, @r#"
    "platform" -> 200
    "prediction" -> 200
    "website" -> 200
    "search" -> 422 service_id: must be one of: platform, prediction
    "" -> 422 service_id: must be one of: platform, prediction
    7 -> 422 service_id: must be one of: platform, prediction
    null -> 422 service_id: must be one of: platform, prediction
    "#);
}

#[tokio::test]
async fn older_names_of_a_service_count_as_its_present_one() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for service_id in ["website", "ml-platform", "platform"] {
        service.operator.report(&key, json!({"service_id": service_id})).await.ok();
    }
    let groups = service.operator.stats(&key, "?by=service").await["groups"].clone();
    assert_eq!(groups.as_array().unwrap().len(), 1);
    assert_eq!((&groups[0]["name"], &groups[0]["requests"]), (&json!("platform"), &json!(3)));
}

#[tokio::test]
async fn an_endpoint_is_a_path_of_at_most_256_characters() {
    let [fits, long, huge] = [256, 257, 10_000].map(|length| format!("\"/{}\"", "é".repeat(length - 1)));
    let values = [
        r#""/v1/predict""#,
        r#""v1""#,
        &fits,
        &long,
        &huge,
        r#""""#,
        r#"" ""#,
        r#""?a=b""#,
        r##""#top""##,
        r#""/a\u0000b""#,
        r#""/a\nb""#,
        r#""/a\u007f""#,
        r#""/a\u0085b""#,
        r#""/\ud800""#,
        "7",
        "null",
        "[]",
    ];
    assert_snapshot!(outcomes("endpoint", &values).await, @r##"
    "/v1/predict" -> 200
    "v1" -> 200
    "/éééééééééééééééééééééééééééééééééééééé… (258 characters) -> 200
    "/éééééééééééééééééééééééééééééééééééééé… (259 characters) -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    "/éééééééééééééééééééééééééééééééééééééé… (10002 characters) -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    "" -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    " " -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    "?a=b" -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    "#top" -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    "/a\u0000b" -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    "/a\nb" -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    "/a\u007f" -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    "/a\u0085b" -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    "/\ud800" -> 400 The body is not JSON (line 1, column 87)
    7 -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    null -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    [] -> 422 endpoint: must be a path of 1 to 256 characters without control characters
    "##);
}

#[tokio::test]
async fn queries_and_fragments_of_endpoints_are_not_kept() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let long = format!("/v1/predict?{}", "x".repeat(10_000));
    for endpoint in
        ["/v1/predict?api_key=hk_live_x", "/v1/predict#a?b", " /v1/predict ", "/v1/predict?\0", &long]
    {
        service.operator.report(&key, json!({"endpoint": endpoint})).await.ok();
    }
    let stats = service.operator.stats(&key, "").await;
    assert_eq!(stats["top_endpoints"], json!([{"endpoint": "/v1/predict", "count": 5}]));
}

#[tokio::test]
async fn words_have_1_to_256_characters() {
    let [fits, long] = [256, 257].map(|length| format!("\"{}\"", "é".repeat(length)));
    let values = [r#""a word""#, &fits, &long, r#""""#, r#""a\nb""#, r#""\u0000""#, "7", "null"];
    assert_snapshot!(outcomes("idempotency_key", &values).await, @r#"
    "a word" -> 200
    "ééééééééééééééééééééééééééééééééééééééé… (258 characters) -> 200
    "ééééééééééééééééééééééééééééééééééééééé… (259 characters) -> 422 idempotency_key: must be 1 to 256 characters without control characters
    "" -> 422 idempotency_key: must be 1 to 256 characters without control characters
    "a\nb" -> 422 idempotency_key: must be 1 to 256 characters without control characters
    "\u0000" -> 422 idempotency_key: must be 1 to 256 characters without control characters
    7 -> 422 idempotency_key: must be 1 to 256 characters without control characters
    null -> 200
    "#);
    assert_snapshot!(outcomes("model_id", &values).await, @r#"
    "a word" -> 200
    "ééééééééééééééééééééééééééééééééééééééé… (258 characters) -> 200
    "ééééééééééééééééééééééééééééééééééééééé… (259 characters) -> 422 model_id: must be 1 to 256 characters without control characters
    "" -> 422 model_id: must be 1 to 256 characters without control characters
    "a\nb" -> 422 model_id: must be 1 to 256 characters without control characters
    "\u0000" -> 422 model_id: must be 1 to 256 characters without control characters
    7 -> 422 model_id: must be 1 to 256 characters without control characters
    null -> 200
    "#);
}

#[tokio::test]
async fn what_is_wrong_with_a_debit_is_named_too() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let path = format!("{}/debit", key.usage_path());
    for (field, value) in [
        ("model_id", json!(null)),
        ("model_id", json!("")),
        ("idempotency_key", json!(null)),
        ("idempotency_key", json!("x".repeat(257))),
        ("predictions_count", json!(-1)),
        ("predictions_count", json!("1")),
        ("predictions_count", json!(9_007_199_254_740_992_i64)),
        ("compute_ms", json!(-1)),
        ("service_id", json!("search")),
        ("status_code", json!(600)),
        ("response_time_ms", json!(-1)),
        ("endpoint", json!("")),
        ("occurred_at", json!("2026-03-04")),
    ] {
        let mut debit = json!({"model_id": "a-model", "idempotency_key": "one"});
        debit[field] = value.clone();
        let answer = service.operator.post(&path, debit).await;
        assert_eq!(answer.brief(), "422 invalid_request", "{field} {value}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{value}");
    }
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_told_as_elsewhere() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for path in [key.usage_path(), format!("{}/debit", key.usage_path()), "/api/v1/usage/batch".into()] {
        let send = async |content_type: &str, body: &str| {
            let request = service.operator.request(Method::POST, &path).body(body.to_owned());
            Answer::to(request.header("content-type", content_type)).await.brief()
        };
        for body in ["", "{", "[]", "7"] {
            assert_eq!(send("application/json", body).await, "400 unreadable_body", "{path} {body}");
        }
        for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
            assert_eq!(send(content_type, "{}").await, "415 unsupported_media_type", "{path} {content_type}");
        }
        assert_eq!(send("application/problem+json", "{}").await, "422 invalid_request", "{path}");
    }
}

#[tokio::test]
async fn one_report_has_at_most_64_kib() {
    let service = Service::start().await;
    let key: IssuedKey = service.key(json!({})).await;
    let padded = |length: usize| {
        let body = report(json!({})).to_string();
        body.clone() + &" ".repeat(length - body.len())
    };
    let path = key.usage_path();
    assert_eq!(service.operator.post_text(&path, padded(65_536)).await.brief(), "200");
    assert_eq!(service.operator.post_text(&path, padded(65_537)).await.brief(), "413 body_too_large");
    assert_eq!(service.operator.requests(&key).await, 1);
}
