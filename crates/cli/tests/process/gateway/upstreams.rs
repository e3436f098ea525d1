//! Upstreams that fail and clients that go: what each side sees.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::backend::{After, Backend, HELLO};
use super::wire::{Kind, Message, Wire};
use super::{Front, route, with_key};
use crate::clock::{eventually, now};
use crate::site::NewKey;

/// Time-outs of a second, so that a fact need not wait for long.
const HASTY: &str = "connect_timeout_seconds = 1\nfirst_byte_timeout_seconds = 1\nidle_timeout_seconds = 1\nmax_body_bytes = 1000000";
/// Longer than such a time-out may take on a busy machine.
const SOON: Duration = Duration::from_secs(8);

fn before(url: &str) -> (Front, NewKey) {
    let front = Front::with(&route("/any", url, HASTY));
    let key = front.node.key_with(&json!({}));
    (front, key)
}

fn get(front: &Front, key: &NewKey) -> Message {
    Wire::to(front.address()).ask(with_key("GET /any/x", key) + "\r\n").unwrap()
}

/// How an exchange looks from outside: status and code, the body as far as it came, whether that was all.
fn seen(answer: &Message) -> String {
    let code = answer.code();
    let shown = if code.is_empty() { answer.text() } else { code };
    format!("{} {shown}{}", answer.status(), if answer.is_whole { "" } else { " broken off" })
}

#[test]
fn an_upstream_that_is_down_is_said_to_be() {
    // Nobody listens on a port that was given back.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (front, key) = before(&format!("http://{port}"));
    assert_eq!(seen(&get(&front, &key)), "502 upstream_unreachable");
    // It did count: the request was admitted.
    assert_eq!(get(&front, &key).header("x-ratelimit-remaining").as_deref(), Some("99998"));
}

/// What an upstream may do, and what it then says. A connection that can be kept is said to be closed: whoever takes
/// it for the next request may do so just before it is seen to have ended.
const SAYINGS: [(&str, &str); 13] = [
    ("no-answer", ""),
    ("no-number", "HTTP/1.1 abc\r\n\r\n"),
    ("no-http", "what?\r\n\r\n"),
    ("half-a-head", "HTTP/1.1 200 OK\r\nContent-Le"),
    ("two-lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    ("folded", "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 5\r\n\r\nhello"),
    ("half-a-body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
    ("half-a-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello"),
    ("no-last-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    (
        "both-lengths",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\n\r\n",
    ),
    ("no-length", "HTTP/1.0 200 OK\r\n\r\nhello"),
    (
        "early-hint",
        "HTTP/1.1 103 Early Hints\r\n\r\n\
         HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    ),
    ("switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello"),
];

#[test]
fn whatever_an_upstream_does_the_client_gets_one_clear_answer() {
    let backend = Backend::that(|visit| {
        let deed = visit.path().trim_start_matches("/any/").to_owned();
        let (_, says) = SAYINGS.into_iter().find(|(name, _)| *name == deed).unwrap();
        visit.read();
        visit.say(says);
        After::Close
    });
    let (front, key) = before(&backend.url());
    let mut table = String::new();
    for (path, _) in SAYINGS {
        for method in ["GET", "POST"] {
            let head = with_key(&format!("{method} /any/{path}"), &key);
            let answer = Wire::to(front.address()).ask(head + "Content-Length: 3\r\n\r\nabc").unwrap();
            table += &format!("{method} {path}: {}\n", seen(&answer));
        }
    }
    insta::assert_snapshot!(table, @"
    GET no-answer: 502 upstream_broken
    POST no-answer: 502 upstream_broken
    GET no-number: 502 upstream_broken
    POST no-number: 502 upstream_broken
    GET no-http: 502 upstream_broken
    POST no-http: 502 upstream_broken
    GET half-a-head: 502 upstream_broken
    POST half-a-head: 502 upstream_broken
    GET two-lengths: 502 upstream_broken
    POST two-lengths: 502 upstream_broken
    GET folded: 502 upstream_broken
    POST folded: 502 upstream_broken
    GET half-a-body: 200 hello broken off
    POST half-a-body: 200 hello broken off
    GET half-a-chunk: 200 hello broken off
    POST half-a-chunk: 200 hello broken off
    GET no-last-chunk: 200 hello broken off
    POST no-last-chunk: 200 hello broken off
    GET both-lengths: 200 hello
    POST both-lengths: 200 hello
    GET no-length: 200 hello
    POST no-length: 200 hello
    GET early-hint: 200 hello
    POST early-hint: 200 hello
    GET switch: 502 upstream_broken
    POST switch: 502 upstream_broken
    ");
    // Each was sent once, whatever came of it.
    assert_eq!(backend.requests().len(), 26);
}

#[test]
fn an_upstream_is_not_waited_for_without_end() {
    let backend = Backend::that(|visit| {
        visit.read();
        if visit.path() == "/any/half" {
            visit.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        }
        After::Watch
    });
    let (front, key) = before(&backend.url());
    for (path, expected) in [("none", "504 upstream_timeout"), ("half", "200 hello broken off")] {
        let asked = now();
        let request = with_key(&format!("GET /any/{path}"), &key) + "\r\n";
        let answer = Wire::to(front.address()).ask(request).unwrap();
        assert_eq!(seen(&answer), expected);
        let took = asked.elapsed();
        assert!(took >= Duration::from_secs(1) && took < SOON, "{took:?}");
    }
    // The upstream need not go on either.
    backend.wait_ended(2);
}

#[test]
fn an_upstream_that_reads_nothing_keeps_no_connection() {
    let backend = Backend::that(|_| {
        loop {
            thread::sleep(SOON);
        }
    });
    let front = Front::with(&route("/any", &backend.url(), &HASTY.replace("1000000", "0")));
    let key = front.node.key_with(&json!({}));
    for _ in 0..3 {
        let mut client = Wire::to(front.address());
        client.send(with_key("POST /any/x", &key) + "Content-Length: 1000000000\r\n\r\n").unwrap();
        // More than all buffers on the way take: it goes on until the gateway hangs up.
        assert!(client.pour(1_000_000_000) < 1_000_000_000);
    }
    eventually(SOON, "the end of all connections", || (open_to(backend.address.port()) == 0).then_some(()));
}

/// How many connections to a port of this machine are open at the end that made them.
fn open_to(port: u16) -> usize {
    let all = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ends = format!(":{port:04X}");
    let is_open = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[2].ends_with(&ends) && fields[3] == "01"
    };
    all.lines().skip(1).filter(is_open).count()
}

#[test]
fn cookies_of_several_lines_arrive_in_one() {
    let backend = Backend::polite();
    let (front, key) = before(&backend.url());
    let request = with_key("GET /any/x", &key) + "Cookie: a=1\r\nCookie: b=2\r\n\r\n";
    assert_eq!(seen(&Wire::to(front.address()).ask(request).unwrap()), "200 hello");
    let request = backend.take_latest().unwrap();
    assert_eq!(request.header("cookie").as_deref(), Some("a=1; b=2"));
    assert_eq!(request.headers().filter(|(name, _)| name == "cookie").count(), 1);
}

#[test]
fn an_upstream_that_accepts_nothing_is_not_waited_for() {
    // The queue of a listener that accepts nobody is full after one or two.
    let listener = with_the_shortest_queue();
    let address = listener.local_addr().unwrap();
    let fillers: Vec<_> =
        (0..4).map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100))).collect();
    let (front, key) = before(&format!("http://{address}"));
    let asked = now();
    assert_eq!(seen(&get(&front, &key)), "502 upstream_unreachable");
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    drop(fillers);
}

