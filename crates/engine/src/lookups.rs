//! Looking up keys that are not in memory.
//!
//! While a look-up is under way, others gather for the next: many keys share one statement, so that a
//! service that has just started, or is tried with unknown keys, asks its database a few hundred times a
//! second and not a few thousand.

use std::sync::Mutex;

use hokusai_core::key::KeyDigest;
use hokusai_store::{FoundKey, StoreError};
use tokio::sync::{Notify, oneshot};

use crate::clock::lock;
use crate::engine::Engine;
use crate::refusal::Declined;

/// The most statements under way at once.
const MOST_READERS: usize = 2;
/// The most keys in one statement.
const AT_ONCE: usize = 64;
/// The most strangers' look-ups that wait; others are put off.
const MOST_STRANGERS: usize = 1024;

/// The look-ups that wait for the next statement.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    waiting: Mutex<Vec<Waiting>>,
    bell: Notify,
}

#[derive(Debug)]
struct Waiting {
    digest: KeyDigest,
    answer: oneshot::Sender<Result<Option<FoundKey>, StoreError>>,
}

impl Lookups {
    fn take(&self) -> Vec<Waiting> {
        let mut waiting = lock(&self.waiting);
        let count = waiting.len().min(AT_ONCE);
        let some = waiting.drain(..count).collect();
        if !waiting.is_empty() {
            self.bell.notify_one();
        }
        some
    }
}

impl Engine {
    /// The key with this digest, as the store has it now.
    pub(crate) async fn look_up(
        &self,
        digest: &KeyDigest,
        is_stranger: bool,
    ) -> Result<Option<FoundKey>, Declined> {
        let (answer, found) = oneshot::channel();
        {
            let mut waiting = lock(&self.lookups.waiting);
            if is_stranger && waiting.len() >= MOST_STRANGERS {
                return Err(Declined::TooManyLookups);
            }
            waiting.push(Waiting { digest: *digest, answer });
        }
        self.lookups.bell.notify_one();
        Ok(found.await.unwrap_or(Err(StoreError::TimedOut))?)
    }

    /// How many statements may be under way at once: a quarter of the store's connections at the most.
    pub(crate) fn readers(&self) -> usize {
        usize::try_from(self.store.read_connections() / 4).unwrap_or(1).clamp(1, MOST_READERS)
    }

    /// Carries look-ups out, one statement after the other, for as long as the engine lives.
    pub(crate) async fn keep_looking_up(&self) {
        loop {
            let some = self.lookups.take();
            if some.is_empty() {
                self.lookups.bell.notified().await;
                continue;
            }
            let digests: Vec<KeyDigest> = some.iter().map(|waiting| waiting.digest).collect();
            let answers = self.store.find_keys(&digests).await;
            let answers = answers.unwrap_or_else(|error| vec![Err(error); some.len()]);
            for (waiting, answer) in some.into_iter().zip(answers) {
                // Whoever has gone misses nothing.
                let _ = waiting.answer.send(answer);
            }
        }
    }
}
