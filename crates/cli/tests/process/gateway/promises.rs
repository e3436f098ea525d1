//! The promises of the gateway, seen by HTTP clients: three gateways before two nodes.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use super::backend::Backend;
use super::{ready, route};
use crate::clock::{eventually, figure, now, percentiles};
use crate::http::Request;
use crate::program::Process;
use crate::protected::{Load, prediction, under_load};
use crate::site::{NewKey, OPERATOR, Site};
use crate::verifiers::{instant, wall};

const LIMIT: u32 = 1000;
const REVOCATIONS: usize = 100;
/// What a crash may lose of the reports, as the documents say.
const WINDOW: Duration = Duration::from_millis(100);

/// Three gateways before two nodes, which they do not ask in the same order.
struct Place {
    nodes: [Process; 2],
    gateways: [Process; 3],
    _site: Site,
    _backend: Backend,
}

impl Place {
    fn new() -> Self {
        let site = Site::on_postgres();
        let nodes = [site.start(), site.start()];
        let backend = Backend::polite();
        let routes = route("/predict", &backend.url(), "");
        let gateways = [[0, 1], [1, 0], [0, 1]]
            .map(|order| site.gateway(&order.map(|index| &nodes[index]), &routes).start());
        gateways.iter().for_each(ready);
        Self { nodes, gateways, _site: site, _backend: backend }
    }

    fn addresses(&self) -> [SocketAddr; 3] {
        self.gateways.each_ref().map(|gateway| gateway.address)
    }
}

#[test]
fn three_gateways_admit_exactly_the_limit() {
    let place = Place::new();
    let [a, b, c] = place.addresses();
    let spend = || {
        let key = place.nodes[0].create_key(LIMIT);
        let loads = [Load::of(a, 6, 0), Load::of(b, 2, 5), Load::of(c, 1, 20)];
        under_load(&key, &loads, |all| {
            let first = all.lock().unwrap().first_limited();
            first.is_some_and(|first| first.elapsed() > Duration::from_secs(3))
        })
    };
    let hour = || wall() / 3_600_000_000;
    let began = hour();
    let mut requests = spend();
    if hour() != began {
        requests = spend();
    }
    assert_eq!((requests.admitted.len(), requests.lost), (LIMIT as usize, 0));
    let first = requests.first_limited().unwrap();
    let late =
        requests.admitted.iter().filter(|(sent, _)| *sent > first + Duration::from_millis(1500)).count();
    assert_eq!(late, 0, "units slept elsewhere when a request was refused");
    figure(&format!(
        "three gateways admitted {} of {LIMIT}; {} were refused, and none of these early",
        requests.admitted.len(),
        requests.limited.len()
    ));
}

/// Uses a key until it is refused as revoked. Says when each request that passed was sent and answered.
fn hammer(gateway: SocketAddr, key: &NewKey) -> Vec<(i64, i64)> {
    let mut passed = Vec::new();
    loop {
        let sent = wall();
        let answer = prediction(key).send(gateway);
        match answer.status {
            200 => passed.push((sent, wall())),
            401 => {
                assert_eq!(answer.code(), "revoked");
                return passed;
            }
            _ => panic!("{}: {}", answer.status, answer.text),
        }
    }
}

#[test]
fn no_gateway_admits_a_revoked_key_after_the_stated_time() {
    let place = Place::new();
    let (mut delays, mut stated) = (Vec::new(), Vec::new());
    for _ in 0..REVOCATIONS {
        let key = place.nodes[0].create_key(100_000);
        for gateway in place.addresses() {
            assert_eq!(prediction(&key).send(gateway).status, 200);
        }
        let (called, at, passed) = thread::scope(|scope| {
            let key = &key;
            let hammering = place.addresses().map(|gateway| scope.spawn(move || hammer(gateway, key)));
            thread::sleep(Duration::from_millis(20));
            let called = wall();
            let revoking = Request::new("DELETE", format!("/api/v1/keys/{}", key.id)).bearer(OPERATOR);
            let effective = place.nodes[1].send(revoking).expect(200)["effective"].clone();
            assert_eq!(effective["everywhere"], true, "{effective}");
            let passed: Vec<_> = hammering.into_iter().flat_map(|one| one.join().unwrap()).collect();
            (called, instant(&effective["at"]), passed)
        });
        let late: Vec<_> = passed.iter().filter(|(sent, _)| *sent > at).collect();
        assert!(late.is_empty(), "admitted after {at}: {late:?}");
        let last = passed.iter().map(|(_, answered)| *answered).max().unwrap();
        delays.push(Duration::from_micros(u64::try_from((last - called).max(0)).unwrap()));
        stated.push(Duration::from_micros(u64::try_from(at - called).unwrap()));
    }
    let (median, p99, most) = percentiles(delays);
    let (_, stated_p99, _) = percentiles(stated);
    figure(&format!(
        "from a revocation to the last answer through three gateways, {REVOCATIONS} times: median {median:.1?}, \
         99th percentile {p99:.1?}, at most {most:.1?}; stated as over after {stated_p99:.1?}"
    ));
    assert!(p99 <= Duration::from_secs(1), "{p99:?}");
}

/// What the service has recorded of a key in this month.
fn recorded(node: &Process, key: &NewKey) -> usize {
    let path = format!("/api/v1/usage/{}/stats", key.id);
    let stats = node.send(Request::new("GET", path).bearer(OPERATOR)).expect(200);
    usize::try_from(stats["total_requests"].as_u64().unwrap()).unwrap()
}

#[test]
fn a_gateway_that_is_killed_loses_no_more_usage_than_is_said() {
    let site = Site::on_sqlite();
    let node = site.start();
    let backend = Backend::polite();
    let routes = route("/predict", &backend.url(), "");
    let journal = site.directory().join("journal-of-the-killed");
    let start = || {
        let gateway = site.gateway(&[&node], &routes).env("HOKUSAI_GATEWAY_JOURNAL", &journal).start();
        ready(&gateway);
        gateway
    };
    for round in 0..5 {
        let key = node.create_key(100_000);
        let gateway = start();
        let address = gateway.address;
        let (mut dies, mut killed) = (Some(gateway), now());
        let requests = under_load(&key, &[Load::of(address, 8, 0)], |all| {
            if all.lock().unwrap().admitted.len() >= 500 * (round + 1) {
                killed = now();
                dies.take().into_iter().for_each(Process::kill);
            }
            dies.is_none()
        });
        let at_risk = requests.admitted.iter().filter(|(_, answered)| *answered + WINDOW > killed).count()
            + requests.lost;
        let admitted = requests.admitted.len();
        // The next process on the same journal sends what the dead one had written down.
        let next = start();
        eventually(Duration::from_secs(15), "the reports of the dead gateway", || {
            (recorded(&node, &key) + at_risk >= admitted).then_some(())
        });
        next.stop();
        let found = recorded(&node, &key);
        assert!(found <= admitted + requests.lost, "{found} records of {admitted} requests");
        figure(&format!(
            "a gateway that was killed had answered {admitted} requests, {at_risk} of them within 100 ms before; \
             {found} are recorded"
        ));
    }
}
