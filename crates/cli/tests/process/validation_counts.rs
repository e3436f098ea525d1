//! Counts of validations: `kill -9` loses less than a second of them, a clean end none.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt as _;

use crate::clock::{figure, now};
use crate::databases;
use crate::http::Request;
use crate::program::Process;
use crate::proxy::{Line, Proxy};
use crate::site::{NewKey, OPERATOR, Site, validation};

/// What may be lost.
const A_SECOND: Duration = Duration::from_secs(1);
const THREADS: usize = 4;
const CRASHES: usize = 8;
const STOPS: usize = 5;
/// When a node ends, in milliseconds: over more than one turn of what hands counts in, even if it were slow.
const ENDS_AFTER: Range<u64> = 1200..3200;
const KEYS: usize = 100;

/// What was answered: by the key's place and the outcome, when.
type Answered = HashMap<(usize, &'static str), Vec<Instant>>;

/// What came of validations until the node was gone.
struct Heard {
    answered: Answered,
    /// Requests that were sent and not answered, by the key's place.
    unanswered: HashMap<usize, usize>,
}

#[test]
fn a_crash_loses_less_than_a_second_of_counts_on_sqlite() {
    crash_again_and_again("SQLite", &Site::on_sqlite());
}

#[test]
fn a_crash_loses_less_than_a_second_of_counts_on_postgres() {
    crash_again_and_again("PostgreSQL", &Site::on_postgres());
}

#[test]
fn a_clean_end_loses_no_count_on_sqlite() {
    stop_again_and_again("SQLite", &Site::on_sqlite());
}

#[test]
fn a_clean_end_loses_no_count_on_postgres() {
    stop_again_and_again("PostgreSQL", &Site::on_postgres());
}

fn crash_again_and_again(name: &str, site: &Site) {
    let (mut longest, mut lost, mut all) = (Duration::ZERO, 0, 0);
    for _ in 0..CRASHES {
        let node = site.start();
        let keys = keys(&node);
        let mut killed = now();
        let heard = validate_until_gone(node, &keys, |node| {
            killed = now();
            node.kill();
        });
        let node = site.start();
        for (place, outcome, mut times, counted) in compare(&node, &keys, heard) {
            times.sort_unstable();
            all += times.len();
            let Some(first_lost) = times.get(counted) else { continue };
            lost += times.len() - counted;
            longest = longest.max(killed.saturating_duration_since(*first_lost));
            assert!(
                longest < A_SECOND,
                "{name}: {outcome} of key {place} answered {longest:?} before the crash is not counted"
            );
        }
        node.kill();
    }
    figure(&format!(
        "{name}: {CRASHES} crashes lost {lost} of {all} counts, the earliest {longest:?} before"
    ));
    assert!(all > CRASHES * 500, "so few validations prove little: {all}");
}

fn stop_again_and_again(name: &str, site: &Site) {
    let mut all = 0;
    for _ in 0..STOPS {
        let node = site.start();
        let keys = keys(&node);
        let heard = validate_until_gone(node, &keys, |node| assert_eq!(node.stop().status, Some(0)));
        let node = site.start();
        for (place, outcome, times, counted) in compare(&node, &keys, heard) {
            assert!(counted >= times.len(), "{name}: {counted} of {} {outcome} of key {place}", times.len());
            all += times.len();
        }
        node.kill();
    }
    figure(&format!("{name}: {STOPS} clean ends lost none of {all} counts"));
    assert!(all > STOPS * 500, "so few validations prove little: {all}");
}

/// What could not be handed in for a while is not forgotten, and neither is what came after it.
#[test]
fn a_clean_end_right_after_an_outage_loses_no_count() {
    let site = Site::on_postgres();
    let server = databases::server();
    let place = format!("{}:{}", server.get_host(), server.get_port());
    let proxy = Proxy::to(place.parse().unwrap());
    let url = site.database().replace(&place, &proxy.address.to_string());
    let node = site.serve().env("HOKUSAI_DATABASE", url).start();
    let key = node.create_key(100_000);
    // A busy key has units at hand; what was asked for in the background has arrived.
    for _ in 0..100 {
        node.validate(&key).expect(200);
    }
    thread::sleep(Duration::from_millis(200));
    proxy.set(Line::Refused);
    let (cut, mut valid) = (now(), 100);
    while cut.elapsed() < Duration::from_secs(3) {
        valid += u64::from(node.validate(&key).status == 200);
        thread::sleep(Duration::from_millis(30));
    }
    proxy.set(Line::Whole);
    assert_eq!(node.stop().status, Some(0));
    figure(&format!("{} validations in an outage", valid - 100));
    let counted: usize = counts(&site.start(), &key)["valid"];
    assert_eq!(counted as u64, valid, "what was valid is counted");
}

/// Ordinary keys; the second is soon dry and the third is revoked.
fn keys(node: &Process) -> Vec<NewKey> {
    let keys: Vec<NewKey> =
        (0..KEYS).map(|place| node.create_key(if place == 1 { 10 } else { 100_000 })).collect();
    node.revoke(&keys[2]);
    keys
}

/// Validates from several threads, ends the node at a random moment, and goes on until nobody answers.
fn validate_until_gone(node: Process, keys: &[NewKey], end: impl FnOnce(Process)) -> Heard {
    let address = node.address;
    let sent = AtomicUsize::new(0);
    let mut heard = Heard { answered: Answered::new(), unanswered: HashMap::new() };
    thread::scope(|scope| {
        let validating: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut answered = Vec::new();
                    loop {
                        let place = sent.fetch_add(1, Ordering::Relaxed) % keys.len();
                        match validation(&keys[place]).try_send(address) {
                            Ok(answer) => answered.push((place, outcome(answer.status), now())),
                            Err(_) => return (answered, place),
                        }
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(rand::rng().random_range(ENDS_AFTER)));
        end(node);
        for thread in validating {
            let (answered, unanswered) = thread.join().unwrap();
            for (place, outcome, at) in answered {
                heard.answered.entry((place, outcome)).or_default().push(at);
            }
            *heard.unanswered.entry(unanswered).or_default() += 1;
        }
    });
    heard
}

fn outcome(status: u16) -> &'static str {
    match status {
        200 => "valid",
        429 => "limited",
        401 => "revoked",
        other => panic!("a validation is answered with {other}"),
    }
}

/// What was answered of each key and outcome, and how often it is counted: never more often.
fn compare(node: &Process, keys: &[NewKey], heard: Heard) -> Vec<(usize, &'static str, Vec<Instant>, usize)> {
    let counts: Vec<_> = keys.iter().map(|key| counts(node, key)).collect();
    let compare = |((place, outcome), times): ((usize, &'static str), Vec<Instant>)| {
        let counted = counts[place][outcome];
        let most = times.len() + heard.unanswered.get(&place).copied().unwrap_or_default();
        assert!(counted <= most, "{counted} {outcome} of key {place} are counted, {most} were asked for");
        (place, outcome, times, counted)
    };
    heard.answered.into_iter().map(compare).collect()
}

/// What the service tells of a key's validations, in all its hours.
fn counts(node: &Process, key: &NewKey) -> HashMap<&'static str, usize> {
    let path = format!("/api/v1/keys/{}/validations", key.id);
    let told = node.send(Request::new("GET", path).bearer(OPERATOR)).expect(200);
    let hours = told["hours"].as_array().unwrap();
    let sum = |outcome| {
        let number = |hour: &serde_json::Value| usize::try_from(hour[outcome].as_u64().unwrap()).unwrap();
        (outcome, hours.iter().map(number).sum())
    };
    ["valid", "limited", "revoked"].map(sum).into()
}
