//! What a request costs whose key a verifier has in memory, with a million keys there.
//!
//! Each key is another user's, with an account of its own. Requests go round ten thousand keys that are
//! spread over all, or round all of them in an order of chance: then nothing of a key is in the processor's
//! cache any longer when it comes again.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use hokusai_core::allotment::Answer;
use hokusai_core::feed::Position;
use hokusai_core::id::{Epoch, HolderId, KeyId};
use hokusai_core::key::{Environment, KeyDigest, Lifetime, PlainKey, PresentedKey};
use hokusai_core::policy::{Attempt, ClientAddress, Demand, KeyFacts, Rights};
use hokusai_core::scope::Scope;
use hokusai_core::time::{Elapsed, Hour, Timestamp};
use hokusai_core::verifier::{
    FeedPage, KeyAnswer, LONGEST_VALIDITY, OutagePolicy, Request, Step, Verdict, Verifier, VerifierOptions,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

const KEYS: usize = 1_000_000;
/// Keys that are busy, spread over all.
const BUSY: usize = 10_000;
const NOW: Elapsed = Elapsed(0);
const PREDICT: Attempt<'_> = Attempt {
    service_id: Some("prediction"),
    demand: Demand::Scope("predict"),
    client: ClientAddress::Told("unknown"),
};

fn facts(id: KeyId, number: usize) -> KeyFacts {
    let never = Timestamp::NEVER;
    let lifetime = Lifetime { expires_at: never, grace_until: never, revoked_at: never };
    let scope = |text| Scope::parse(text).expect("it has the form of a scope");
    let rights = Arc::new(Rights {
        user_id: format!("user-{number}").into(),
        service_id: "prediction".into(),
        scopes: [scope("model:read"), scope("predict")].into(),
        environment: Environment::Production,
        allowlist: Box::default(),
        rate_limit_per_hour: 100_000,
        monthly_prediction_limit: None,
        billing_plan: "free".into(),
    });
    KeyFacts { id, account: id.into(), lifetime, rights }
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

fn request(digest: KeyDigest) -> Request<'static> {
    Request { digest, attempt: PREDICT, stranger: None, in_vain: false, now: NOW }
}

fn digest(text: &str) -> KeyDigest {
    PresentedKey::parse(text).expect("the key was made here").digest()
}

/// A verifier with all keys in memory, and the keys.
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
    let mut keys = Vec::with_capacity(KEYS);
    for number in 0..KEYS {
        let key = PlainKey::generate(Environment::Production, &mut rng);
        let Step::Wait(Some(look_up)) = verifier.admit(&request(key.digest()), || ()) else {
            unreachable!("the key is new")
        };
        let good = KeyAnswer::Good {
            key: facts(KeyId::new(at, &mut rng), number),
            valid_for: LONGEST_VALIDITY,
            position,
            allotment: Some(many(look_up.seq)),
        };
        verifier.take_key(&look_up, good, NOW, NOW);
        keys.push(key);
    }
    (verifier, keys)
}

/// Requests' texts lie one behind the other, as one that has just come lies in the processor's cache.
struct Asked {
    texts: String,
    length: usize,
}

impl Asked {
    fn of<'a>(keys: impl Iterator<Item = &'a PlainKey>) -> Self {
        let texts: Vec<&str> = keys.map(PlainKey::expose).collect();
        Self { length: texts[0].len(), texts: texts.concat() }
    }

    fn cycle(&self) -> impl Iterator<Item = &str> {
        (0..self.texts.len()).step_by(self.length).cycle().map(|at| &self.texts[at..at + self.length])
    }
}

fn measure(criterion: &mut Criterion, verifier: &Verifier<()>, asked: &Asked, which: &str) {
    let mut next = asked.cycle();
    criterion.bench_function(&format!("a hit on {which}"), |bencher| {
        bencher.iter(|| {
            let text = next.next().expect("there is always another");
            let step = verifier.admit(&request(digest(black_box(text))), || ());
            assert!(matches!(step, Step::Done(Verdict::Admitted(_))));
            step
        });
    });
    let digests: Vec<KeyDigest> = asked.cycle().take(asked.texts.len() / asked.length).map(digest).collect();
    let mut next = digests.iter().cycle();
    criterion.bench_function(&format!("a hit on {which}, without digesting its text"), |bencher| {
        bencher.iter(|| {
            let digest = next.next().expect("there is always another");
            verifier.admit(&request(*black_box(digest)), || ())
        });
    });
}

fn hit(criterion: &mut Criterion) {
    let (verifier, mut keys) = full();
    let text = keys[0].expose().to_owned();
    criterion.bench_function("reading and digesting a key's text", |bencher| {
        bencher.iter(|| digest(black_box(&text)));
    });
    let busy = Asked::of(keys.iter().step_by(KEYS / BUSY));
    measure(criterion, &verifier, &busy, "one of 10,000 busy keys");
    keys.shuffle(&mut StdRng::seed_from_u64(2));
    let all = Asked::of(keys.iter());
    drop(keys);
    measure(criterion, &verifier, &all, "any of a million keys");
}

criterion_group!(benches, hit);
criterion_main!(benches);
