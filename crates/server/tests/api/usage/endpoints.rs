//! Endpoints: of each key 200 are told apart in a month, and further ones count as `other`.

use serde_json::{Value, json};

use crate::support::{IssuedKey, Service, instant, record_of};

/// One record for each of these endpoints, named by number.
fn numbered(key: &IssuedKey, numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers.map(|number| record_of(key, json!({"endpoint": format!("/{number:04}")}))).collect()
}

/// How many endpoints are told apart, and how many requests the one of this name had.
async fn told(service: &Service, key: &IssuedKey, name: &str) -> (usize, Value) {
    let groups = service.operator.stats(key, "?by=endpoint").await["groups"].clone();
    let groups = groups.as_array().unwrap();
    let requests = groups.iter().find(|group| group["name"] == name).map(|group| group["requests"].clone());
    (groups.len(), requests.unwrap_or_default())
}

#[tokio::test]
async fn endpoints_past_200_count_as_other() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.operator.batch(numbered(&key, 0..200)).await.ok();
    assert_eq!(told(&service, &key, "other").await, (200, Value::Null));
    service.operator.batch(numbered(&key, 200..205)).await.ok();
    assert_eq!(told(&service, &key, "other").await, (201, json!(5)));
    assert_eq!(told(&service, &key, "/0199").await, (201, json!(1)));
    let stats = service.operator.stats(&key, "").await;
    assert_eq!(stats["total_requests"], 205);
    let top = stats["top_endpoints"].as_array().unwrap();
    assert_eq!((top.len(), &top[0]), (10, &json!({"endpoint": "other", "count": 5})));
}

#[tokio::test]
async fn endpoints_past_200_in_one_batch_count_as_other_too() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.operator.batch(numbered(&key, 0..300)).await.ok();
    assert_eq!(told(&service, &key, "other").await, (201, json!(100)));
}

#[tokio::test]
async fn endpoints_that_are_known_go_on_being_told_apart() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    service.operator.batch(numbered(&key, 0..250)).await.ok();
    service.operator.batch(numbered(&key, 0..3)).await.ok();
    assert_eq!(told(&service, &key, "/0002").await, (201, json!(2)));
    assert_eq!(told(&service, &key, "other").await, (201, json!(50)));
}

#[tokio::test]
async fn a_new_month_and_another_key_have_200_of_their_own() {
    let service = Service::start().await;
    let (key, other) = (service.key(json!({})).await, service.key(json!({})).await);
    service.operator.batch(numbered(&key, 0..201)).await.ok();
    service.operator.batch(numbered(&other, 500..502)).await.ok();
    assert_eq!(told(&service, &other, "/0501").await, (2, json!(1)));
    service.clock.advance_to(instant("2026-04-01T00:00:00Z"));
    service.operator.batch(numbered(&key, 500..502)).await.ok();
    assert_eq!(told(&service, &key, "/0501").await, (2, json!(1)));
}
