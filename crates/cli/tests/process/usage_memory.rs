//! Batches that hold nothing but many small things: the service does not blow them up.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::clock::figure;
use crate::program::Process;
use crate::site::{OPERATOR, Site};

/// The largest body of a batch.
const LARGEST: usize = 8 * 1024 * 1024;
/// What the service may take on top of what it takes before, in KiB: several times the largest body.
const MOST_KIB: u64 = 64 * 1024;

#[test]
fn a_batch_of_millions_of_small_items_takes_little_memory() {
    let site = Site::on_sqlite();
    let node = site.start();
    let before = node.peak_kib();
    for (head, item, tail) in [
        ("{\"records\":[", "1,", "1]}"),
        ("{\"records\":[", "{\"a\":1},", "1]}"),
        ("{\"records\":[[", "1,", "1]]}"),
        ("{\"records\":[1],\"more\":[", "1,", "1]}"),
        ("[", "1,", "1]"),
    ] {
        let items = (LARGEST - head.len() - tail.len()) / item.len();
        let answer = post(&node, &format!("{head}{}{tail}", item.repeat(items)));
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        let more = node.peak_kib() - before;
        figure(&format!("{head}{item}{item}… took {more} KiB at most so far"));
        assert!(more < MOST_KIB, "{head}{item}{item}… took {more} KiB");
    }
    assert_eq!(node.stop().status, Some(0));
}

fn post(node: &Process, body: &str) -> String {
    let mut stream = TcpStream::connect(node.address).unwrap();
    let head = format!(
        "POST /api/v1/usage/batch HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {OPERATOR}\r\n\
         Content-Length: {}\r\n\r\n",
        node.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
