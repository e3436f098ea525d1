//! `POST /api/v1/usage/batch`: all of it or nothing.

use std::iter::repeat_n;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{IssuedKey, Service, record_of};

const BATCH: &str = "/api/v1/usage/batch";
const LIMIT: usize = 8 * 1024 * 1024;

/// So many records of one key.
fn many(key: &IssuedKey, count: usize) -> Vec<Value> {
    repeat_n(record_of(key, json!({})), count).collect()
}

#[tokio::test]
async fn records_of_many_keys_are_taken_at_once() {
    let service = Service::start().await;
    let (one, other) = (service.key(json!({})).await, service.key(json!({"user_id": "ada"})).await);
    let records = vec![record_of(&one, json!({})), record_of(&other, json!({})), record_of(&one, json!({}))];
    assert_snapshot!(service.operator.batch(records).await, @r#"
    200 OK
    {
      "duplicates": 0,
      "message": "Usage recorded successfully",
      "recorded": 3
    }
    "#);
    assert_eq!(service.operator.requests(&one).await, 2);
    assert_eq!(service.operator.requests(&other).await, 1);
}

#[tokio::test]
async fn of_the_same_idempotency_key_in_one_batch_the_first_counts() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let record = |predictions: i64| {
        record_of(&key, json!({"idempotency_key": "one", "predictions_count": predictions}))
    };
    let taken = service.operator.batch(vec![record(1), record(20), record(300)]).await.ok();
    assert_eq!((&taken["recorded"], &taken["duplicates"]), (&json!(1), &json!(2)));
    let taken = service.operator.batch(vec![record(4000), record_of(&key, json!({}))]).await.ok();
    assert_eq!((&taken["recorded"], &taken["duplicates"]), (&json!(1), &json!(1)));
    let stats = service.operator.stats(&key, "").await;
    assert_eq!((&stats["total_requests"], &stats["total_predictions"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn a_bad_record_is_named_and_nothing_is_taken() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let bad = record_of(&key, json!({"status_code": 99, "predictions_count": -1}));
    let records = vec![record_of(&key, json!({})), record_of(&key, json!({})), bad, json!({})];
    assert_snapshot!(service.operator.batch(records).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "records[2].status_code: must be a whole number from 100 to 599 (and 1 more)",
      "errors": [
        {
          "field": "records[2].status_code",
          "message": "must be a whole number from 100 to 599"
        },
        {
          "field": "records[2].predictions_count",
          "message": "must be a whole number from 0 to 1000000000"
        }
      ]
    }
    "#);
    let records = vec![record_of(&key, json!({})), json!(7)];
    assert_eq!(service.operator.batch(records).await.detail(), "422 records[1]: must be an object");
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn an_unknown_key_is_named_and_nothing_is_taken() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let absent = IssuedKey { id: "019cb840-0000-7000-8000-000000000000".into(), text: String::new() };
    let records = vec![record_of(&key, json!({})), record_of(&absent, json!({}))];
    assert_snapshot!(service.operator.batch(records).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "records[1].key_id: names no API key that you may report on",
      "errors": [
        {
          "field": "records[1].key_id",
          "message": "names no API key that you may report on"
        }
      ]
    }
    "#);
    for key_id in [json!("no-uuid"), json!(""), json!(7), json!(null)] {
        let record = record_of(&key, json!({}));
        let mut wrong = record.clone();
        wrong["key_id"] = key_id.clone();
        let answer = service.operator.batch(vec![record, wrong]).await;
        assert_eq!(answer.detail(), "422 records[1].key_id: must be the id of an API key", "{key_id}");
    }
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn another_users_key_is_named_to_a_member_as_an_unknown_one() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let (own, foreign) = (ada.key(json!({})).await, service.key(json!({"user_id": "grace"})).await);
    let absent = IssuedKey { id: "019cb840-0000-7000-8000-000000000000".into(), text: String::new() };
    let mut answers = Vec::new();
    for other in [&foreign, &absent] {
        let records = vec![record_of(&own, json!({})), record_of(other, json!({}))];
        answers.push(ada.batch(records).await.to_string());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(service.operator.requests(&own).await + service.operator.requests(&foreign).await, 0);
    assert_eq!(ada.batch(vec![record_of(&own, json!({}))]).await.brief(), "200");
}

#[tokio::test]
async fn a_batch_has_1_to_10000_records() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let wrong = "422 records: must be a list of 1 to 10000 records";
    assert_eq!(service.operator.batch(Vec::new()).await.detail(), wrong);
    assert_eq!(service.operator.batch(many(&key, 10_001)).await.detail(), wrong);
    for records in [json!(null), json!({}), json!("[]")] {
        assert_eq!(service.operator.post(BATCH, json!({"records": records})).await.detail(), wrong);
    }
    assert_eq!(service.operator.post(BATCH, json!({})).await.detail(), "422 records: is required");
    assert_eq!(service.operator.requests(&key).await, 0);
    assert_eq!(service.operator.batch(many(&key, 10_000)).await.ok()["recorded"], 10_000);
    assert_eq!(service.operator.requests(&key).await, 10_000);
}

#[tokio::test]
async fn a_batch_has_at_most_8_mib() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let body = json!({"records": many(&key, 1)}).to_string();
    let padded = |length: usize| body.clone() + &" ".repeat(length - body.len());
    assert_eq!(service.operator.post_text(BATCH, padded(LIMIT)).await.brief(), "200");
    assert_snapshot!(service.operator.post_text(BATCH, padded(LIMIT + 1)).await, @r#"
    413 Payload Too Large
    {
      "code": "body_too_large",
      "detail": "The body is larger than 8388608 bytes"
    }
    "#);
    assert_eq!(service.operator.requests(&key).await, 1);
}

#[tokio::test]
async fn a_batch_without_a_length_has_at_most_8_mib_too() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let body = json!({"records": many(&key, 1)}).to_string();
    let mut wire = service.connect().await;
    wire.send(format!(
        "POST {BATCH} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n",
        body.len()
    ))
    .await;
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    for _ in 0..8 {
        wire.send(&chunk).await;
    }
    assert_eq!(wire.status().await, "HTTP/1.1 413 Payload Too Large");
    assert_eq!(service.operator.requests(&key).await, 0);
}

#[tokio::test]
async fn fields_beside_the_records_are_ignored() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let body = json!({"records": many(&key, 1), "sent_by": "a gateway"});
    assert_eq!(service.operator.post(BATCH, body).await.brief(), "200");
}

#[tokio::test]
async fn a_body_that_is_no_object_or_no_json_is_told_by_its_place() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let good = record_of(&key, json!({})).to_string();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let mut told = String::new();
    for text in [
        "".to_owned(),
        " [1]".to_owned(),
        "[1,".to_owned(),
        "{\"records\": [1, 2}".to_owned(),
        "{\"records\": [1]} 2".to_owned(),
        format!("{{\"records\": [{good}, [1]]}}"),
        format!("{{\"records\": [{good}, 1, {{]}}"),
        "{\"records\":\n [{\"a\": \"\\ud800\"}]}".to_owned(),
        "{\"records\":\n [{\n\"a\": 1e999}]}".to_owned(),
        format!("{{\"records\": [{deep}]}}"),
        format!("{{\"records\": [{good}], \"more\": {deep}}}"),
        format!("{{\"records\": [{}\"a\": \"{}\"}}]}}", &good[..1], "x".repeat(65_536)),
        format!("{{\"records\": 1, \"records\": [{good}]}}"),
    ] {
        let shown: String = text.chars().take(30).filter(|c| *c != '\n').collect();
        told.push_str(&format!(
            "{shown} -> {}\n",
            service.operator.post_text(BATCH, text).await.detail().trim_end()
        ));
    }
    let told = told.replace(&key.id, "KEY");
    assert_snapshot!(told, @r#"
     -> 400 The body is empty; it must be a JSON object
     [1] -> 400 The body must be a JSON object
    [1, -> 400 The body is not JSON (line 1, column 3)
    {"records": [1, 2} -> 400 The body is not JSON (line 1, column 18)
    {"records": [1]} 2 -> 400 The body is not JSON (line 1, column 18)
    {"records": [{"service_id":"pr -> 422 records[1]: must be an object
    {"records": [{"service_id":"pr -> 400 The body is not JSON (line 1, column 160)
    {"records": [{"a": "\ud800"}] -> 400 The body is not JSON (line 2, column 16)
    {"records": [{"a": 1e999}]} -> 400 The body is not JSON (line 3, column 10)
    {"records": [[[[[[[[[[[[[[[[[[ -> 400 The body is not JSON (line 1, column 141)
    {"records": [{"service_id":"pr -> 200
    {"records": [{"a": "xxxxxxxxxx -> 422 records[0]: must not be longer than 65536 bytes
    {"records": 1, "records": [{"s -> 200
    "#);
}

#[tokio::test]
async fn a_list_is_refused_for_its_length_whatever_it_holds() {
    let service = Service::start().await;
    let wrong = "422 records: must be a list of 1 to 10000 records";
    for item in ["1", "{\"a\":1}", "[]"] {
        let count = (LIMIT - 20) / (item.len() + 1);
        let body = format!("{{\"records\":[{}]}}", vec![item; count].join(","));
        assert_eq!(service.operator.post_text(BATCH, body).await.detail(), wrong, "{item}");
    }
}
