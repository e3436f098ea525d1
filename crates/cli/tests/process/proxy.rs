//! A TCP proxy between a node and its database that can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It carries everything.
    Whole,
    /// It swallows everything; nobody is told.
    Dead,
    /// Connections are ended, and new ones at once.
    Refused,
}

/// The proxy. Its threads end with the test process.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    line: Line,
    streams: Vec<TcpStream>,
}

impl Proxy {
    pub(crate) fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { line: Line::Whole, streams: Vec::new() }));
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                shared.lock().unwrap().connect(client, target, &shared);
            }
        });
        Self { address, state }
    }

    pub(crate) fn set(&self, line: Line) {
        let mut state = self.state.lock().unwrap();
        state.line = line;
        if line == Line::Refused {
            for stream in state.streams.drain(..) {
                // It may have ended by itself.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

impl State {
    fn connect(&mut self, client: TcpStream, target: SocketAddr, shared: &Arc<Mutex<Self>>) {
        if self.line == Line::Refused {
            return;
        }
        let server = TcpStream::connect(target).unwrap();
        for (from, to) in [(&client, &server), (&server, &client)] {
            self.streams.push(from.try_clone().unwrap());
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let shared = shared.clone();
            thread::spawn(move || carry(from, to, &shared));
        }
    }
}

/// Carries bytes one way for as long as both ends are there, and waits while the line is dead.
fn carry(mut from: TcpStream, mut to: TcpStream, state: &Mutex<State>) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        while state.lock().unwrap().line == Line::Dead {
            thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
