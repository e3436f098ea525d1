//! Looking up keys that are not in memory.
//!
//! While a look-up is under way, others gather for the next: many keys share one statement, so that a
//! service that has just started, or is tried with unknown keys, asks its database a few hundred times a
//! second and not a few thousand.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use hokusai_core::key::KeyDigest;
use hokusai_core::time::Elapsed;
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
/// The most look-ups of others that wait.
const MOST: usize = 16_384;
/// A look-up that waited this long for its statement is given up: with a store this slow, work would else
/// go to those who have left already.
const PATIENCE: Duration = Duration::from_secs(1);

/// The look-ups that wait for the next statement.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    queues: Mutex<Queues>,
    bell: Notify,
}

/// Strangers wait behind all others.
#[derive(Debug, Default)]
struct Queues {
    trusted: VecDeque<Waiting>,
    strangers: VecDeque<Waiting>,
}

type Answer = Result<Option<FoundKey>, StoreError>;

#[derive(Debug)]
struct Waiting {
    digest: KeyDigest,
    since: Elapsed,
    answer: oneshot::Sender<Answer>,
}

impl Lookups {
    /// What the next statement is about. Whoever left is forgotten, and so is whoever waited too long: to
    /// them the store did not answer in time.
    fn take(&self, now: Elapsed) -> Vec<Waiting> {
        let mut queues = lock(&self.queues);
        let Queues { trusted, strangers } = &mut *queues;
        for queue in [&mut *trusted, &mut *strangers] {
            queue.retain(|waiting| !waiting.answer.is_closed() && now.since(waiting.since) < PATIENCE);
        }
        let first = trusted.len().min(AT_ONCE);
        let then = strangers.len().min(AT_ONCE - first);
        let some = trusted.drain(..first).chain(strangers.drain(..then)).collect();
        if !(trusted.is_empty() && strangers.is_empty()) {
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
            let waiting = Waiting { digest: *digest, since: self.clock.elapsed(), answer };
            let mut queues = lock(&self.lookups.queues);
            if is_stranger && queues.strangers.len() >= MOST_STRANGERS {
                return Err(Declined::TooManyLookups);
            }
            if queues.trusted.len() >= MOST {
                return Err(Declined::Store(StoreError::TimedOut));
            }
            let queue = if is_stranger { &mut queues.strangers } else { &mut queues.trusted };
            queue.push_back(waiting);
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
            let some = self.lookups.take(self.clock.elapsed());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(queue: &mut VecDeque<Waiting>, text: &str, since: Elapsed) -> oneshot::Receiver<Answer> {
        let (answer, found) = oneshot::channel();
        queue.push_back(Waiting { digest: KeyDigest::of(text), since, answer });
        found
    }

    fn digests(some: &[Waiting]) -> Vec<KeyDigest> {
        some.iter().map(|waiting| waiting.digest).collect()
    }

    #[test]
    fn strangers_wait_behind_the_others() {
        let (lookups, now) = (Lookups::default(), Elapsed(0));
        let mut queues = lock(&lookups.queues);
        let _stranger = wait(&mut queues.strangers, "stranger", now);
        let trusted: Vec<_> = (0..AT_ONCE).map(|_| wait(&mut queues.trusted, "trusted", now)).collect();
        drop(queues);
        assert_eq!(digests(&lookups.take(now)), vec![KeyDigest::of("trusted"); trusted.len()]);
        assert_eq!(digests(&lookups.take(now)), [KeyDigest::of("stranger")]);
        assert!(lookups.take(now).is_empty());
    }

    #[test]
    fn nothing_is_looked_up_for_those_who_left_or_waited_too_long() {
        let (lookups, now) = (Lookups::default(), Elapsed(0));
        let mut queues = lock(&lookups.queues);
        drop(wait(&mut queues.trusted, "left", now.after(PATIENCE)));
        let mut late = wait(&mut queues.trusted, "late", now);
        let _fresh = wait(&mut queues.strangers, "fresh", Elapsed(1));
        drop(queues);
        assert_eq!(digests(&lookups.take(now.after(PATIENCE))), [KeyDigest::of("fresh")]);
        assert!(late.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
    }
}
