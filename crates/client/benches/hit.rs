//! What a request costs a program whose verifier has its key in memory, with a million keys there.
//!
//! All is real but the service: a server in this process vouches for every key and grants every unit. It takes
//! a minute or two to ask about a million keys. What the verifier does beside its requests goes on meanwhile.

use std::future::Future as _;
use std::hint::black_box;
use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use criterion::{Criterion, criterion_group, criterion_main};
use hokusai_api::validate::ValidatedKey;
use hokusai_api::verifiers::{AllotmentAsk, Allotments, Allotted, AllottedItems, ChangesPage, VouchedKey};
use hokusai_client::{Attempt, ClientAddress, Decision, Demand, Secret, Verifier};
use hokusai_core::key::{Environment, PlainKey};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use tokio::runtime::Runtime;

const KEYS: usize = 1_000_000;
/// Keys that are busy, spread over all.
const BUSY: usize = 10_000;
/// More units than are spent here.
const MANY: u32 = 100_000_000;
const POSITION: &str = "018f0000-0000-7000-8000-000000000000:1";
const PREDICT: Attempt<'_> = Attempt {
    service_id: Some("prediction"),
    demand: Demand::Scope("predict"),
    client: ClientAddress::Told("unknown"),
};

fn body(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("it can be written")
}

/// Vouches for a key; each is another user's, with an account of its own.
fn vouch(number: u64) -> VouchedKey {
    let id = format!("018f0000-0000-7000-8000-{number:012x}");
    let key = ValidatedKey {
        is_valid: true,
        key_id: Some(id.clone()),
        user_id: Some(format!("user-{number}")),
        service_id: Some("prediction".into()),
        scopes: Some(vec!["model:read".into(), "predict".into()]),
        environment: Some("production".into()),
        rate_limit_per_hour: Some(100_000),
        billing_plan: Some("free".into()),
        monthly_prediction_limit: None,
        expires_at: None,
        error: None,
        detail: None,
        code: None,
    };
    let (position, allowed_ips) = (POSITION.to_owned(), Some(Vec::new()));
    VouchedKey { key, account: Some(id), allowed_ips, valid_for_ms: Some(300_000), allotment: None, position }
}

fn grant(ask: &AllotmentAsk) -> Option<Allotted> {
    Some(Allotted {
        hour: 0,
        seq: ask.seq,
        allotted: if ask.want == 0 { ask.used } else { ask.used + MANY },
        used: ask.used,
        awaited: 0,
        expires_in_ms: 3_600_000,
        limit: u32::MAX,
        remaining: u32::MAX - MANY,
        holders: 1,
        reclaimable: false,
        living: true,
    })
}

/// Serves what a verifier asks for. Says where.
async fn service() -> String {
    let numbers = Arc::new(AtomicU64::new(1));
    let validate = move || async move { body(&vouch(numbers.fetch_add(1, Ordering::Relaxed))) };
    let allot = |asked: Bytes| async move {
        let asked: Allotments = serde_json::from_slice(&asked).expect("a verifier asks");
        body(&AllottedItems { items: asked.items.iter().map(grant).collect() })
    };
    let changes = || async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let (items, dry) = (Vec::new(), Vec::new());
        body(&ChangesPage { position: POSITION.into(), reset: false, items, dry })
    };
    let router = Router::new()
        .route("/api/v1/keys/validate", post(validate))
        .route("/api/v1/allotments", post(allot))
        .route("/api/v1/changes", get(changes));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async { axum::serve(listener, router).await });
    format!("http://{address}")
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

    fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        (0..self.texts.len()).step_by(self.length).map(|at| &self.texts[at..at + self.length])
    }
}

/// Has a request admitted for each key, so many at the same time.
async fn use_all(verifier: &Verifier, asked: &Arc<Asked>, at_once: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..at_once {
        let (verifier, asked) = (verifier.clone(), asked.clone());
        tasks.spawn(async move {
            for key in asked.iter().skip(first).step_by(at_once) {
                let decision = verifier.admit(key, &PREDICT).await;
                assert!(matches!(decision, Ok(Decision::Admitted { .. })), "{decision:?}");
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("every key is good");
    }
}

fn measure(criterion: &mut Criterion, runtime: &Runtime, verifier: &Verifier, asked: &Asked, which: &str) {
    let _within = runtime.enter();
    let mut next = asked.iter().cycle();
    let (mut hits, mut waits) = (0_u64, 0_u64);
    criterion.bench_function(&format!("a verifier's hit on {which}"), |bencher| {
        bencher.iter(|| {
            let key = next.next().expect("there is always another");
            let mut asking = pin!(verifier.admit(black_box(key), &PREDICT));
            let decision = match asking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(decision) => {
                    hits += 1;
                    decision
                }
                Poll::Pending => {
                    waits += 1;
                    runtime.block_on(asking)
                }
            };
            assert!(matches!(decision, Ok(Decision::Admitted { .. })), "{decision:?}");
            decision
        });
    });
    // Whoever reads the figures should know what they are of.
    let _ = writeln!(std::io::stderr(), "{hits} hits, and {waits} requests that waited");
}

fn hit(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("the system gives threads");
    let mut rng = StdRng::seed_from_u64(1);
    let mut keys: Vec<PlainKey> =
        (0..KEYS).map(|_| PlainKey::generate(Environment::Production, &mut rng)).collect();
    let busy = Asked::of(keys.iter().step_by(KEYS / BUSY));
    keys.shuffle(&mut rng);
    let all = Arc::new(Asked::of(keys.iter()));
    drop(keys);
    let verifier = runtime.block_on(async {
        let verifier = Verifier::builder([service().await], Secret::new("a token".into()))
            .cached_keys(2 * KEYS)
            .without_reports()
            .lookups_per_second(u32::MAX)
            .start()
            .expect("it has all that it needs");
        use_all(&verifier, &all, 256).await;
        // Units that nobody used for ten seconds were given back meanwhile: all are asked for again.
        use_all(&verifier, &all, 8192).await;
        verifier
    });
    measure(criterion, &runtime, &verifier, &all, "any of a million keys");
    measure(criterion, &runtime, &verifier, &busy, "one of 10,000 busy keys");
}

criterion_group!(benches, hit);
criterion_main!(benches);
