//! The end: nothing new is taken, and what is in flight is finished.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::support::{PATIENCE, Service, Setup, Wire, until};

/// A request whose body is not yet there.
async fn begin_request(service: &Service) -> Wire {
    let mut wire = service.connect().await;
    let token = service.operator.text();
    let head = format!(
        "POST /api/v1/keys HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 17\r\nexpect: 100-continue\r\n\r\n"
    );
    wire.send(head).await;
    // The service asks for the body once it has begun to work on the request.
    assert_eq!(wire.status().await, "HTTP/1.1 100 Continue");
    wire
}

#[tokio::test]
async fn a_request_in_flight_is_finished_and_no_other_begun() {
    let service = Service::start().await;
    let mut wire = begin_request(&service).await;
    let address = service.address;
    let (listening, jobs, _place) = service.begin_stop();
    until("the port is closed", async || TcpStream::connect(address).await.is_err().then_some(())).await;
    wire.send(r#"{"name": "A key"}"#).await;
    let answer = wire.rest().await;
    assert!(answer.contains("HTTP/1.1 201 Created"), "{answer}");
    tokio::time::timeout(PATIENCE, listening).await.expect("nothing is left to wait for").unwrap();
    jobs.stop(PATIENCE).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_at_the_end() {
    let service = Service::start().await;
    let mut idle = service.connect().await;
    idle.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(idle.status().await, "HTTP/1.1 200 OK");
    let silent = service.connect().await;
    let (listening, jobs, _place) = service.begin_stop();
    tokio::time::timeout(PATIENCE, listening).await.expect("nothing is left to wait for").unwrap();
    for mut wire in [idle, silent] {
        wire.rest().await;
    }
    jobs.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_request_that_does_not_come_to_an_end_is_cut() {
    let mut setup = Setup::default();
    setup.listen.drain = Duration::from_millis(100);
    let service = Service::with(setup).await;
    let mut wire = begin_request(&service).await;
    let (listening, jobs, _place) = service.begin_stop();
    tokio::time::timeout(PATIENCE, listening).await.expect("the drain has an end").unwrap();
    assert!(!wire.rest().await.contains("201 Created"));
    jobs.stop(PATIENCE).await;
}

#[tokio::test]
async fn units_at_hand_are_given_back_at_the_end() {
    let service = Service::start().await;
    let key = service.key(serde_json::json!({"rate_limit_per_hour": 200})).await;
    for _ in 0..40 {
        service.validate(&key).await.ok();
    }
    let (clock, operator) = (service.clock.clone(), service.operator.text().to_owned());
    let service = Service::again(service.stop().await, clock, &operator).await;
    assert_eq!(service.validate(&key).await.header("x-ratelimit-remaining"), "159");
}
