//! A service behind the gateway that is a thread of the test: it sees every byte, and does what it is told.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::wire::{Kind, Message, Wire};
use crate::clock::eventually;

/// What a well-behaved service answers.
pub(crate) const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// The service. Its threads end with the test process.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Log>>,
}

/// What happened so far.
#[derive(Default)]
struct Log {
    connections: usize,
    ended: usize,
    heads: Vec<String>,
    requests: Vec<Message>,
}

/// A request whose head came.
pub(crate) struct Visit<'a> {
    pub(crate) wire: &'a mut Wire,
    pub(crate) head: String,
    log: &'a Mutex<Log>,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
    /// Nothing is read any more, and the other side finds out.
    Watch,
}

impl Backend {
    /// A service that does `visited` with every request, once its head has come.
    pub(crate) fn that(visited: impl Fn(&mut Visit<'_>) -> After + Send + Sync + 'static) -> Self {
        let visited = Arc::new(visited);
        Self::on_connection(move |mut wire, log| {
            while let Some(head) = wire.head() {
                log.lock().unwrap().heads.push(head.clone());
                let mut visit = Visit { wire: &mut wire, head, log };
                match visited(&mut visit) {
                    After::Keep => {}
                    After::Close => break,
                    After::Watch => {
                        while !wire.ends() {
                            wire.forget();
                        }
                        break;
                    }
                }
            }
        })
    }

    /// A service that reads every request, and answers [`HELLO`].
    pub(crate) fn polite() -> Self {
        Self::that(|visit| visit.answer(HELLO))
    }

    fn on_connection(each: impl Fn(Wire, &Mutex<Log>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::<Mutex<Log>>::default();
        let (shared, each) = (log.clone(), Arc::new(each));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                shared.lock().unwrap().connections += 1;
                let (log, each) = (shared.clone(), each.clone());
                thread::spawn(move || {
                    let wire = Wire::of_patient(stream);
                    each(wire, &log);
                    log.lock().unwrap().ended += 1;
                });
            }
        });
        Self { address, log }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }

    /// Waits until that many connections have ended.
    pub(crate) fn wait_ended(&self, count: usize) {
        eventually(Duration::from_secs(10), "the end of connections to the upstream", || {
            (self.log.lock().unwrap().ended >= count).then_some(())
        });
    }

    /// Waits until that many heads have come.
    pub(crate) fn wait_heads(&self, count: usize) -> Vec<String> {
        eventually(Duration::from_secs(10), "requests at the upstream", || {
            Some(self.heads()).filter(|heads| heads.len() >= count)
        })
    }

    /// The heads of all requests, also of those that broke off.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.log.lock().unwrap().heads.clone()
    }

    /// The requests whose bodies were read, and which of them came to their ends.
    pub(crate) fn requests(&self) -> Vec<Message> {
        self.log.lock().unwrap().requests.clone()
    }

    /// The latest request, which is forgotten with all before.
    pub(crate) fn take_latest(&self) -> Option<Message> {
        let mut log = self.log.lock().unwrap();
        log.heads.clear();
        let latest = log.requests.pop();
        log.requests.clear();
        latest
    }
}

impl Visit<'_> {
    /// Reads the body.
    pub(crate) fn read(&mut self) -> Message {
        let message = self.wire.rest(self.head.clone(), Kind::Request);
        self.log.lock().unwrap().requests.push(message.clone());
        message
    }

    /// Reads the body and answers, if it came to its end.
    pub(crate) fn answer(&mut self, answer: &str) -> After {
        if !self.read().is_whole || self.wire.send(answer).is_err() {
            return After::Close;
        }
        After::Keep
    }

    /// The path of the request.
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// How long the body is said to be.
    pub(crate) fn length(&self) -> u64 {
        let head = self.head.to_ascii_lowercase();
        let (_, length) = head.split_once("\r\ncontent-length: ").unwrap();
        length.lines().next().unwrap().parse().unwrap()
    }

    pub(crate) fn say(&mut self, text: &str) {
        // Whoever asked may have gone.
        let _ = self.wire.send(text);
    }
}
