//! Limits over several protected services before two nodes: exactly the limit, whatever becomes of them.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::{eventually, figure, now};
use crate::http::Request;
use crate::program::Process;
use crate::protected::{Load, Requests, prediction, protected, status, token_file, under_load};
use crate::site::{NewKey, Site};
use crate::verifiers::wall;

const LIMIT: u32 = 1000;
/// For so long units may sleep elsewhere before a request is refused, and a little for a busy machine.
const ABOUT_A_SECOND: Duration = Duration::from_millis(1500);
/// How long each cell of the table is measured; longer by hand.
const CELL_SECONDS: &str = "HOKUSAI_TEST_CELL_SECONDS";

struct Place {
    site: Site,
    nodes: [Process; 2],
    token: PathBuf,
}

impl Place {
    fn new() -> Self {
        let site = Site::on_postgres();
        let nodes = [site.start(), site.start()];
        let token = token_file(&site, &nodes[0]);
        Self { site, nodes, token }
    }

    /// Three processes, which do not all ask the same node first.
    fn three(&self) -> [Process; 3] {
        let [one, other] = [self.nodes[0].address, self.nodes[1].address];
        [[one, other], [other, one], [one, other]]
            .map(|nodes| protected(&self.site, &self.token, &nodes).start())
    }

    fn key(&self, limit: u32) -> NewKey {
        self.nodes[0].create_key(limit)
    }

    /// Questions of verifiers that cost the database something: about limits, and about keys.
    fn questions(&self) -> u64 {
        let of = |node: &Process| {
            let metrics = node.send(Request::new("GET", "/metrics")).text;
            let lines = metrics.lines().filter(|line| {
                line.starts_with("hokusai_http_requests_total")
                    && ["/api/v1/allotments", "/api/v1/keys/validate"]
                        .iter()
                        .any(|route| line.contains(route))
            });
            lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum::<u64>()
        };
        self.nodes.iter().map(of).sum()
    }
}

/// Runs a fact about one hour; once more if the hour turned meanwhile.
fn in_one_hour(mut fact: impl FnMut() -> Requests) -> Requests {
    let hour = || wall() / 3_600_000_000;
    let began = hour();
    let requests = fact();
    if hour() == began { requests } else { fact() }
}

/// Until some time after the first request was refused; what is admitted then was kept from it.
fn some_time_after_the_first_refusal(all: &std::sync::Mutex<Requests>) -> bool {
    let first = all.lock().unwrap().first_limited();
    first.is_some_and(|first| first.elapsed() > 2 * ABOUT_A_SECOND)
}

fn assert_nothing_slept(requests: &Requests) {
    let first = requests.first_limited().expect("the limit is reached");
    let late = requests.admitted.iter().filter(|(sent, _)| *sent > first + ABOUT_A_SECOND).count();
    assert_eq!(late, 0, "units slept elsewhere when a request was refused");
}

#[test]
fn three_processes_under_uneven_load_admit_exactly_the_limit() {
    let place = Place::new();
    let [a, b, c] = place.three().map(|process| (process.address, process));
    let began = now();
    let requests = in_one_hour(|| {
        let loads = [Load::of(a.0, 6, 0), Load::of(b.0, 2, 5), Load::of(c.0, 1, 20)];
        under_load(&place.key(LIMIT), &loads, some_time_after_the_first_refusal)
    });
    assert_eq!((requests.admitted.len(), requests.lost), (LIMIT as usize, 0));
    assert_nothing_slept(&requests);
    let took = requests.first_limited().unwrap() - began;
    figure(&format!("three processes admitted 1000 of 1000 in {took:.1?}, and refused nothing before"));
}

#[test]
fn units_that_sleep_in_one_process_are_not_missing_in_another() {
    let place = Place::new();
    let [a, b, c] = place.three().map(|process| (process.address, process));
    let requests = in_one_hour(|| {
        let key = place.key(LIMIT);
        let brief = |to| Load { most: 75, ..Load::of(to, 2, 0) };
        let mut requests =
            under_load(&key, &[brief(b.0), brief(c.0)], |all| all.lock().unwrap().admitted.len() == 300);
        requests.add(under_load(&key, &[Load::of(a.0, 4, 0)], some_time_after_the_first_refusal));
        requests
    });
    assert_eq!((requests.admitted.len(), requests.lost), (LIMIT as usize, 0));
    assert_nothing_slept(&requests);
}

