//! The verifier against answers made by hand.

use std::sync::Arc;

use super::*;
use crate::allotment::{Answer, Ask};
use crate::id::{Epoch, KeyId};
use crate::key::{Environment, Lifetime};
use crate::policy::{Demand, KeyFacts, Rights};
use crate::time::{HOUR, Hour, SECOND, Timestamp};

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
    assert_eq!(use_some(&verifier, 1, 100, &mut 0, NOW), 10);
}

/// Asks so often with a key, and until its requests are limited at the most; says how many were admitted.
/// `told` is what the store knows of units that were spent.
fn use_some(verifier: &Verifier<u32>, number: u32, most: u32, told: &mut u32, now: Elapsed) -> u32 {
    let mut admitted = 0;
    while admitted < most {
        match verifier.admit(&request(number, now), || 0) {
            Step::Done(Verdict::Admitted(_)) => admitted += 1,
            Step::Done(Verdict::Limited(_)) => break,
            Step::Wait(None) => {
                for (account, ask) in verifier.next_message(now, |_| true).items {
                    let answer = answer(ask, 10, *told);
                    *told = answer.used + answer.awaited;
                    verifier.hear(account, Some(&answer), now);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    admitted
}

#[test]
fn units_that_come_with_a_key_are_not_taken_where_more_was_said_meanwhile() {
    let verifier = verifier();
    look_up(&verifier, 1, 10, Duration::from_secs(1));
    let good = |key: KeyFacts, allotment| KeyAnswer::Good {
        key,
        valid_for: LONGEST_VALIDITY,
        position: at(5),
        allotment,
    };
    // Another key of the same account.
    let Step::Wait(Some(other)) = verifier.admit(&request(2, NOW), || 0) else { panic!("it is new") };
    verifier.take_key(&other, good(KeyFacts { account: id(1), ..key(2, 10) }, None), NOW, NOW);
    let later = NOW.after(Duration::from_secs(2));
    let Step::Wait(Some(again)) = verifier.admit(&request(1, later), || 0) else {
        panic!("its time is over")
    };
    let mut told = 0;
    assert_eq!(use_some(&verifier, 2, 4, &mut told, later), 4);
    // All is told and given back, and the account is forgotten.
    let idle = later.after(Duration::from_secs(20));
    verifier.sweep(idle);
    for (account, ask) in verifier.next_message(idle, |_| true).items {
        told = ask.used;
        verifier.hear(account, Some(&answer(ask, 10, told)), idle);
    }
    verifier.sweep(idle);
    assert_eq!((told, verifier.holdings.len()), (4, 0));
    // The store had found a unit before it heard all this.
    let ask = Ask { hour: None, seq: again.seq, used: 0, want: 1, waiting: 0 };
    let late = answer(ask, 10, 0);
    assert!(matches!(verifier.take_key(&again, good(key(1, 10), Some(late)), later, idle), Taken::Wake(_)));
    assert_eq!(use_some(&verifier, 1, 100, &mut told, idle), 6);
}

#[test]
fn an_answer_that_a_change_has_overtaken_is_asked_for_again() {
    for (changed, account, stands) in [(1, 1, false), (2, 1, false), (2, 2, true)] {
        let verifier = verifier();
        let Step::Wait(Some(asked)) = verifier.admit(&request(1, NOW), || 0) else { panic!("it is new") };
        let change = crate::feed::Change { revision: 6, key: Some((id(changed), id(account))) };
        let items = vec![FeedItem { change, is_new: false }];
        verifier.follow(&FeedPage { head: at(6), reset: false, items, dry: vec![] }, NOW, NOW);
        let good = KeyAnswer::Good {
            key: key(1, 10),
            valid_for: LONGEST_VALIDITY,
            position: at(5),
            allotment: None,
        };
        let taken = verifier.take_key(&asked, good, NOW, NOW);
        assert_eq!(matches!(taken, Taken::Wake(_)), stands, "{taken:?}");
        assert_eq!(matches!(taken, Taken::AskAgain), !stands, "{taken:?}");
        assert_eq!(verifier.known_keys(), usize::from(stands));
    }
}

/// Asks about ten thousand unknown keys a second for a minute, in the name of these addresses in turn. Says
/// how often the service was asked in a second, at the most.
fn flood(addresses: &[Option<IpAddr>]) -> usize {
    let verifier = verifier();
    let (mut number, mut most) = (0, 0);
    for second in 0..60 {
        let (mut asked, mut open) = (0, Vec::new());
        for part in 0..10_000 {
            number += 1;
            let now = Elapsed(NOW.0 + second * SECOND + part * SECOND / 10_000);
            let stranger = addresses[number as usize % addresses.len()];
            let step = verifier.admit(&Request { stranger, ..request(number, now) }, || 0);
            if let Step::Wait(Some(look_up)) = step {
                asked += 1;
                open.push(look_up);
            }
            if part % 1000 == 999 {
                for look_up in open.drain(..) {
                    let refused = KeyAnswer::Refused { refusal: Refusal::InvalidKey, position: at(5) };
                    verifier.take_key(&look_up, refused, now, now);
                }
            }
        }
        let (look_ups, cap) = (lock(&verifier.look_ups), lock(&verifier.lookup_cap));
        assert!(look_ups.refused_keys() <= 10_000 && cap.addresses() <= addresses.len());
        most = most.max(asked);
    }
    assert_eq!((verifier.known_keys(), verifier.holdings.len()), (0, 0));
    most
}

#[test]
fn a_flood_of_unknown_keys_reaches_the_service_as_a_trickle() {
    let many: Vec<_> = (0..10_000).map(|host| Some(std::net::Ipv4Addr::from_bits(host).into())).collect();
    assert_eq!(flood(&many[..1]), 50);
    assert_eq!(flood(&many), 500);
    assert_eq!(flood(&[None]), 500);
}

#[test]
fn keys_that_turn_out_to_be_good_are_looked_up_without_a_cap_on_all_together() {
    let verifier = verifier();
    for number in 0..2000 {
        look_up(&verifier, number, 10, LONGEST_VALIDITY);
    }
}

#[test]
fn a_known_key_that_is_looked_up_again_makes_no_room_for_strangers() {
    let verifier = verifier();
    look_up(&verifier, 0, 10, Duration::from_secs(1));
    let later = NOW.after(Duration::from_secs(2));
    let stranger = |number| verifier.admit(&request(number, later), || 0);
    assert!((1..=500).all(|number| matches!(stranger(number), Step::Wait(Some(_)))));
    let Step::Wait(Some(known)) = verifier.admit(&request(0, later), || 0) else {
        panic!("its time is over")
    };
    let good =
        KeyAnswer::Good { key: key(0, 10), valid_for: LONGEST_VALIDITY, position: at(5), allotment: None };
    assert!(matches!(verifier.take_key(&known, good, later, later), Taken::Wake(_)));
    assert!(matches!(stranger(501), Step::Busy));
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
