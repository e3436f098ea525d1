//! The verifier against answers made by hand.

use std::sync::Arc;

use super::*;
use crate::allotment::{Answer, Ask};
use crate::id::{Epoch, KeyId};
use crate::key::{Environment, Lifetime};
use crate::policy::{Demand, KeyFacts, Rights};
use crate::time::{HOUR, Hour, Timestamp};

const NOW: Elapsed = Elapsed(1_000_000);
const ANYTHING: Attempt<'_> = Attempt {
    service_id: None,
    demand: Demand::Nothing,
    client: crate::policy::ClientAddress::Told("unknown"),
};

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(number: u32) -> T {
    format!("018f0000-0000-7000-8000-{number:012}").parse().unwrap()
}

fn at(revision: i64) -> Position {
    Position { epoch: id::<Epoch>(1), revision }
}

fn digest(number: u32) -> KeyDigest {
    KeyDigest::of(&number.to_string())
}

pub(super) fn key(number: u32, limit: u32) -> KeyFacts {
    let never = Timestamp::NEVER;
    KeyFacts {
        id: id::<KeyId>(number),
        account: id(number),
        lifetime: Lifetime { expires_at: never, grace_until: never, revoked_at: never },
        rights: Arc::new(Rights {
            user_id: "ada".into(),
            service_id: "platform".into(),
            scopes: Box::default(),
            environment: Environment::Test,
            allowlist: Box::default(),
            rate_limit_per_hour: limit,
            monthly_prediction_limit: None,
            billing_plan: "free".into(),
        }),
    }
}

fn verifier() -> Verifier<u32> {
    let options = VerifierOptions {
        cached_keys: 100,
        validation_ttl: LONGEST_VALIDITY,
        outage: OutagePolicy::Allow,
        lookups_per_second: 50,
        seed: 7,
    };
    let verifier = Verifier::new(options, id(99), 0, NOW);
    let page = FeedPage { head: at(5), reset: true, items: vec![], dry: vec![] };
    verifier.follow(&page, NOW, NOW);
    verifier
}

fn request(number: u32, now: Elapsed) -> Request<'static> {
    Request { digest: digest(number), attempt: ANYTHING, stranger: None, in_vain: false, now }
}

/// What a store with this limit and no other holder says.
fn answer(ask: Ask, limit: u32, known: u32) -> Answer {
    let hour = Hour(10);
    let used = if ask.hour == Some(hour) { ask.used } else { known };
    let granted = ask.want.min(limit - used);
    Answer {
        seq: ask.seq,
        hour,
        allotted: used + granted,
        used,
        awaited: ask.waiting.min(granted),
        expires_in: Duration::from_micros(HOUR as u64),
        limit,
        left: limit - used - granted,
        holders: 1,
        reclaimable: false,
        living: true,
    }
}

/// Looks the key up, and gets its first unit.
fn look_up(verifier: &Verifier<u32>, number: u32, limit: u32, valid_for: Duration) -> Taken<u32> {
    let Step::Wait(Some(asked)) = verifier.admit(&request(number, NOW), || 0) else {
        panic!("the key is known already")
    };
    let ask = Ask { hour: None, seq: asked.seq, used: 0, want: 1, waiting: 0 };
    let allotment = Some(answer(ask, limit, 0));
    let good = KeyAnswer::Good { key: key(number, limit), valid_for, position: at(5), allotment };
    verifier.take_key(&asked, good, NOW, NOW)
}

#[test]
fn exactly_the_limit_is_admitted_one_unit_at_a_time() {
    let verifier = verifier();
    assert!(
        matches!(look_up(&verifier, 1, 10, LONGEST_VALIDITY), Taken::Wake(woken) if woken == [(0, News::TryAgain)])
    );
    let mut admitted = 0;
    for _ in 0..100 {
        match verifier.admit(&request(1, NOW), || 0) {
            Step::Done(Verdict::Admitted(_)) => admitted += 1,
            Step::Done(Verdict::Limited(_)) => break,
            Step::Wait(None) => {
                let message = verifier.next_message(NOW, |_| true);
                for (account, ask) in message.items {
                    verifier.hear(account, Some(&answer(ask, 10, 0)), NOW);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(admitted, 10);
}

#[test]
fn the_most_keys_are_kept_and_those_that_are_used_stay() {
    let verifier = verifier();
    for number in 0..1000 {
        look_up(&verifier, number, 1000, LONGEST_VALIDITY);
        assert!(verifier.known_keys() <= 100);
        let step = verifier.admit(&request(0, NOW), || 0);
        assert!(!matches!(step, Step::Wait(Some(_))), "a busy key went at {number}");
    }
    assert_eq!(verifier.known_keys(), 100);
}

#[test]
fn an_account_is_found_again_after_others_took_its_place() {
    let verifier = verifier();
    let later = NOW.after(Duration::from_secs(20));
    for number in 0..50 {
        look_up(&verifier, number, 10, LONGEST_VALIDITY);
        assert!(matches!(verifier.admit(&request(number, NOW), || 0), Step::Done(Verdict::Admitted(_))));
    }
    // All is told and given back: nothing is held any longer, and the keys are still known.
    verifier.sweep(later);
    for (account, ask) in verifier.next_message(later, |_| true).items {
        verifier.hear(account, Some(&answer(ask, 10, 1)), later);
    }
    verifier.sweep(later);
    assert_eq!((verifier.known_keys(), verifier.holdings.len()), (50, 0));
    for number in (0..50).rev() {
        assert!(matches!(verifier.admit(&request(number, later), || 0), Step::Wait(None)));
    }
    for (account, ask) in verifier.next_message(later, |_| true).items {
        verifier.hear(account, Some(&answer(ask, 10, 1)), later);
    }
    for number in 0..50 {
        let Step::Done(Verdict::Admitted(admission)) = verifier.admit(&request(number, later), || 0) else {
            panic!("{number} has a unit")
        };
        assert_eq!((admission.key.id, admission.quota.remaining), (id(number), 8));
    }
}
