//! Bodies of two gigabytes, both ways: the gateway passes them on and keeps nothing of them.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::backend::{After, Backend};
use super::wire::Wire;
use super::{Front, route, with_key};
use crate::clock::{figure, now};
use crate::http::Request;

const TWO_GIB: u64 = 2 * 1024 * 1024 * 1024;
/// What the gateway may take on top, in KiB: buffers of a few connections.
const MOST_KIB: u64 = 16 * 1024;

#[test]
fn two_gigabytes_pass_both_ways_in_flat_memory() {
    let backend = Backend::that(|visit| {
        let length = visit.length();
        let came = visit.wire.skip(length);
        visit.say(&format!("HTTP/1.1 200 OK\r\nX-Came: {came}\r\nContent-Length: {TWO_GIB}\r\n\r\n"));
        visit.wire.pour(TWO_GIB);
        After::Close
    });
    let front = Front::with(&route("/any", &backend.url(), "max_body_bytes = 0"));
    let key = front.node.key_with(&json!({}));
    front.gateway.send(Request::new("GET", "/any").bearer("nonsense"));
    let before = front.gateway.peak_kib();
    let began = now();
    let mut client = Wire::to(front.address());
    client.send(with_key("POST /any", &key) + &format!("Content-Length: {TWO_GIB}\r\n\r\n")).unwrap();
    let sent = client.pour(TWO_GIB);
    assert_eq!(sent, TWO_GIB);
    let head = client.head().unwrap();
    assert!(head.to_lowercase().contains(&format!("x-came: {TWO_GIB}")), "{head}");
    // A client that is slow to begin: what is not read by it waits upstream, not here.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(client.skip(TWO_GIB), TWO_GIB);
    let more = front.gateway.peak_kib() - before;
    figure(&format!(
        "two gigabytes up and two down took {more} KiB of the gateway, and {:.1?}",
        began.elapsed()
    ));
    assert!(more < MOST_KIB, "{more} KiB");
}
