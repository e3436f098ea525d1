//! The example of a protected service, as processes of their own: each admits by a verifier.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::clock::now;
use crate::http::Request;
use crate::program::{Process, Program};
use crate::site::{NewKey, Site, text_of};

/// What came of the requests of a key, each with when it was sent and when it was answered.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) admitted: Vec<(Instant, Instant)>,
    pub(crate) limited: Vec<(Instant, Instant)>,
    /// Sent, and not answered.
    pub(crate) lost: usize,
}

/// Where `cargo test --workspace` puts the example.
fn example() -> PathBuf {
    let programs = Path::new(env!("CARGO_BIN_EXE_hokusai")).parent().unwrap();
    let example = programs.join("examples/protected_service");
    assert!(
        example.is_file(),
        "there is no example: run ./test, or cargo build -p hokusai-client --example protected_service"
    );
    example
}

/// A file with a new service token.
pub(crate) fn token_file(site: &Site, node: &Process) -> PathBuf {
    let wish = json!({"user_id": "gateway", "name": "a gateway", "role": "verifier"});
    let created = node.as_operator("POST", "/api/v1/admin-tokens", &wish).expect(201);
    let file = site.directory().join("service-token");
    std::fs::write(&file, text_of(&created["token"])).unwrap();
    file
}

/// The example, before these nodes.
pub(crate) fn protected(site: &Site, token: &Path, nodes: &[SocketAddr]) -> Program {
    let token = token.display().to_string();
    let example = Program::other(&example().display().to_string(), site.directory());
    let example = example.args(["--listen", "127.0.0.1:0", "--token-file", &token]);
    nodes.iter().fold(example, |example, node| {
        let node = format!("http://{node}");
        example.args(["--service", node.as_str()])
    })
}

pub(crate) fn prediction(key: &NewKey) -> Request {
    Request::new("GET", "/predict").bearer(&key.text)
}

/// The status that one request is answered with.
pub(crate) fn status(process: &Process, key: &NewKey) -> u16 {
    process.send(prediction(key)).status
}

impl Requests {
    /// Sends one and notes what came of it; `false` if nothing did.
    pub(crate) fn send(&mut self, to: SocketAddr, key: &NewKey) -> bool {
        let sent = now();
        let Ok(answer) = prediction(key).try_send(to) else {
            self.lost += 1;
            return false;
        };
        match answer.status {
            200 => self.admitted.push((sent, now())),
            429 => self.limited.push((sent, now())),
            status => panic!("{status}: {}", answer.text),
        }
        true
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.admitted.extend(other.admitted);
        self.limited.extend(other.limited);
        self.lost += other.lost;
    }

    /// When a request was refused for the first time.
    pub(crate) fn first_limited(&self) -> Option<Instant> {
        self.limited.iter().map(|(_, answered)| *answered).min()
    }
}

/// How hard a process is used.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) to: SocketAddr,
    pub(crate) threads: usize,
    pub(crate) pause: Duration,
    /// The most requests of each thread.
    pub(crate) most: usize,
}

impl Load {
    pub(crate) fn of(to: SocketAddr, threads: usize, pause_ms: u64) -> Self {
        Self { to, threads, pause: Duration::from_millis(pause_ms), most: usize::MAX }
    }
}

/// Uses a key by all loads at once until `end` says that it is over, which is asked every few milliseconds;
/// a load ends with the process that it goes to.
pub(crate) fn under_load(
    key: &NewKey,
    loads: &[Load],
    mut is_over: impl FnMut(&Mutex<Requests>) -> bool,
) -> Requests {
    let (all, over) = (Mutex::new(Requests::default()), AtomicBool::new(false));
    thread::scope(|scope| {
        for load in loads {
            for _ in 0..load.threads {
                scope.spawn(|| {
                    for _ in 0..load.most {
                        let mut one = Requests::default();
                        let is_there = one.send(load.to, key);
                        all.lock().unwrap().add(one);
                        if !is_there || over.load(Ordering::Relaxed) {
                            return;
                        }
                        thread::sleep(load.pause);
                    }
                });
            }
        }
        while !is_over(&all) {
            thread::sleep(Duration::from_millis(5));
        }
        over.store(true, Ordering::Relaxed);
    });
    all.into_inner().unwrap()
}
