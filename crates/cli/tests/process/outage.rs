//! A node that is cut off from its database: it vouches for what it knows for five seconds, then says so.

use std::time::Duration;

use crate::clock::{eventually, figure, now};
use crate::databases;
use crate::http::Request;
use crate::program::Process;
use crate::proxy::{Line, Proxy};
use crate::site::{NewKey, Site};

/// For how long a node may say "valid" after the last word from its database.
const VOUCHES_FOR: Duration = Duration::from_secs(5);

#[test]
fn a_node_whose_database_refuses_it_says_503_after_five_seconds_and_recovers() {
    cut_off_and_mend(Line::Refused);
}

#[test]
fn a_node_whose_database_falls_silent_says_503_after_five_seconds_and_recovers() {
    cut_off_and_mend(Line::Dead);
}

fn cut_off_and_mend(line: Line) {
    let site = Site::on_postgres();
    let whole = site.start();
    let server = databases::server();
    let proxy = Proxy::to(format!("{}:{}", server.get_host(), server.get_port()).parse().unwrap());
    let url = site
        .database()
        .replace(&format!("{}:{}", server.get_host(), server.get_port()), &proxy.address.to_string());
    let node = site.serve().env("HOKUSAI_DATABASE", url).start();
    let key = whole.create_key(100_000);
    // A busy key has units at hand, enough for one now and then.
    for _ in 0..100 {
        node.validate(&key).expect(200);
    }

    // What was asked for in the background has arrived.
    std::thread::sleep(Duration::from_millis(200));

    proxy.set(line);
    let cut = now();
    let mut valid_at = Duration::ZERO;
    let first_refusal = loop {
        let asked = cut.elapsed();
        if node.validate(&key).status != 200 {
            break asked;
        }
        valid_at = asked;
        std::thread::sleep(Duration::from_millis(300));
    };
    figure(&format!("{line:?} line: last valid {valid_at:?} after the cut, first 503 {first_refusal:?}"));
    assert!(first_refusal > VOUCHES_FOR / 2, "a cached key is fine at first");
    assert!(valid_at < VOUCHES_FOR, "a node vouched for a key {valid_at:?} after the cut");
    for _ in 0..3 {
        refuses_to_vouch(&node, &key);
    }
    let ready = node.send(Request::new("GET", "/ready"));
    assert_eq!((ready.status, ready.body["status"].as_str()), (503, Some("not ready")));
    node.send(Request::new("GET", "/health")).expect(200);
    whole.validate(&key).expect(200);

    proxy.set(Line::Whole);
    let mended = now();
    eventually(Duration::from_secs(15), "recovery", || (node.validate(&key).status == 200).then_some(()));
    figure(&format!("{line:?} line: valid again {:?} after it was mended", mended.elapsed()));
    for _ in 0..20 {
        node.validate(&key).expect(200);
    }
}

/// An answer comes within five seconds, and is neither "valid" nor "invalid".
fn refuses_to_vouch(node: &Process, key: &NewKey) {
    let asked = now();
    let answer = node.validate(key);
    assert_eq!((answer.status, answer.code()), (503, "store_unavailable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(asked.elapsed() < Duration::from_secs(5), "the answer took {:?}", asked.elapsed());
}
