//! What a request costs whose key a verifier has in memory, with a million keys there.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use hokusai_core::allotment::Answer;
use hokusai_core::feed::Position;
use hokusai_core::id::{Epoch, HolderId, KeyId};
use hokusai_core::key::{Environment, Lifetime, PlainKey, PresentedKey};
use hokusai_core::policy::{Attempt, ClientAddress, Demand, KeyFacts, Rights};
use hokusai_core::time::{Elapsed, Hour, Timestamp};
use hokusai_core::verifier::{
    FeedPage, KeyAnswer, LONGEST_VALIDITY, OutagePolicy, Request, Step, Verdict, Verifier, VerifierOptions,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const KEYS: usize = 1_000_000;
/// Keys that are asked for, spread over all.
const ASKED: usize = 10_000;
const NOW: Elapsed = Elapsed(0);
const PREDICT: Attempt<'_> = Attempt {
    service_id: Some("prediction"),
    demand: Demand::Nothing,
    client: ClientAddress::Told("unknown"),
};

fn facts(id: KeyId, rights: &Arc<Rights>) -> KeyFacts {
    let never = Timestamp::NEVER;
    let lifetime = Lifetime { expires_at: never, grace_until: never, revoked_at: never };
    KeyFacts { id, account: id.into(), lifetime, rights: rights.clone() }
}

/// Units for as long as is measured.
fn many(seq: i64) -> Answer {
    Answer {
        seq,
        hour: Hour(0),
        allotted: u32::MAX,
        used: 0,
        awaited: 0,
        expires_in: Duration::from_secs(3600),
        limit: u32::MAX,
        left: u32::MAX,
        holders: 1,
        reclaimable: false,
        living: true,
    }
}

fn request<'a>(text: &str) -> Request<'a> {
    let digest = PresentedKey::parse(text).expect("the key was made here").digest();
    Request { digest, attempt: PREDICT, stranger: None, in_vain: false, now: NOW }
}

/// A verifier with all keys in memory, and some of the keys.
fn full() -> (Verifier<()>, Vec<PlainKey>) {
    let mut rng = StdRng::seed_from_u64(1);
    let at = Timestamp(0);
    let options = VerifierOptions {
        cached_keys: 2 * KEYS,
        validation_ttl: LONGEST_VALIDITY,
        outage: OutagePolicy::Deny,
        lookups_per_second: 50,
        seed: 1,
    };
    let verifier = Verifier::new(options, HolderId::new(at, &mut rng), 0, NOW);
    let position = Position { epoch: Epoch::new(at, &mut rng), revision: 1 };
    verifier.follow(&FeedPage { head: position, reset: true, items: Vec::new(), dry: Vec::new() }, NOW, NOW);
    let rights = Arc::new(Rights {
        user_id: "ada".into(),
        service_id: "prediction".into(),
        scopes: Box::default(),
        environment: Environment::Production,
        allowlist: Box::default(),
        rate_limit_per_hour: 100_000,
        monthly_prediction_limit: None,
        billing_plan: "free".into(),
    });
    let mut asked = Vec::new();
    for number in 0..KEYS {
        let key = PlainKey::generate(Environment::Production, &mut rng);
        let Step::Wait(Some(look_up)) = verifier.admit(&request(key.expose()), || ()) else {
            unreachable!("the key is new")
        };
        let key_facts = facts(KeyId::new(at, &mut rng), &rights);
        let good = KeyAnswer::Good {
            key: key_facts,
            valid_for: LONGEST_VALIDITY,
            position,
            allotment: Some(many(look_up.seq)),
        };
        verifier.take_key(&look_up, good, NOW, NOW);
        if number % (KEYS / ASKED) == 0 {
            asked.push(key);
        }
    }
    (verifier, asked)
}

fn hit(criterion: &mut Criterion) {
    let (verifier, keys) = full();
    let mut next = keys.iter().cycle();
    criterion.bench_function("a hit, with a million keys in memory", |bencher| {
        bencher.iter(|| {
            let key = next.next().expect("there is always another");
            let step = verifier.admit(&request(black_box(key.expose())), || ());
            assert!(matches!(step, Step::Done(Verdict::Admitted(_))));
            step
        });
    });
    let digests: Vec<Request<'_>> = keys.iter().map(|key| request(key.expose())).collect();
    let mut next = digests.iter().cycle();
    criterion.bench_function("the same without digesting the key's text", |bencher| {
        bencher.iter(|| verifier.admit(black_box(next.next().expect("there is always another")), || ()));
    });
}

criterion_group!(benches, hit);
criterion_main!(benches);
