//! Verifiers before real nodes: exact limits, prompt revocation, honest outages.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hokusai_client::{
    Attempt, ClientAddress, Decision, Demand, Refusal, Secret, Unavailable, Verifier, VerifierBuilder,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::clock::{figure, now, percentiles};
use crate::http::Request;
use crate::program::Process;
use crate::proxy::{Line, Proxy};
use crate::site::{NewKey, OPERATOR, Site, text_of};

const ANYTHING: Attempt<'_> =
    Attempt { service_id: None, demand: Demand::Nothing, client: ClientAddress::Told("unknown") };
const LIMIT: u32 = 1000;
/// How long a verifier that is cut off remembers keys; longer by hand.
const TTL_SECONDS: &str = "HOKUSAI_TEST_TTL_SECONDS";

fn run(fact: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(fact);
}

fn service_token(node: &Process) -> Secret {
    let wish = json!({"user_id": "gateway", "name": "a gateway", "role": "verifier"});
    Secret::new(text_of(&node.as_operator("POST", "/api/v1/admin-tokens", &wish).expect(201)["token"]))
}

fn before(nodes: &[SocketAddr], token: &Secret) -> VerifierBuilder {
    Verifier::builder(nodes.iter().map(|node| format!("http://{node}")), token.clone())
        .lookups_per_second(100_000)
}

/// Microseconds since 1970, as the store counts on the same machine.
#[expect(clippy::disallowed_methods, reason = "a test of real processes measures real time")]
pub(crate) fn wall() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

pub(crate) fn instant(value: &Value) -> i64 {
    hokusai_client::api::time::read(value.as_str().unwrap()).unwrap()
}

