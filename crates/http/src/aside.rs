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
        // Of the task, as it was when this was polled last.
        task: Option<Waker>,
    }
}

#[derive(Default)]
struct Shared {
    is_woken: AtomicBool,
    task: AtomicWaker,
}

impl<F: Future> Aside<F> {
    pub(crate) fn new(waits: F) -> Self {
        let shared = Arc::<Shared>::default();
        Self { waits, waker: Waker::from(shared.clone()), shared, task: None }
    }
}

impl<F: Future> Future for Aside<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let is_known = this.task.as_ref().is_some_and(|task| task.will_wake(cx.waker()));
        if is_known && !this.shared.is_woken.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        if !is_known {
            *this.task = Some(cx.waker().clone());
        }
        // Whoever wakes it from here on is heard.
        this.shared.task.register(cx.waker());
        this.shared.is_woken.store(false, Ordering::SeqCst);
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
        let tasks = [(); 2].map(|()| Arc::<Task>::default());
        let mut poll = |task: usize| {
            let polled = aside.as_mut().poll(&mut Context::from_waker(&Waker::from(tasks[task].clone())));
            (polled.is_ready(), polls.load(Ordering::SeqCst))
        };
        let woken = || [0, 1].map(|task| tasks[task].0.load(Ordering::SeqCst));
        assert_eq!([poll(0), poll(0)], [(false, 1), (false, 1)]);
        // Another task has it now, and is the one to be woken.
        assert_eq!([poll(1), poll(1)], [(false, 2), (false, 2)]);
        for times in [1, 2] {
            let waker = inner.lock().unwrap().clone();
            waker.wake();
            assert_eq!((woken(), poll(1)), ([0, times], (times == 2, 2 + times)));
        }
    }
}
