//! The nodes of the service: one is asked, and the others if it does not answer.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use hokusai_core::time::Elapsed;

use crate::client::Client;
use crate::error::Error;

pub(crate) struct Nodes {
    clients: Vec<Client>,
    /// The one that answered last.
    current: AtomicUsize,
    /// When the latest question was asked, if it was put to every node in vain; else [`ANSWERED`].
    in_vain: AtomicI64,
}

const ANSWERED: i64 = i64::MIN;

impl Nodes {
    pub(crate) fn new(clients: Vec<Client>) -> Self {
        Self { clients, current: AtomicUsize::new(0), in_vain: AtomicI64::new(ANSWERED) }
    }

    /// Asks one node after the other, each once, from `now` on. `None` if none could answer: it said nothing, or
    /// that it can't vouch for anything, or that the token is refused.
    pub(crate) async fn ask<T, F>(&self, now: Elapsed, question: impl Fn(Client) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let first = self.current.load(Ordering::Relaxed);
        for step in 0..self.clients.len() {
            let index = (first + step) % self.clients.len();
            if let Ok(answer) = question(self.clients[index].clone()).await {
                self.current.store(index, Ordering::Relaxed);
                self.in_vain.store(ANSWERED, Ordering::Relaxed);
                return Some(answer);
            }
        }
        self.in_vain.store(now.0, Ordering::Relaxed);
        None
    }

    /// Tells one node after the other, each once, until one takes it or finds fault with it. Whether the nodes
    /// can be reached is not concluded from this.
    pub(crate) async fn tell<T, F>(&self, what: impl Fn(Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let first = self.current.load(Ordering::Relaxed);
        let mut step = 0;
        loop {
            let index = (first + step) % self.clients.len();
            step += 1;
            let told = what(self.clients[index].clone()).await;
            let is_settled = matches!(told, Ok(_) | Err(Error::Invalid { .. }));
            if is_settled {
                self.current.store(index, Ordering::Relaxed);
            }
            if is_settled || step == self.clients.len() {
                return told;
            }
        }
    }

    /// When the latest question was asked, if it was put to every node in vain. While it is so, the feed is
    /// asked for again and again.
    pub(crate) fn in_vain(&self) -> Option<Elapsed> {
        let asked = self.in_vain.load(Ordering::Relaxed);
        (asked != ANSWERED).then_some(Elapsed(asked))
    }
}