async fn admitted(verifier: &Verifier, key: &NewKey) -> Option<i64> {
    match verifier.admit(&key.text, &ANYTHING).await.unwrap() {
        Decision::Admitted { quota, .. } => Some(quota.hour.0),
        Decision::Limited(_) => None,
        Decision::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

/// Spends by `tasks` at once until nothing is left. Says how many were admitted in which hour.
async fn spend_all(verifier: &Verifier, key: &NewKey, tasks: usize, pause: Duration) -> HashMap<i64, u32> {
    let mut spending = JoinSet::new();
    for _ in 0..tasks {
        let (verifier, key) = (verifier.clone(), NewKey { id: key.id.clone(), text: key.text.clone() });
        spending.spawn(async move {
            let mut hours = HashMap::new();
            while let Some(hour) = admitted(&verifier, &key).await {
                *hours.entry(hour).or_insert(0) += 1;
                tokio::time::sleep(pause).await;
            }
            hours
        });
    }
    add_up(spending.join_all().await)
}

fn add_up(counts: impl IntoIterator<Item = HashMap<i64, u32>>) -> HashMap<i64, u32> {
    let mut sums = HashMap::new();
    for (hour, count) in counts.into_iter().flatten() {
        *sums.entry(hour).or_insert(0) += count;
    }
    sums
}

/// What the last hour had; earlier hours must not have had more than the limit.
fn in_last_hour(hours: &HashMap<i64, u32>) -> u32 {
    assert!(hours.values().all(|count| *count <= LIMIT), "{hours:?}");
    hours.iter().max().map_or(0, |(_, count)| *count)
}

fn calls(node: &Process, route: &str) -> u64 {
    let metrics = node.send(Request::new("GET", "/metrics")).text;
    let lines = metrics.lines().filter(|line| line.starts_with("hokusai_http_requests_total"));
    let counts = lines.filter(|line| line.contains(&format!("route=\"{route}\"")));
    counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[test]
fn three_verifiers_before_two_nodes_admit_exactly_the_limit() {
    let site = Site::on_postgres();
    run(async {
        let (one, other) = (site.start(), site.start());
        let token = service_token(&one);
        let nodes = [one.address, other.address];
        let key = one.create_key(LIMIT);
        let verifiers: Vec<Verifier> = [[0, 1], [1, 0], [0, 1]]
            .map(|order| before(&order.map(|index| nodes[index]), &token).start().unwrap())
            .into();
        let began = now();
        let [a, b, c] = [(8, 1), (3, 5), (1, 20)].map(|(tasks, ms)| (tasks, Duration::from_millis(ms)));
        let (a, b, c) = tokio::join!(
            spend_all(&verifiers[0], &key, a.0, a.1),
            spend_all(&verifiers[1], &key, b.0, b.1),
            spend_all(&verifiers[2], &key, c.0, c.1),
        );
        let took = began.elapsed();
        let shares: Vec<u32> = [&a, &b, &c].iter().map(|hours| hours.values().sum()).collect();
        assert_eq!(in_last_hour(&add_up([a, b, c])), LIMIT);
        let messages = calls(&one, "/api/v1/allotments") + calls(&other, "/api/v1/allotments");
        figure(&format!(
            "1000 of 1000 admitted in {took:.1?}, shared as {shares:?}; {messages} messages about limits for them"
        ));
    });
}

#[test]
fn a_verifier_that_dies_takes_its_last_units_with_it_and_no_others() {
    let site = Site::on_sqlite();
    run(async {
        let node = site.start();
        let token = service_token(&node);
        let key = node.create_key(LIMIT);
        let [dies, lives] = [(); 2].map(|()| before(&[node.address], &token).start().unwrap());
        let mut hours = Vec::new();
        for _ in 0..150 {
            hours.push(HashMap::from([(admitted(&dies, &key).await.unwrap(), 1)]));
        }
        // Its tasks end with it; it says nothing to anybody.
        drop(dies);
        hours.push(spend_all(&lives, &key, 4, Duration::ZERO).await);
        let total = in_last_hour(&add_up(hours));
        // It never had more at hand than a twentieth of the limit.
        assert!((LIMIT - LIMIT / 20..=LIMIT).contains(&total), "{total}");
        figure(&format!("after one of two verifiers died, {total} of {LIMIT} were admitted"));
    });
}

/// Admits by one verifier as fast as it can until the key is refused. Says when the last that passed began
/// and ended, and how many passed that began after `at`.
async fn hammer(verifier: Verifier, key: String) -> Vec<(i64, i64)> {
    let mut passed = Vec::new();
    loop {
        let began = wall();
        match verifier.admit(&key, &ANYTHING).await.unwrap() {
            Decision::Admitted { .. } => passed.push((began, wall())),
            Decision::Refused(refusal) => {
                assert_eq!(refusal, Refusal::Revoked);
                return passed;
            }
            Decision::Limited(_) => panic!("the limit is not what is tried here"),
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

#[test]
fn nobody_admits_a_revoked_key_after_the_stated_time() {
    let site = Site::on_postgres();
    run(async {
        let (one, other) = (site.start(), site.start());
        let token = service_token(&one);
        let nodes = [one.address, other.address];
        let verifiers: Vec<Verifier> = [[0, 1], [1, 0], [0, 1]]
            .map(|order| before(&order.map(|index| nodes[index]), &token).start().unwrap())
            .into();
        let (mut delays, mut stated) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            let key = one.create_key(100_000);
            let mut hammering = JoinSet::new();
            for verifier in &verifiers {
                assert!(admitted(verifier, &key).await.is_some());
                hammering.spawn(hammer(verifier.clone(), key.text.clone()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            let called = wall();
            let path = format!("/api/v1/keys/{}", key.id);
            let revoking = Request::new("DELETE", path).bearer(OPERATOR);
            let node = other.address;
            let answer = tokio::task::spawn_blocking(move || revoking.send(node).expect(200)).await.unwrap();
            let effective = &answer["effective"];
            assert_eq!(effective["everywhere"], true, "{answer}");
            let at = instant(&effective["at"]);
            let passed: Vec<(i64, i64)> = hammering.join_all().await.into_iter().flatten().collect();
            let late: Vec<_> = passed.iter().filter(|(began, _)| *began > at).collect();
            assert!(late.is_empty(), "admitted after {at}: {late:?}");
            let last = passed.iter().map(|(_, ended)| *ended).max().unwrap();
            delays.push(Duration::from_micros(u64::try_from((last - called).max(0)).unwrap()));
            stated.push(Duration::from_micros(u64::try_from(at - called).unwrap()));
        }
        let (median, p99, most) = percentiles(delays);
        let (_, stated_p99, stated_most) = percentiles(stated);
        figure(&format!(
            "from a revocation to the last request admitted anywhere, 100 times: median {median:.1?}, \
             99th percentile {p99:.1?}, at most {most:.1?}; stated as over after {stated_p99:.1?}, {stated_most:.1?}"
        ));
        assert!(stated_p99 <= Duration::from_secs(1));
    });
}

#[test]
fn a_node_says_what_it_knows_whoever_made_it_look() {
    let site = Site::on_postgres();
    let (one, other) = (site.start(), site.start());
    // Asked from a place that it does not know, a node looks at the feed itself. Who asks so is not waited for.
    let unknown = "018f0000-0000-7000-8000-000000000001";
    let path = format!("/api/v1/changes?holder={unknown}&position={unknown}:1&wait_ms=0");
    let look = || {
        let asked = Request::new("GET", path.clone()).header("X-Hokusai-Service-Token", OPERATOR);
        one.send(asked).expect(200)
    };
    let keys: Vec<NewKey> = (0..20).map(|_| one.create_key(100)).collect();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        // Whatever ends this also ends the looking.
        let revoking = Arc::new(());
        for _ in 0..8 {
            let (look, is_revoking) = (&look, Arc::downgrade(&revoking));
            scope.spawn(move || {
                while is_revoking.strong_count() > 0 {
                    assert_eq!(look()["reset"], true);
                }
            });
        }
        let revocation =
            |key: &NewKey| Request::new("DELETE", format!("/api/v1/keys/{}", key.id)).bearer(OPERATOR);
        keys.iter().map(|key| other.send(revocation(key)).body).collect()
    });
    for answer in answers {
        assert_eq!(answer["effective"]["everywhere"], true, "{answer}");
    }
}

#[test]
fn a_verifier_that_is_cut_off_gives_revoked_keys_up_by_the_latest_time() {
    const KEYS: usize = 20;
    let site = Site::on_sqlite();
    run(async {
        let node = site.start();
        let token = service_token(&node);
        let line = Proxy::to(node.address);
        let ttl =
            std::env::var_os(TTL_SECONDS).map_or(5, |seconds| seconds.to_str().unwrap().parse().unwrap());
        let ttl = Duration::from_secs(ttl);
        let verifier = before(&[line.address], &token).validation_ttl(ttl).start().unwrap();
        let keys: Vec<NewKey> = (0..KEYS).map(|_| node.create_key(100_000)).collect();
        for key in &keys {
            // So that there are units at hand, too.
            for _ in 0..200 {
                assert!(admitted(&verifier, key).await.is_some());
            }
        }
        line.set(Line::Dead);
        let mut latest = Vec::new();
        for key in &keys {
            let path = format!("/api/v1/keys/{}?wait_ms=0", key.id);
            let answer = node.send(Request::new("DELETE", path).bearer(OPERATOR)).expect(200);
            assert_eq!(answer["effective"]["everywhere"], false, "{answer}");
            assert_eq!(answer["effective"]["pending"].as_array().unwrap().len(), 1);
            latest.push(instant(&answer["effective"]["at_latest"]));
        }
        // What is at hand still passes, which is what the stated time is for.
        assert!(admitted(&verifier, &keys[0]).await.is_some());
        let end = *latest.iter().max().unwrap();
        let mut last = 0;
        while wall() <= end {
            for (key, at_latest) in keys.iter().zip(&latest) {
                let began = wall();
                let trying = verifier.admit(&key.text, &ANYTHING);
                // A request that would have to wait for the service is given up.
                let Ok(decision) = tokio::time::timeout(Duration::from_millis(20), trying).await else {
                    continue;
                };
                if matches!(decision, Ok(Decision::Admitted { .. })) {
                    assert!(began <= *at_latest, "admitted {} µs too late", began - at_latest);
                    last = began;
                }
            }
            // So that units are left to the end.
            tokio::time::sleep(ttl / 200).await;
        }
        figure(&format!(
            "a verifier that was cut off and remembers for {ttl:?} admitted {KEYS} revoked keys until {} ms before the \
             stated latest time",
            (end - last) / 1000
        ));
        for key in &keys {
            let trying =
                tokio::time::timeout(Duration::from_millis(20), verifier.admit(&key.text, &ANYTHING));
            assert!(!matches!(trying.await, Ok(Ok(Decision::Admitted { .. }))));
        }
        // Reached again, it says so.
        line.set(Line::Whole);
    });
}

fn used_this_hour(node: &Process, key: &NewKey) -> u64 {
    let shown =
        node.send(Request::new("GET", format!("/api/v1/keys/{}", key.id)).bearer(OPERATOR)).expect(200);
    shown["usage"]["requests_this_hour"].as_u64().unwrap()
}

fn journal(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("debts")).unwrap()
}

#[test]
fn keys_in_memory_outlive_an_outage_for_their_time_and_what_they_did_is_settled() {
    let site = Site::on_sqlite();
    run(async {
        let node = site.start();
        let (token, address) = (service_token(&node), node.address);
        let books = site.directory().join("verifier");
        let ttl = Duration::from_secs(12);
        let verifier = before(&[address], &token).validation_ttl(ttl).journal(&books).start().unwrap();
        let (key, unknown) = (node.create_key(LIMIT), node.create_key(LIMIT));
        let asked = now();
        assert!(admitted(&verifier, &key).await.is_some());
        node.kill();

        let mut total = 1_u64;
        let mut last = asked;
        loop {
            let began = now();
            match verifier.admit(&key.text, &ANYTHING).await {
                Ok(Decision::Admitted { .. }) => (total, last) = (total + 1, began),
                Err(Unavailable::Unreachable) => break,
                other => panic!("{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(last.duration_since(asked) <= ttl, "used past its time: {:?}", last.duration_since(asked));
        assert!(verifier.open_debt() > 50, "{}", verifier.open_debt());
        assert_eq!(journal(&books).lines().count() as u64, verifier.open_debt());
        let unreachable = verifier.admit(&unknown.text, &ANYTHING).await;
        assert_eq!(unreachable.unwrap_err(), Unavailable::Unreachable);

        let again = site.serve().env("HOKUSAI_LISTEN", address.to_string()).start();
        let owed = verifier.open_debt();
        let settling = now();
        while verifier.open_debt() > 0 {
            assert!(settling.elapsed() < Duration::from_secs(5), "the debt is not settled");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(admitted(&verifier, &unknown).await.is_some());
        verifier.stop(Duration::from_secs(5)).await;
        assert_eq!(used_this_hour(&again, &key), total);
        assert_eq!(journal(&books), "");
        figure(&format!(
            "in an outage {owed} requests passed as debt, the last {:.1?} after the service was asked; settled {:.1?} \
             after it was back",
            last.duration_since(asked),
            settling.elapsed()
        ));
    });
}

#[test]
fn what_a_dead_process_owes_is_settled_by_the_next() {
    let site = Site::on_sqlite();
    run(async {
        let node = site.start();
        let (token, address) = (service_token(&node), node.address);
        let books = site.directory().join("verifier");
        let key = node.create_key(LIMIT);
        let first = before(&[address], &token).journal(&books).start().unwrap();
        assert!(admitted(&first, &key).await.is_some());
        node.kill();
        for _ in 0..25 {
            assert!(admitted(&first, &key).await.is_some());
        }
        let owed = first.open_debt();
        assert!(owed > 0);
        drop(first);
        let again = site.serve().env("HOKUSAI_LISTEN", address.to_string()).start();
        let second = before(&[address], &token).journal(&books).start().unwrap();
        assert!(second.open_debt() <= owed);
        while second.open_debt() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        second.stop(Duration::from_secs(5)).await;
        // The unit that the first had was its own to report; all that it owed is known.
        assert!((25..=26).contains(&used_this_hour(&again, &key)));
    });
}
