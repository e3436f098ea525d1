//! What is asked again, what is not, and how long is waited.

use std::time::Duration;

use hokusai_client::api::keys::UpdateKey;
use hokusai_client::api::usage::{UsageBatch, UsageDebit};
use hokusai_client::api::validate::ValidateKey;
use hokusai_client::{Client, Error};
use tokio::net::TcpSocket;
use tokio::time::Instant;

use crate::odd::{Odd, Reply};
use crate::service::{key_wish, token_wish};
use crate::usage::record;
use crate::{no_key, secret};

const VERSION: &str = r#"{"version": "1", "commit": "c"}"#;
const REVOKED: &str = r#"{"message": "Revoked", "key_id": "k"}"#;

async fn after(setback: Reply, success: &str) -> (Odd, Client) {
    let odd = Odd::replying([setback, Reply::json(200, "", success)]).await;
    let client = odd.client().build().unwrap();
    (odd, client)
}

#[tokio::test]
async fn what_creates_or_spends_is_sent_once_even_if_the_answer_is_lost() {
    for lost in [Reply::Nothing, Reply::Reset] {
        let odd = Odd::replying([lost]).await;
        let client = odd.client().build().unwrap();
        for (sent, error) in [
            client.create_key(&key_wish("Once")).await.err(),
            client.rotate_key(no_key(), None).await.err(),
            client.create_token(&token_wish("ada", "member")).await.err(),
            client.validate(&secret("hk_live_x"), &ValidateKey::default()).await.err(),
        ]
        .into_iter()
        .enumerate()
        {
            assert!(matches!(error, Some(Error::Lost { .. })), "{sent}: {error:?}");
        }
        assert_eq!(odd.requests().len(), 4);
    }
}

