//! Protected services that are stopped, and whose clocks are set: neither makes anything last longer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::clock::{eventually, figure, now};
use crate::http::Request;
use crate::program::{Process, Program};
use crate::protected::{Load, prediction, protected, status, token_file, under_load};
use crate::proxy::{Line, Proxy};
use crate::site::{NewKey, OPERATOR, Site};

fn revoke(node: &Process, key: &NewKey) -> Value {
    let path = format!("/api/v1/keys/{}?wait_ms=0", key.id);
    node.send(Request::new("DELETE", path).bearer(OPERATOR)).expect(200)
}

fn signal(process: &Process, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

#[test]
fn a_process_that_was_stopped_past_its_time_admits_nothing_that_was_revoked() {
    const KEYS: usize = 20;
    let site = Site::on_postgres();
    let node = site.start();
    let token = token_file(&site, &node);
    let process = protected(&site, &token, &[node.address]).args(["--ttl", "5"]).start();
    let keys: Vec<NewKey> = (0..KEYS).map(|_| node.create_key(100_000)).collect();
    for key in &keys {
        // So that there are units at hand, too.
        for _ in 0..50 {
            assert_eq!(status(&process, key), 200);
        }
    }
    signal(&process, Signal::STOP);
    let stopped = now();
    for key in &keys {
        assert_eq!(revoke(&node, key)["effective"]["everywhere"], false);
    }
    // These wait at the door, and are the first that it sees when it goes on.
    let waiting: Vec<_> = keys
        .iter()
        .map(|key| {
            let (request, address) = (prediction(key), process.address);
            thread::spawn(move || request.send(address).status)
        })
        .collect();
    thread::sleep(Duration::from_secs(8).saturating_sub(stopped.elapsed()));
    signal(&process, Signal::CONT);
    let mut answers: Vec<u16> = waiting.into_iter().map(|answer| answer.join().unwrap()).collect();
    answers.extend(keys.iter().map(|key| status(&process, key)));
    assert_eq!(answers, [401; 2 * KEYS]);
}

/// The library that the program `faketime` would load.
fn faketime_library() -> String {
    let shown = Command::new("faketime").args(["-m", "now", "printenv", "LD_PRELOAD"]).output().unwrap();
    String::from_utf8(shown.stdout).unwrap().trim().to_owned()
}

/// A wall clock that can be set: the file says how far it is from the true time.
struct WallClock(PathBuf);

impl WallClock {
    fn new(directory: &Path) -> Self {
        let clock = Self(directory.join("faketime"));
        clock.set("+0");
        clock
    }

    fn set(&self, offset: &str) {
        // At once: whoever reads meanwhile sees one or the other.
        let new = self.0.with_extension("new");
        std::fs::write(&new, format!("{offset}\n")).unwrap();
        std::fs::rename(new, &self.0).unwrap();
    }

    /// A process that goes by this clock; the clock that nobody sets stays true.
    fn of(&self, program: Program) -> Program {
        program
            .env("LD_PRELOAD", faketime_library())
            .env("FAKETIME_TIMESTAMP_FILE", &self.0)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}

/// A process whose wall clock is set to `offset` when its keys are in memory. Says for how long it admitted
/// afterwards, cut off from the service.
fn admits_for(offset: &str, ttl: Duration) -> Duration {
    let site = Site::on_sqlite();
    let node = site.start();
    let token = token_file(&site, &node);
    let (line, clock) = (Proxy::to(node.address), WallClock::new(site.directory()));
    let ttl_seconds = ttl.as_secs().to_string();
    let process = clock.of(protected(&site, &token, &[line.address]).args(["--ttl", &ttl_seconds])).start();
    let key = node.create_key(100_000);
    let asked = now();
    for _ in 0..200 {
        assert_eq!(status(&process, &key), 200);
    }
    line.set(Line::Dead);
    revoke(&node, &key);
    clock.set(offset);
    let mut last = Duration::ZERO;
    while asked.elapsed() < ttl + Duration::from_secs(1) {
        let sent = asked.elapsed();
        let answer = thread::spawn({
            let (request, address) = (prediction(&key), process.address);
            move || request.send(address).status
        });
        // A request that waits for the service is left to itself.
        thread::sleep(Duration::from_millis(30));
        if answer.is_finished() && answer.join().unwrap() == 200 {
            last = sent;
        }
    }
    last
}

#[test]
fn an_entry_does_not_live_longer_when_the_wall_clock_is_set_back() {
    let ttl = Duration::from_secs(3);
    let back = admits_for("-1h", ttl);
    assert!(back <= ttl, "admitted after {back:?}");
    // It was used for all of its time: what was tried here could have failed.
    assert!(back > ttl / 2, "admitted for {back:?}");
    // An hour that was jumped over may have been slept through.
    let ahead = admits_for("+1h", ttl);
    assert!(ahead <= ttl, "admitted after {ahead:?}");
    figure(&format!(
        "of a time of 3 s, a process that was cut off used {back:.1?} with its clock set back an hour, and {ahead:.1?} \
         with it set ahead"
    ));
}

#[test]
fn a_limit_holds_while_wall_clocks_are_set_back_and_ahead() {
    const LIMIT: u32 = 300;
    let site = Site::on_postgres();
    let node = site.start();
    let token = token_file(&site, &node);
    let clocks = [(); 2]
        .map(|()| WallClock::new(tempfile::TempDir::new_in(site.directory()).unwrap().keep().as_path()));
    let processes =
        clocks.each_ref().map(|clock| clock.of(protected(&site, &token, &[node.address])).start());
    let admitted = |key: &NewKey| {
        let loads = processes.each_ref().map(|process| Load::of(process.address, 2, 3));
        let mut set = 0;
        let requests = under_load(key, &loads, |all| {
            let requests = all.lock().unwrap();
            if requests.admitted.len() >= 50 * (set + 1) && set < 4 {
                clocks[0].set(["-1h", "+0", "-2h", "+0"][set]);
                clocks[1].set(["+1h", "+0", "+2h", "+3h"][set]);
                set += 1;
            }
            requests.first_limited().is_some_and(|first| first.elapsed() > Duration::from_secs(2))
        });
        (requests.admitted.len(), set)
    };
    let hour = || crate::verifiers::wall() / 3_600_000_000;
    let began = hour();
    let mut counted = admitted(&node.create_key(LIMIT));
    if hour() != began {
        counted = admitted(&node.create_key(LIMIT));
    }
    // A clock that is set ahead makes a process give its units up, and ask again: none is lost for that.
    assert_eq!(counted, (LIMIT as usize, 4));
}

#[test]
fn units_end_with_the_hour_of_the_service_though_the_wall_clock_is_set_back() {
    const LEFT: Duration = Duration::from_secs(6);
    let site = Site::on_sqlite();
    // The service's own clock: seconds before an hour ends.
    let service = site
        .serve()
        .env("LD_PRELOAD", faketime_library())
        .env("FAKETIME", "@2031-05-06 10:59:54")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("TZ", "UTC");
    let started = now();
    let node = service.start();
    // By now that clock goes; it began to after `started`.
    let ready = now();
    let token = token_file(&site, &node);
    let (line, clock) = (Proxy::to(node.address), WallClock::new(site.directory()));
    let process = clock.of(protected(&site, &token, &[line.address])).start();
    let key = node.create_key(100_000);
    for _ in 0..200 {
        assert_eq!(status(&process, &key), 200);
    }
    line.set(Line::Dead);
    clock.set("-1h");
    assert_eq!(status(&process, &key), 200, "units are at hand");
    assert!(started.elapsed() < LEFT, "this machine is too slow to get this far in {LEFT:?}");
    eventually(LEFT + Duration::from_secs(1), "the end of the hour", || {
        (ready.elapsed() > LEFT).then_some(())
    });
    // Nobody can be asked; there is no journal, so nothing is owed.
    let answer = status(&process, &key);
    assert!([429, 503].contains(&answer), "a unit was spent after its hour: {answer}");
}
