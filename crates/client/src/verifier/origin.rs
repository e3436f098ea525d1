//! The process that a verifier belongs to. A process that is forked off has a copy of all units and of the
//! register's word, and none of the tasks that give them back and follow changes: it must admit nothing.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use hokusai_core::time::Elapsed;

/// How often a task shows that it runs. No task outlives a fork.
pub(super) const BEAT: Duration = Duration::from_millis(50);
/// When no task showed that for so long, the system is asked. Asking for each request would take longer than
/// all else about it.
const SUSPICIOUS: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Origin {
    process: AtomicU32,
    beat: AtomicI64,
}

impl Origin {
    pub(super) fn here(now: Elapsed) -> Self {
        Self { process: AtomicU32::new(std::process::id()), beat: AtomicI64::new(now.0) }
    }

    pub(super) fn beat(&self, now: Elapsed) {
        self.beat.store(now.0, Ordering::Relaxed);
    }

    /// Whether this is another process, as far as can be told for each request: a fork shows within 100
    /// milliseconds.
    pub(super) fn seems_left(&self, now: Elapsed) -> bool {
        now.since(Elapsed(self.beat.load(Ordering::Relaxed))) >= SUSPICIOUS && self.is_left()
    }

    /// Whether this is another process.
    pub(super) fn is_left(&self) -> bool {
        std::process::id() != self.process.load(Ordering::Relaxed)
    }

    /// As if the process had been forked.
    #[cfg(test)]
    pub(super) fn leave(&self) {
        self.process.fetch_xor(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_shows_once_no_task_runs() {
        let origin = Origin::here(Elapsed(0));
        let late = Elapsed(0).after(SUSPICIOUS);
        assert!(!origin.is_left() && !origin.seems_left(late));
        origin.leave();
        assert!(origin.is_left() && origin.seems_left(late));
        assert!(!origin.seems_left(Elapsed(late.0 - 1)));
        origin.beat(late);
        assert!(!origin.seems_left(late));
    }
}
