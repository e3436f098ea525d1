//! A hit takes no memory from the allocator.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use hokusai_core::allotment::Answer;
use hokusai_core::feed::Position;
use hokusai_core::key::{Environment, Lifetime, PresentedKey};
use hokusai_core::policy::{Attempt, ClientAddress, Demand, KeyFacts, Rights};
use hokusai_core::scope::Scope;
use hokusai_core::time::{Elapsed, Hour, SECOND, Timestamp};
use hokusai_core::verifier::{
    FeedPage, KeyAnswer, LONGEST_VALIDITY, OutagePolicy, Request, Step, Verdict, Verifier, VerifierOptions,
};

const KEY: &str = "hk_test_000000000000000000000000001tcB9d";
const NOW: Elapsed = Elapsed(0);
const LIMIT: u32 = 1000;

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(number: u32) -> T {
    format!("018f0000-0000-7000-8000-{number:012}").parse().unwrap()
}

fn request(now: Elapsed, scope: &'static str) -> Request<'static> {
    let digest = PresentedKey::parse(KEY).unwrap().digest();
    let client = ClientAddress::Known([10, 0, 0, 1].into());
    let attempt = Attempt { service_id: Some("website"), demand: Demand::Scope(scope), client };
    Request { digest, attempt, stranger: Some([10, 0, 0, 1].into()), in_vain: false, now }
}

/// A verifier that has the key in memory, and a few units of it.
fn verifier() -> Verifier<()> {
    let options = VerifierOptions {
        cached_keys: 1000,
        validation_ttl: LONGEST_VALIDITY,
        outage: OutagePolicy::Deny,
        lookups_per_second: 50,
        seed: 1,
    };
    let verifier = Verifier::new(options, id(1), 0, NOW);
    let position = Position { epoch: id(2), revision: 1 };
    verifier.follow(&FeedPage { head: position, reset: true, items: Vec::new(), dry: Vec::new() }, NOW, NOW);
    let Step::Wait(Some(look_up)) = verifier.admit(&request(NOW, "predict"), || ()) else {
        panic!("nothing is known")
    };
    let never = Timestamp::NEVER;
    let key = KeyFacts {
        id: id(3),
        account: id(3),
        lifetime: Lifetime { expires_at: never, grace_until: never, revoked_at: never },
        rights: Arc::new(Rights {
            user_id: "ada".into(),
            service_id: "platform".into(),
            scopes: [Scope::parse("predict").unwrap()].into(),
            environment: Environment::Test,
            allowlist: ["10.0.0.0/8".parse().unwrap()].into(),
            rate_limit_per_hour: LIMIT,
            monthly_prediction_limit: None,
            billing_plan: "free".into(),
        }),
    };
    let allotment = Answer {
        seq: look_up.seq,
        hour: Hour(0),
        allotted: LIMIT,
        used: 0,
        awaited: 0,
        expires_in: Duration::from_secs(3600),
        limit: LIMIT,
        left: 0,
        holders: 1,
        reclaimable: false,
        living: true,
    };
    let good = KeyAnswer::Good { key, valid_for: LONGEST_VALIDITY, position, allotment: Some(allotment) };
    verifier.take_key(&look_up, good, NOW, NOW);
    verifier
}

#[test]
fn admitting_and_refusing_a_known_key_allocates_nothing() {
    let verifier = verifier();
    let mut admitted = 0;
    let allocated = measure(|| {
        for number in 0..500 {
            let now = Elapsed(number * SECOND / 10);
            let step = verifier.admit(&request(now, "predict"), || ());
            admitted += u32::from(matches!(step, Step::Done(Verdict::Admitted(_))));
            let step = verifier.admit(&request(now, "train"), || ());
            assert!(matches!(step, Step::Done(Verdict::Refused(_))));
        }
    });
    assert_eq!(admitted, 500);
    assert_eq!(allocated.count_total, 0, "{allocated:?}");
}
