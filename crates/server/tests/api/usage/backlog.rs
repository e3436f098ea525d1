//! Back-pressure: if more is reported than can be written, reports are put off, and nothing of them is taken.

use insta::assert_snapshot;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Caller, IssuedKey, Service, record_of, until};

const BATCH: &str = "/api/v1/usage/batch";
/// Records of one reporter that may wait before further ones are put off.
const MOST_OF_ONE: usize = 10_000;
/// So many that no other report shares their transaction.
const LARGE: usize = 5000;

/// A batch of so many records, each with an idempotency key.
fn batch_of(count: usize, key: &IssuedKey, name: usize) -> Value {
    let record = |number| record_of(key, json!({"idempotency_key": format!("{name}-{number}")}));
    json!({"records": (0..count).map(record).collect::<Vec<Value>>()})
}

/// Reports a batch until it is taken, as one who was told to send it again.
async fn persist(caller: Caller, batch: Value) {
    loop {
        let answer = caller.post(BATCH, batch.clone()).await;
        if answer.status == StatusCode::OK {
            return;
        }
        assert_eq!(answer.header("retry-after"), "1", "{answer}");
    }
}

/// Sends reports until one is put off; says how that was answered, and how many were taken before.
async fn first_put_off(mut send: impl AsyncFnMut() -> Answer) -> (Answer, i64) {
    let mut taken = 0;
    let answer = until("a report is put off", async || {
        let answer = send().await;
        match answer.brief().as_str() {
            "503 usage_backlog" => return Some(answer),
            "200" => taken += 1,
            // The store was waited for in vain.
            brief => assert_eq!(brief, "503 store_unavailable"),
        }
        None
    });
    (answer.await, taken)
}

#[tokio::test]
async fn what_is_put_off_is_not_taken_and_what_waits_is_taken_once() {
    let service = Service::start().await;
    let (busy, put_off) = (service.key(json!({})).await, service.key(json!({})).await);
    let blocker = service.place.block().await;
    let mut batches = JoinSet::new();
    for name in 0..3 {
        batches.spawn(persist(service.operator.clone(), batch_of(MOST_OF_ONE, &busy, name)));
    }
    until("too much waits", async || (service.engine.usage_waiting() >= MOST_OF_ONE).then_some(())).await;
    let (answer, taken) = first_put_off(async || service.operator.report(&put_off, json!({})).await).await;
    drop(blocker);
    assert_snapshot!(answer, @r#"
    503 Service Unavailable
    retry-after: 1
    {
      "code": "usage_backlog",
      "detail": "More usage is being reported than can be written now; nothing of this was taken: send it again"
    }
    "#);
    batches.join_all().await;
    assert_eq!(service.operator.requests(&busy).await, 30_000);
    assert_eq!(service.operator.requests(&put_off).await, taken);
    assert_eq!(service.operator.report(&put_off, json!({})).await.brief(), "200");
}

#[tokio::test]
async fn a_report_behind_one_that_fails_is_not_said_to_have_failed() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let (busy, other) = (service.key(json!({})).await, ada.key(json!({})).await);
    let blocker = service.place.block().await;
    let mut large = JoinSet::new();
    for name in 0..2 {
        let (operator, batch) = (service.operator.clone(), batch_of(LARGE, &busy, name));
        large.spawn(async move { operator.post(BATCH, batch).await });
    }
    until("one is being written and one waits", async || {
        (service.engine.usage_waiting() >= LARGE).then_some(())
    })
    .await;
    let behind = tokio::spawn(async move {
        let mut answers = Vec::new();
        while answers.last().is_none_or(|last| last != "200") {
            answers.push(ada.report(&other, json!({})).await.brief());
        }
        answers
    });
    let mut failed = Vec::new();
    while failed.last().is_none_or(|last| last != "503 store_unavailable") {
        failed.push(large.join_next().await.unwrap().unwrap().brief());
    }
    drop(blocker);
    let answers = behind.await.unwrap();
    assert!(answers.iter().all(|answer| answer != "503 store_unavailable"), "{answers:?}");
}

#[tokio::test]
async fn who_sends_slowly_is_put_off_and_keeps_nobody_else_from_reporting() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut wire = service.connect().await;
        wire.send(format!("POST {BATCH} HTTP/1.1\r\nhost: a\r\ncontent-length: 8388608\r\n\r\n{{")).await;
        slow.push(wire);
    }
    let (service, batch) = (&service, || vec![record_of(&key, json!({}))]);
    let (answer, taken) = first_put_off(async || service.anyone().batch(batch()).await).await;
    assert_eq!(answer.header("retry-after"), "1");
    for _ in 0..5 {
        service.operator.batch(batch()).await.ok();
    }
    // Single reports are small, and need no room.
    service.anyone().report(&key, json!({})).await.ok();
    drop(slow);
    until("there is room", async || (service.anyone().batch(batch()).await.status == 200).then_some(()))
        .await;
    assert_eq!(service.operator.requests(&key).await, taken + 7);
}
