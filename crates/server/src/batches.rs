//! Batches that are being read: all together they take so much memory at the most, and those of one source a
//! part of it. So nobody who sends slowly keeps the others from reporting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hokusai_engine::Source;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all bodies may take, in KiB.
const ROOM: usize = 64 * 1024;
/// What those of one source may: two of the largest.
const ROOM_OF_ONE: usize = 16 * 1024;
/// How long a batch waits for its turn to be read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who reads, and how much.
pub(crate) struct Batches {
    all: Arc<Semaphore>,
    of_one: Mutex<HashMap<Source, Arc<Semaphore>>>,
}

/// Room for a body, for as long as it is kept.
pub(crate) struct Turn {
    _of_one: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Batches {
    pub(crate) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(ROOM)), of_one: Mutex::default() }
    }

    /// Waits for room for a body of so many bytes; `None` if there is none for long.
    pub(crate) async fn turn(&self, source: Source, length: usize) -> Option<Turn> {
        let room = u32::try_from(length.div_ceil(1024).max(1)).ok()?;
        let (all, of_one) = (self.all.clone(), self.of_one(source));
        let turn = async {
            // First one's own: whoever waits for that takes nothing from others.
            let of_one = of_one.acquire_many_owned(room).await.ok()?;
            let of_all = all.acquire_many_owned(room).await.ok()?;
            Some(Turn { _of_one: of_one, _of_all: of_all })
        };
        tokio::time::timeout(PATIENCE, turn).await.ok()?
    }

    fn of_one(&self, source: Source) -> Arc<Semaphore> {
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for or reads by are forgotten.
        of_one.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        of_one.entry(source).or_insert_with(|| Arc::new(Semaphore::new(ROOM_OF_ONE))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: usize = 8 * 1024 * 1024;

    fn user(number: usize) -> Source {
        Source::User(number.to_string().into())
    }

    /// A turn, if nobody has to wait for it.
    async fn at_once(batches: &Batches, number: usize, length: usize) -> Option<Turn> {
        tokio::select! {
            biased;
            turn = batches.turn(user(number), length) => turn,
            () = std::future::ready(()) => None,
        }
    }

    #[tokio::test]
    async fn one_source_has_its_share_and_leaves_room_for_others() {
        let batches = Batches::new();
        let one = at_once(&batches, 1, LARGEST).await.unwrap();
        let _other = at_once(&batches, 1, LARGEST).await.unwrap();
        assert!(at_once(&batches, 1, 1).await.is_none());
        assert!(at_once(&batches, 2, LARGEST).await.is_some());
        drop(one);
        assert!(at_once(&batches, 1, LARGEST).await.is_some());
    }

    #[tokio::test]
    async fn all_together_have_so_much_room_and_small_batches_take_little_of_it() {
        let batches = Batches::new();
        let mut turns = Vec::new();
        for number in 0..64 {
            turns.push(at_once(&batches, number, 100_000).await.unwrap());
        }
        turns.clear();
        for number in 0..8 {
            turns.push(at_once(&batches, number, LARGEST).await.unwrap());
        }
        assert!(at_once(&batches, 9, 1).await.is_none());
        turns.pop();
        assert!(at_once(&batches, 9, LARGEST).await.is_some());
        turns.clear();
        drop(batches.of_one(user(9)));
        assert_eq!(batches.of_one.lock().unwrap().len(), 1, "who reads nothing is forgotten");
    }
}