#[tokio::test]
async fn what_creates_or_spends_is_sent_once_even_if_the_service_is_busy() {
    let odd = Odd::replying([Reply::refusal(503, "retry-after: 0\r\n", "store_unavailable")]).await;
    let client = odd.client().build().unwrap();
    let error = client.create_key(&key_wish("Once")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    client.validate(&secret("hk_live_x"), &ValidateKey::default()).await.unwrap_err();
    assert_eq!(odd.requests().len(), 2);
}

#[tokio::test]
async fn what_creates_is_sent_once_even_over_a_connection_that_was_good_before() {
    let odd = Odd::replying([Reply::kept_open(200, VERSION), Reply::Nothing]).await;
    let client = odd.client().build().unwrap();
    client.version().await.unwrap();
    let error = client.create_key(&key_wish("Once")).await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    assert_eq!(odd.requests().len(), 2);
}

#[tokio::test]
async fn usage_is_reported_again_only_if_it_can_be_told_from_its_repetition() {
    let batch = |records: &[_]| UsageBatch { records: records.to_vec() };
    let (told_apart, not) = (record(Some("once")), record(None));
    let debit = UsageDebit { idempotency_key: "once".into(), ..UsageDebit::default() };
    for setback in [Reply::Nothing, Reply::refusal(503, "retry-after: 0\r\n", "usage_backlog")] {
        let odd = Odd::replying([setback]).await;
        let client = odd.client().retries(1).build().unwrap();
        client.record_usage(no_key(), &not).await.unwrap_err();
        client.record_usages(&batch(&[told_apart.clone(), not.clone()])).await.unwrap_err();
        assert_eq!(odd.requests().len(), 2);
        client.record_usage(no_key(), &told_apart).await.unwrap_err();
        client.record_usages(&batch(&[told_apart.clone(), told_apart.clone()])).await.unwrap_err();
        client.debit(no_key(), &debit).await.unwrap_err();
        let requests = odd.requests();
        assert_eq!(requests.len(), 8);
        assert!(requests[2..].chunks(2).all(|pair| pair[0] == pair[1]), "{requests:?}");
    }
}

#[tokio::test]
async fn a_question_is_asked_again_if_there_is_no_answer_in_time() {
    let odd = Odd::replying([Reply::Silence, Reply::json(200, "", VERSION)]).await;
    let client = odd.client().timeout(Duration::from_millis(200)).build().unwrap();
    client.version().await.unwrap();
    assert_eq!(odd.requests().len(), 2);
}

#[tokio::test]
async fn a_question_is_asked_again_if_the_answer_is_lost() {
    for lost in [Reply::Nothing, Reply::Reset] {
        let (odd, client) = after(lost, VERSION).await;
        assert_eq!(client.version().await.unwrap().commit, "c");
        assert_eq!(odd.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_change_and_a_revocation_are_sent_again_as_they_were() {
    let (odd, client) = after(Reply::Nothing, REVOKED).await;
    client.revoke_key(no_key()).await.unwrap();
    assert_eq!(odd.requests().len(), 2);

    let odd = Odd::replying([Reply::Nothing, Reply::refusal(404, "", "not_found")]).await;
    let change = UpdateKey { name: Some("Again".into()), ..UpdateKey::default() };
    odd.client().build().unwrap().update_key(no_key(), &change).await.unwrap_err();
    let requests = odd.requests();
    assert!(requests[1].ends_with(r#"{"name":"Again"}"#), "{requests:?}");
    assert_eq!(requests[0], requests[1]);
}

#[tokio::test]
async fn a_busy_service_is_asked_again() {
    for status in [429, 502, 503, 504] {
        let (odd, client) = after(Reply::of(status, "", "busy"), VERSION).await;
        client.version().await.unwrap();
        assert_eq!(odd.requests().len(), 2, "{status}");
    }
}

#[tokio::test]
async fn other_refusals_stand() {
    for status in [400, 401, 403, 404, 409, 422, 500] {
        let odd = Odd::replying([Reply::refusal(status, "", "no")]).await;
        odd.client().build().unwrap().key(no_key()).await.unwrap_err();
        assert_eq!(odd.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_short_wait_that_the_service_asks_for_is_kept() {
    let busy = Reply::refusal(503, "retry-after: 1\r\n", "store_unavailable");
    let (odd, client) = after(busy, VERSION).await;
    let start = Instant::now();
    client.version().await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(odd.requests().len(), 2);
}

#[tokio::test]
async fn a_long_wait_is_left_to_the_caller() {
    for (status, long) in [(503, "60"), (429, "60"), (503, "Fri, 31 Dec 2100 23:59:59 GMT")] {
        let odd = Odd::replying([Reply::refusal(status, &format!("retry-after: {long}\r\n"), "later")]).await;
        let start = Instant::now();
        let error = odd.client().build().unwrap().key(no_key()).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let (Error::Unavailable { told, retry_after } | Error::Limited { told, retry_after }) = error else {
            panic!("{error:?}")
        };
        assert_eq!(told.status, status);
        assert!(retry_after >= Some(Duration::from_secs(60)), "{retry_after:?}");
        assert_eq!(odd.requests().len(), 1);
    }
}

#[tokio::test]
async fn there_is_an_end_to_asking_again() {
    for retries in [0, 1, 3] {
        let odd = Odd::replying([Reply::Nothing]).await;
        let error = odd.client().retries(retries).build().unwrap().version().await.unwrap_err();
        assert!(matches!(error, Error::Lost { .. }), "{error:?}");
        assert_eq!(odd.requests().len(), retries as usize + 1);
    }
}

#[tokio::test]
async fn whatever_was_never_sent_is_sent_once_there_is_a_connection() {
    // A port that is bound but not listened on refuses every connection.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let client = crate::builder(&url).retries(1000).build().unwrap();
    let creation = tokio::spawn(async move { client.create_key(&key_wish("Late")).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!creation.is_finished());

    let refusal = Reply::refusal(409, "", "after_all");
    let odd = Odd::on(socket.listen(8).unwrap(), vec![refusal]);
    let error = creation.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    assert_eq!(odd.requests().len(), 1);
}