/// A listener with the shortest queue there is.
fn with_the_shortest_queue() -> TcpListener {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&socket, 0).unwrap();
    TcpListener::from(socket)
}

#[test]
fn a_client_that_goes_while_it_sends_leaves_nothing_behind() {
    let backend = Backend::polite();
    let (front, key) = before(&backend.url());
    for body in
        ["Content-Length: 100\r\n\r\nhalf of it", "Transfer-Encoding: chunked\r\n\r\n64\r\nhalf of it"]
    {
        let mut client = Wire::to(front.address());
        client.send(with_key("POST /any/x", &key) + body).unwrap();
        let before = backend.requests().len();
        backend.wait_heads(before + 1);
        drop(client);
        backend.wait_ended(before + 1);
        // What came is not taken for all.
        let request = backend.requests().pop().unwrap();
        assert_eq!((request.text().as_str(), request.is_whole), ("half of it", false));
    }
    assert_eq!(seen(&get(&front, &key)), "200 hello");
    assert_eq!(backend.heads().len(), 3, "nothing was sent twice");
}

#[test]
fn an_upstream_learns_that_its_client_has_gone() {
    let backend = Backend::that(|visit| {
        visit.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        // As long as somebody takes it.
        while visit.wire.send("5\r\nhello\r\n").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
        After::Close
    });
    let (front, key) = before(&backend.url());
    let mut client = Wire::to(front.address());
    client.send(with_key("GET /any/x", &key) + "\r\n").unwrap();
    assert!(client.head().unwrap().starts_with("HTTP/1.1 200"));
    drop(client);
    backend.wait_ended(1);
    // The same before anything was answered.
    let backend = Backend::that(|_| After::Watch);
    let (front, key) = before(&backend.url());
    let mut client = Wire::to(front.address());
    client.send(with_key("GET /any/x", &key) + "\r\n").unwrap();
    backend.wait_heads(1);
    drop(client);
    backend.wait_ended(1);
}