#[test]
fn of_a_process_that_is_killed_only_the_last_units_are_lost() {
    let place = Place::new();
    let (mut lost, mut unanswered) = (Vec::new(), 0);
    for _ in 0..3 {
        let requests = in_one_hour(|| {
            let [a, b, c] = place.three();
            let loads = [Load::of(a.address, 3, 0), Load::of(b.address, 3, 1), Load::of(c.address, 2, 5)];
            let mut dies = Some(a);
            under_load(&place.key(LIMIT), &loads, |all| {
                if all.lock().unwrap().admitted.len() > LIMIT as usize / 3
                    && let Some(process) = dies.take()
                {
                    process.kill();
                }
                some_time_after_the_first_refusal(all)
            })
        });
        let admitted = requests.admitted.len();
        // While more than half is left, an allotment is no more than a twentieth of the limit. Who was
        // admitted but had no answer any longer has had its unit, too.
        let least = (LIMIT - LIMIT / 20) as usize - requests.lost;
        assert!((least..=LIMIT as usize).contains(&admitted), "{admitted} were admitted");
        assert_nothing_slept(&requests);
        lost.push(LIMIT as usize - admitted);
        unanswered += requests.lost;
    }
    assert!(unanswered > 0, "the process was under load when it was killed");
    figure(&format!("of 1000 units, {lost:?} were lost with one of three processes that was killed"));
}

/// Uses a key of this limit by three processes in turn, so many times a second. Says how many questions
/// there were, and how many requests.
fn measure(place: &Place, limit: u32, rate: u32, time: Duration) -> (u64, u32) {
    let processes = place.three();
    let key = place.key(limit);
    let before = place.questions();
    let (began, mut sent) = (now(), 0_u32);
    while began.elapsed() < time {
        std::thread::sleep((began + sent * Duration::from_secs(1) / rate).saturating_duration_since(now()));
        let answer = prediction(&key).send(processes[sent as usize % 3].address);
        assert!([200, 429].contains(&answer.status), "{}", answer.text);
        sent += 1;
    }
    (place.questions() - before, sent)
}

#[test]
fn a_busy_key_costs_a_few_questions_and_a_small_limit_one_for_each_unit() {
    let place = Place::new();
    let chosen = std::env::var_os(CELL_SECONDS).map(|seconds| seconds.to_str().unwrap().parse().unwrap());
    let time = Duration::from_secs(chosen.unwrap_or(4));
    let rates: &[u32] = if chosen.is_some() { &[1, 10, 100] } else { &[100] };
    for limit in [10, 1000, 100_000] {
        for rate in rates {
            let (questions, requests) = measure(&place, limit, *rate, time);
            figure(&format!(
                "limit {limit}, {rate} requests a second over three processes: {questions} questions for {requests} \
                 requests in {} s, {:.1} for 1000",
                time.as_secs(),
                1000.0 * questions as f64 / f64::from(requests)
            ));
            if limit == 10 {
                // One for each unit, at the most three for who looks again each second; and none for the rest.
                let most = 3 + 10 + 3 * 3 * time.as_secs();
                assert!(questions <= most, "{questions} questions, {most} at the most");
            } else if *rate == 100 {
                let least_saved = if limit == 1000 { 2 } else { 10 };
                assert!(questions * least_saved < u64::from(requests), "{questions} for {requests}");
            }
        }
    }
}

#[test]
fn a_process_that_is_asked_to_stop_gives_its_units_back() {
    let place = Place::new();
    let requests = in_one_hour(|| {
        let [a, b, _] = place.three();
        let key = place.key(LIMIT);
        let brief = Load { most: 150, ..Load::of(b.address, 2, 0) };
        let mut requests = under_load(&key, &[brief], |all| all.lock().unwrap().admitted.len() == 300);
        assert_eq!(b.stop().status, Some(0));
        requests.add(under_load(&key, &[Load::of(a.address, 4, 0)], some_time_after_the_first_refusal));
        requests
    });
    assert_eq!((requests.admitted.len(), requests.lost), (LIMIT as usize, 0));
}

#[test]
fn the_example_asks_for_a_key() {
    let place = Place::new();
    let process = protected(&place.site, &place.token, &[place.nodes[0].address]).start();
    assert_eq!(process.send(Request::new("GET", "/predict")).status, 401);
    let key = place.key(LIMIT);
    assert_eq!(process.send(prediction(&key)).text, "a prediction for admin\n");
    place.nodes[1].revoke(&key);
    eventually(Duration::from_secs(2), "the refusal", || (status(&process, &key) == 401).then_some(()));
}
