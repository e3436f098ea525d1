//! What a task waits for beside its work.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use atomic_waker::AtomicWaker;
use pin_project_lite::pin_project;

pin_project! {
    /// Waits beside a task's work: it is polled only if it was woken itself, and not each time that the work is.
    pub(crate) struct Aside<F> {
        #[pin]
        waits: F,
        shared: Arc<Shared>,
        // Of what waits.
        waker: Waker,
    }
}

struct Shared {
    is_woken: AtomicBool,
    task: AtomicWaker,
}

impl<F: Future> Aside<F> {
    pub(crate) fn new(waits: F) -> Self {
        // What was never polled has something to do.
        let shared = Arc::new(Shared { is_woken: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { waits, waker: Waker::from(shared.clone()), shared }
    }
}

impl<F: Future> Future for Aside<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // Each time, and first: whoever woke it before may only now take the task's waker with it.
        this.shared.task.register(cx.waker());
        if !this.shared.is_woken.swap(false, Ordering::SeqCst) {
            return Poll::Pending;
        }
        this.waits.poll(&mut Context::from_waker(this.waker))
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn it_is_polled_once_it_was_woken_and_wakes_the_task_that_has_it() {
        let (polls, inner) = (AtomicUsize::new(0), Mutex::new(Waker::noop().clone()));
        let waits = poll_fn(|cx| {
            *inner.lock().unwrap() = cx.waker().clone();
            if polls.fetch_add(1, Ordering::SeqCst) < 3 { Poll::Pending } else { Poll::Ready(()) }
        });
        let mut aside = pin!(Aside::new(waits));
        let shared = aside.shared.clone();
        let tasks = [(); 2].map(|()| Arc::<Task>::default());
        let mut poll = |task: usize| {
            let polled = aside.as_mut().poll(&mut Context::from_waker(&Waker::from(tasks[task].clone())));
            (polled.is_ready(), polls.load(Ordering::SeqCst))
        };
        let woken = || [0, 1].map(|task| tasks[task].0.load(Ordering::SeqCst));
        assert_eq!([poll(0), poll(0)], [(false, 1), (false, 1)]);
        // Another task has it now, and is the one to be woken.
        assert_eq!([poll(1), poll(1)], [(false, 1), (false, 1)]);
        let wake = || inner.lock().unwrap().wake_by_ref();
        wake();
        assert_eq!((woken(), poll(1)), ([0, 1], (false, 2)));
        // Another thread, that has just said that it wakes, now does.
        shared.task.wake();
        assert_eq!((woken(), poll(1)), ([0, 2], (false, 2)));
        wake();
        assert_eq!((woken(), poll(1)), ([0, 3], (false, 3)));
        wake();
        assert_eq!((woken(), poll(1)), ([0, 4], (true, 4)));
    }
}
