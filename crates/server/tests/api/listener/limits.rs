//! Bounds on connections: every wait has an end.

use std::time::Duration;

use tokio::time::timeout;

use crate::support::{Certificate, Service, Setup};

const SHORT: Duration = Duration::from_millis(100);
const REQUEST: &str = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let mut setup = Setup::default();
    setup.listen.first_byte = SHORT;
    let service = Service::with(setup).await;
    assert_eq!(service.connect().await.rest().await, "");
}

#[tokio::test]
async fn headers_that_do_not_come_to_an_end_are_not_waited_for() {
    let mut setup = Setup::default();
    setup.listen.headers = SHORT;
    let service = Service::with(setup).await;
    let mut wire = service.connect().await;
    wire.send("GET /health HTTP/1.1\r\nhost: local").await;
    assert!(!wire.rest().await.contains("200 OK"));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let mut setup = Setup::default();
    setup.listen.headers = SHORT;
    let service = Service::with(setup).await;
    let mut wire = service.connect().await;
    wire.send(REQUEST).await;
    assert!(wire.rest().await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_handshake_that_does_not_come_to_an_end_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup { tls: Some(Certificate::generate().write_to(folder.path())), ..Setup::default() };
    setup.listen.first_byte = SHORT;
    let service = Service::with(setup).await;
    let mut wire = service.connect().await;
    // The beginning of a record that never ends.
    wire.send([0x16, 0x03, 0x01]).await;
    assert_eq!(wire.rest().await, "");
}

#[tokio::test]
async fn headers_larger_than_64_kib_are_refused() {
    let service = Service::start().await;
    let mut wire = service.connect().await;
    let header = "x".repeat(150_000);
    wire.send(format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx: {header}\r\n\r\n")).await;
    assert_eq!(wire.status().await, "HTTP/1.1 431 Request Header Fields Too Large");
}

#[tokio::test]
async fn a_connection_over_the_most_waits_for_a_place() {
    let mut setup = Setup::default();
    setup.listen.max_connections = 1;
    let service = Service::with(setup).await;
    let mut first = service.connect().await;
    first.send(REQUEST).await;
    assert_eq!(first.status().await, "HTTP/1.1 200 OK");
    let mut second = service.connect().await;
    second.send(REQUEST).await;
    assert!(timeout(SHORT, second.status()).await.is_err(), "there is no place yet");
    drop(first);
    assert_eq!(second.status().await, "HTTP/1.1 200 OK");
}
