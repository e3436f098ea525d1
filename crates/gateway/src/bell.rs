//! Wakes whoever uses a connection, and spares it what it brings about itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use atomic_waker::AtomicWaker;

/// Rings that come while its task is at work are noted, and wake nobody.
const IS_HEARD: u8 = 1;
/// It rang since the task began.
const RANG: u8 = 2;
/// How often a task goes on at once. Then others have their turn.
const MOST_ROUNDS: usize = 8;

/// What the parts of an exchange wake: the two ends of a connection, which one task moves. Where one wakes the other
/// while the task is at work, the task goes on at once rather than being woken, and all of its other parts with it.
pub(crate) struct Bell {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Default)]
struct Shared {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Default for Bell {
    #[expect(
        clippy::redundant_clone,
        reason = "copies may be told from the first one, but not from one another"
    )]
    fn default() -> Self {
        let shared = Arc::<Shared>::default();
        let waker = Waker::from(shared.clone()).clone();
        Self { shared, waker }
    }
}

impl Bell {
    /// Polls parts with this bell, until they are done or wait for something from outside.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut parts: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Shared { state, task } = &*self.shared;
        task.register(cx.waker());
        for _ in 0..MOST_ROUNDS {
            state.store(IS_HEARD, Ordering::SeqCst);
            let polled = parts(&mut Context::from_waker(&self.waker));
            if state.swap(0, Ordering::SeqCst) & RANG == 0 || polled.is_ready() {
                return polled;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(RANG, Ordering::SeqCst) & IS_HEARD == 0 {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// What is polled of a task that had `pending` times nothing to do, and rang each time; and how often the task
    /// was woken and its parts were polled.
    fn polled(bell: &Bell, pending: usize) -> (Poll<()>, usize, usize) {
        let (task, mut rounds) = (Arc::<Task>::default(), 0);
        let waker = Waker::from(task.clone());
        let polled = bell.poll(&mut Context::from_waker(&waker), |cx| {
            rounds += 1;
            if rounds > pending {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        (polled, task.0.load(Ordering::SeqCst), rounds)
    }

    #[test]
    fn a_task_goes_on_with_what_it_brought_about_and_is_not_woken() {
        let bell = Bell::default();
        assert_eq!(polled(&bell, 0), (Poll::Ready(()), 0, 1));
        assert_eq!(polled(&bell, 3), (Poll::Ready(()), 0, 4));
    }

    #[test]
    fn a_task_that_always_has_something_to_do_lets_others_have_a_turn() {
        assert_eq!(polled(&Bell::default(), usize::MAX), (Poll::Pending, 1, MOST_ROUNDS));
    }

    #[test]
    fn a_task_that_waits_is_woken_from_outside() {
        let (bell, task) = (Bell::default(), Arc::<Task>::default());
        let waker = Waker::from(task.clone());
        let mut ring = None;
        let waits = bell.poll(&mut Context::from_waker(&waker), |cx| {
            ring = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        assert_eq!((waits, task.0.load(Ordering::SeqCst)), (Poll::Pending, 0));
        let ring = ring.unwrap();
        ring.wake_by_ref();
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        // Another task takes over; the first is no longer meant.
        assert_eq!(polled(&bell, 0), (Poll::Ready(()), 0, 1));
        ring.wake();
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
    }
}