#[test]
fn a_slow_client_is_borne_and_a_silent_one_is_not() {
    let backend = Backend::polite();
    let (front, key) = before(&backend.url());
    let mut slow = Wire::to(front.address());
    slow.send(with_key("POST /any/x", &key) + "Content-Length: 20\r\n\r\n").unwrap();
    for _ in 0..20 {
        // Twenty pieces take longer than the time-out; each comes in time.
        thread::sleep(Duration::from_millis(100));
        slow.send("a").unwrap();
    }
    assert_eq!(seen(&slow.message(Kind::Answer).unwrap()), "200 hello");
    let mut silent = Wire::to(front.address());
    silent.send(with_key("POST /any/x", &key) + "Content-Length: 20\r\n\r\nhalf").unwrap();
    assert_eq!(seen(&silent.message(Kind::Answer).unwrap()), "408 body_timeout");
    let sent: Vec<_> =
        backend.requests().into_iter().map(|request| (request.body.len(), request.is_whole)).collect();
    assert_eq!(sent[0], (20, true));
    eventually(SOON, "the end of the half request", || {
        let last = backend.requests().pop()?;
        (!last.is_whole).then_some(())
    });
}

#[test]
fn a_body_that_is_too_large_is_refused_at_once_or_where_it_becomes_so() {
    let backend = Backend::polite();
    let (front, key) = before(&backend.url());
    let known = with_key("POST /any/x", &key) + "Content-Length: 1000001\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(seen(&Wire::to(front.address()).ask(known).unwrap()), "413 body_too_large");
    assert!(backend.heads().is_empty());
    let mut unknown = Wire::to(front.address());
    unknown.send(with_key("POST /any/x", &key) + "Transfer-Encoding: chunked\r\n\r\n").unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 500_001, "a".repeat(500_001));
    unknown.send(&chunk).unwrap();
    // The gateway may have answered and gone before it is all sent.
    let _ = unknown.send(&chunk);
    assert_eq!(seen(&unknown.message(Kind::Answer).unwrap()), "413 body_too_large");
    backend.wait_ended(1);
    assert!(backend.requests().iter().all(|request| !request.is_whole));
}

#[test]
fn whoever_asks_whether_to_go_on_is_told_so() {
    let backend = Backend::polite();
    let (front, key) = before(&backend.url());
    let mut client = Wire::to(front.address());
    client.send(with_key("POST /any/x", &key) + "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(client.head().as_deref(), Some("HTTP/1.1 100 Continue"));
    client.send("abc").unwrap();
    assert_eq!(seen(&client.message(Kind::Answer).unwrap()), "200 hello");
    // Who is refused need send nothing.
    let none = "POST /any/x HTTP/1.1\r\nHost: g\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(seen(&Wire::to(front.address()).ask(none).unwrap()), "401 missing_key");
}

#[test]
fn connections_are_kept_and_one_that_was_closed_meanwhile_costs_nothing() {
    let backend = Backend::that(|visit| {
        visit.answer(HELLO);
        if visit.path() == "/any/last" { After::Close } else { After::Keep }
    });
    let (front, key) = before(&backend.url());
    let mut client = Wire::to(front.address());
    for round in 0..20 {
        for path in ["first", "second", "last"] {
            let answer =
                client.ask(with_key(&format!("POST /any/{path}"), &key) + "Content-Length: 0\r\n\r\n");
            assert_eq!(seen(&answer.unwrap()), "200 hello", "{path} of round {round}");
        }
        // A request that is sent while the connection closes may have been heard: it is not sent again.
        backend.wait_ended(round + 1);
    }
    assert_eq!(backend.heads().len(), 60);
    assert!((20..=25).contains(&backend.connections()), "{}", backend.connections());
}

#[test]
fn a_connection_that_nobody_uses_is_closed() {
    let backend = Backend::polite();
    let front = Front::with(&route("/any", &backend.url(), "keep_alive_seconds = 1"));
    let key = front.node.key_with(&json!({}));
    assert_eq!(seen(&get(&front, &key)), "200 hello");
    backend.wait_ended(1);
    assert_eq!(seen(&get(&front, &key)), "200 hello");
    backend.wait_ended(2);
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_small_body_arrives_as_it_was_sent_in_one_piece_or_two() {
    let backend = Backend::polite();
    let (front, key) = before(&backend.url());
    let head = with_key("POST /any/x", &key) + "Content-Length: 10\r\n\r\n";
    for (first, second) in [("helloworld", ""), ("hello", "world"), ("", "helloworld")] {
        let mut client = Wire::to(front.address());
        client.send(head.clone() + first).unwrap();
        thread::sleep(Duration::from_millis(100));
        client.send(second).unwrap();
        assert_eq!(seen(&client.message(Kind::Answer).unwrap()), "200 hello");
        let request = backend.take_latest().unwrap();
        assert_eq!((request.text().as_str(), request.is_whole), ("helloworld", true), "{first}|{second}");
    }
}
