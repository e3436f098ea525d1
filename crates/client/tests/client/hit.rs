//! What a verifier does for a request whose key it has in memory.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use hokusai_client::{Attempt, ClientAddress, Decision, Demand, Verifier};

use crate::service::{Service, token_wish};

const ANYTHING: Attempt<'_> =
    Attempt { service_id: None, demand: Demand::Nothing, client: ClientAddress::Told("unknown") };

#[tokio::test]
async fn a_hit_waits_for_nothing_and_allocates_nothing() {
    let service = Service::start().await;
    let token = service.operator.create_token(&token_wish("gateway", "verifier")).await.unwrap().token;
    let verifier = Verifier::builder([&service.url], crate::secret(&token)).start().unwrap();
    let key = service.key("a key").await.api_key;
    let mut hits = 0;
    for _ in 0..200 {
        let mut asking = pin!(verifier.admit(&key, &ANYTHING));
        let mut first = Poll::Pending;
        let allocated = measure(|| first = asking.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        match first {
            Poll::Ready(Ok(Decision::Admitted { .. })) => {
                hits += 1;
                assert_eq!(allocated.count_total, 0, "{allocated:?}");
            }
            Poll::Ready(other) => panic!("{other:?}"),
            // There is no unit at hand: the service is asked for some.
            Poll::Pending => assert!(matches!(asking.await, Ok(Decision::Admitted { .. }))),
        }
    }
    assert!(hits > 100, "{hits}");
}

/// A request may go on another thread while it waits: so it holds no lock then.
#[test]
fn no_lock_is_held_while_a_request_waits() {
    fn is_send(_: &impl Send) {}
    let _ = |verifier: &Verifier| is_send(&verifier.admit("", &ANYTHING));
}
