//! A flood of keys that nobody has.

use std::net::Ipv4Addr;
use std::time::Duration;

use hokusai_client::{Attempt, ClientAddress, Decision, Demand, Refusal, Unavailable, Verifier};
use hokusai_core::key::{Environment, PlainKey};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::reports::service_token;
use crate::service::Service;

const KEYS_A_SECOND: u32 = 10_000;
const SECONDS: u32 = 3;
const BURSTS_A_SECOND: u32 = 100;
const ADDRESSES: u32 = 5000;
/// Look-ups of keys that are no good, of all addresses together; the least set for one is 50.
const MOST_A_SECOND: u64 = 500;
/// What is remembered of refused keys, and asked about at the same time.
const MOST_REFUSED: u64 = 10_000;
const MOST_IN_FLIGHT: u64 = 1024;

fn attempt(client: ClientAddress<'_>) -> Attempt<'_> {
    Attempt { service_id: None, demand: Demand::Nothing, client }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_unknown_keys_a_second_reach_the_service_as_a_trickle() {
    let service = Service::start().await;
    let token = crate::secret(&service_token(&service).await);
    let verifier = Verifier::builder([&service.url], token).start().unwrap();
    let known = service.key("a key").await.api_key;
    let unknown: Vec<PlainKey> = (0..SECONDS * KEYS_A_SECOND)
        .map(|_| PlainKey::generate(Environment::Production, &mut rand::rng()))
        .collect();
    let asked_before = service.validations();
    let (began, mut answers) = (Instant::now(), JoinSet::new());
    let mut tick = interval(Duration::from_secs(1) / BURSTS_A_SECOND);
    for (burst, keys) in unknown.chunks((KEYS_A_SECOND / BURSTS_A_SECOND) as usize).enumerate() {
        tick.tick().await;
        for (number, key) in (burst as u32 * KEYS_A_SECOND / BURSTS_A_SECOND..).zip(keys) {
            let (verifier, key) = (verifier.clone(), key.clone());
            let address = Ipv4Addr::from_bits(number % ADDRESSES).into();
            answers.spawn(async move {
                verifier.admit(key.expose(), &attempt(ClientAddress::Known(address))).await
            });
        }
        // Whoever has a good key notices nothing.
        let decision = verifier.admit(&known, &attempt(ClientAddress::Told("unknown"))).await;
        assert!(matches!(decision, Ok(Decision::Admitted { .. })), "{decision:?}");
        assert!(verifier.metrics().look_ups_in_flight <= MOST_IN_FLIGHT);
    }
    let (mut refused, mut busy) = (0, 0);
    for answer in answers.join_all().await {
        match answer {
            Ok(Decision::Refused(Refusal::InvalidKey)) => refused += 1,
            Err(Unavailable::Busy) => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    // The first and the last second may have been cut.
    let seconds = began.elapsed().as_secs() + 2;
    let asked = service.validations() - asked_before - 1;
    let metrics = verifier.metrics();
    assert_eq!((asked, refused + busy), (refused, unknown.len() as u64), "{metrics:?}");
    assert!((MOST_A_SECOND..=MOST_A_SECOND * seconds).contains(&asked), "{asked} in {seconds} s");
    assert!(asked * 5 < unknown.len() as u64, "{asked}: this is no trickle");
    assert_eq!((metrics.cached_keys, metrics.look_ups_in_flight), (1, 0));
    assert_eq!(metrics.refused_keys, asked.min(MOST_REFUSED));
}
