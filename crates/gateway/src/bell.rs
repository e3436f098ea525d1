//! Wakes whoever uses a connection, and spares it what it brings about itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use atomic_waker::AtomicWaker;

/// Rings that come while its task is at work are noted, and wake nobody.
const IS_HEARD: u8 = 1;
/// It rang for what moves the connection, which was not polled for that yet.
const MOVER: u8 = 2;
/// It rang for who waits.
const WAITER: u8 = 4;
/// How often a task goes on at once. Then others have their turn.
const MOST_ROUNDS: usize = 8;

/// What the parts of an exchange wake: what moves a connection, and who waits for what comes of it. One task polls both.
/// Where one wakes the other while the task is at work, the task goes on at once rather than being woken.
pub(crate) struct Bell {
    shared: Arc<Shared>,
    mover: Waker,
    waiter: Waker,
}

struct Shared {
    state: AtomicU8,
    task: AtomicWaker,
}

/// Rings for one of the parts.
struct Ring<const PART: u8>(Arc<Shared>);

impl Default for Bell {
    fn default() -> Self {
        // What was never polled has something to do.
        let shared = Arc::new(Shared { state: AtomicU8::new(MOVER), task: AtomicWaker::new() });
        let (mover, waiter) = (ring::<MOVER>(&shared), ring::<WAITER>(&shared));
        Self { shared, mover, waiter }
    }
}

#[expect(clippy::redundant_clone, reason = "copies may be told from the first one, but not from one another")]
fn ring<const PART: u8>(shared: &Arc<Shared>) -> Waker {
    Waker::from(Arc::new(Ring::<PART>(shared.clone()))).clone()
}

impl Bell {
    /// Polls what moves the connection, and then who waits, until that is done or both wait for something from outside.
    /// What moves is polled only if it rang for it: else nothing has changed for it.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut moves: impl FnMut(&mut Context<'_>),
        mut waits: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Shared { state, task } = &*self.shared;
        task.register(cx.waker());
        for _ in 0..MOST_ROUNDS {
            if state.swap(IS_HEARD, Ordering::SeqCst) & MOVER != 0 {
                moves(&mut Context::from_waker(&self.mover));
            }
            let polled = waits(&mut Context::from_waker(&self.waiter));
            if polled.is_ready() {
                // If it rang for what moves, that is for the next time.
                state.fetch_and(MOVER, Ordering::SeqCst);
                return polled;
            }
            if state.compare_exchange(IS_HEARD, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return polled;
            }
        }
        state.fetch_and(!IS_HEARD, Ordering::SeqCst);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<const PART: u8> Wake for Ring<PART> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.0.state.fetch_or(PART, Ordering::SeqCst) & IS_HEARD == 0 {
            self.0.task.wake();
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

    /// What is polled of a task whose waiting part had `pending` times nothing to do, and rang each time; and how often
    /// the task was woken, and its parts were polled.
    fn polled(bell: &Bell, pending: usize) -> (Poll<()>, usize, [usize; 2]) {
        let (task, mut moves, mut rounds) = (Arc::<Task>::default(), 0, 0);
        let waker = Waker::from(task.clone());
        let waits = |cx: &mut Context<'_>| {
            rounds += 1;
            if rounds > pending {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        };
        let polled = bell.poll(&mut Context::from_waker(&waker), |_| moves += 1, waits);
        (polled, task.0.load(Ordering::SeqCst), [moves, rounds])
    }

    #[test]
    fn a_task_goes_on_with_what_it_brought_about_and_is_not_woken() {
        let bell = Bell::default();
        // At first there is always something to move.
        assert_eq!(polled(&bell, 0), (Poll::Ready(()), 0, [1, 1]));
        assert_eq!(polled(&bell, 3), (Poll::Ready(()), 0, [0, 4]));
    }

    #[test]
    fn a_task_that_always_has_something_to_do_lets_others_have_a_turn() {
        assert_eq!(polled(&Bell::default(), usize::MAX), (Poll::Pending, 1, [1, MOST_ROUNDS]));
    }

    #[test]
    fn what_moves_is_polled_if_it_was_woken_and_not_else() {
        let bell = Bell::default();
        let moved = |moves_ring: bool, waits_ring: bool, polled: Poll<()>| {
            let (mut moved, mut waited) = (0, 0);
            let moves = |cx: &mut Context<'_>| {
                moved += 1;
                if moves_ring && moved < 3 {
                    cx.waker().wake_by_ref();
                }
            };
            let waits = |_: &mut Context<'_>| {
                waited += 1;
                if waits_ring && waited == 1 {
                    bell.mover.wake_by_ref();
                }
                polled
            };
            let _ = bell.poll(&mut Context::from_waker(Waker::noop()), moves, waits);
            moved
        };
        let (pending, ready) = (Poll::Pending, Poll::Ready(()));
        assert_eq!([moved(true, false, pending), moved(false, false, pending)], [3, 0]);
        assert_eq!([moved(false, true, pending), moved(false, false, pending)], [1, 0]);
        // What it is woken for when the others are done is not forgotten.
        assert_eq!([moved(false, true, ready), moved(false, false, ready)], [0, 1]);
        bell.mover.wake_by_ref();
        assert_eq!([moved(true, false, ready), moved(true, false, ready)], [1, 1]);
        bell.waiter.wake_by_ref();
        assert_eq!([moved(false, false, ready), moved(false, false, pending)], [1, 0]);
    }

    #[test]
    fn a_task_that_waits_is_woken_from_outside() {
        for part in [|bell: &Bell| bell.mover.clone(), |bell: &Bell| bell.waiter.clone()] {
            let (bell, task) = (Bell::default(), Arc::<Task>::default());
            let waker = Waker::from(task.clone());
            let waits = bell.poll(&mut Context::from_waker(&waker), |_| {}, |_| Poll::<()>::Pending);
            assert_eq!((waits, task.0.load(Ordering::SeqCst)), (Poll::Pending, 0));
            part(&bell).wake_by_ref();
            assert_eq!(task.0.load(Ordering::SeqCst), 1);
            // Another task takes over; the first is no longer meant.
            let _ = polled(&bell, 0);
            part(&bell).wake();
            assert_eq!(task.0.load(Ordering::SeqCst), 1);
        }
    }
}
