//! One thing for each thread, so that none waits for another's.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many there are. Threads beyond these share them.
const PLACES: usize = 16;

/// One for each thread, of as many threads as there mostly are.
#[derive(Debug)]
pub(crate) struct PerThread<T>(Box<[Place<T>; PLACES]>);

/// Two cache lines at the least: some processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place<T>(T);

impl<T: Default> Default for PerThread<T> {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| Place::default())))
    }
}

impl<T> PerThread<T> {
    /// The one of the thread that asks.
    pub(crate) fn own(&self) -> &T {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static PLACE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PLACES;
        }
        &self.0[PLACE.with(|place| *place)].0
    }

    /// Those of all threads.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|place| &place.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_always_the_same_and_all_are_seen() {
        let counts = PerThread::<AtomicUsize>::default();
        let first = counts.own();
        assert!(std::ptr::eq(first, counts.own()));
        std::thread::scope(|threads| {
            for _ in 0..2 * PLACES {
                threads.spawn(|| counts.own().fetch_add(1, Ordering::Relaxed));
            }
        });
        let all: Vec<usize> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!((all.len(), all.iter().sum::<usize>()), (PLACES, 2 * PLACES));
        assert!(all.iter().filter(|count| **count > 0).count() > 1, "{all:?}");
    }
}
