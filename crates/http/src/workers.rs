//! The threads that serve connections.

use std::cell::Cell;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::outbox;

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

/// The number of the worker that this is a thread of; 0 if it is of none.
#[must_use]
pub fn worker() -> usize {
    NUMBER.get()
}

/// Threads that serve connections: each connection is served by one of them, from its first byte to its last, so
/// that a request wakes no other thread. They end when this is dropped.
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    stop: oneshot::Sender<()>,
    handle: JoinHandle<()>,
}

/// Counts a connection for as long as it is open.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Workers {
    /// The threads of the runtime that this is called in.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn here() -> Self {
        let (runtime, connections) = (Handle::current(), Arc::default());
        Self(vec![Worker { runtime, connections, thread: None }])
    }

    /// Starts threads of their own.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(count: NonZero<usize>) -> io::Result<Self> {
        (0..count.get()).map(Worker::start).collect::<io::Result<_>>().map(Self)
    }

    /// Where the next connection is served: by whoever has the fewest.
    pub(crate) fn next(&self) -> (&Handle, Counted) {
        let idlest = self.0.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
        let worker = idlest.expect("there is at least one");
        worker.connections.fetch_add(1, Ordering::Relaxed);
        (&worker.runtime, Counted(worker.connections.clone()))
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let own = Builder::new_current_thread().enable_all().build()?;
        own.spawn(outbox::keep_sending());
        let runtime = own.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let handle = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            NUMBER.set(number);
            // Whether it is told or left makes no difference.
            let _ = own.block_on(stopped);
            own.shutdown_background();
        })?;
        Ok(Self { runtime, connections: Arc::default(), thread: Some(Thread { stop, handle }) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(Thread { stop, handle }) = self.thread.take() {
            drop(stop);
            // A thread that panicked has ended, too.
            let _ = handle.join();
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_with_the_fewest_connections_has_the_next() {
        let workers = Workers::start(NonZero::new(3).unwrap()).unwrap();
        let number =
            |runtime: &Handle| runtime.block_on(async { tokio::spawn(async { worker() }).await.unwrap() });
        let mut open: Vec<_> = (0..6)
            .map(|_| {
                let (runtime, counted) = workers.next();
                (number(runtime), counted)
            })
            .collect();
        assert_eq!(open.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        open.retain(|(number, _)| *number != 1);
        assert_eq!(
            [(); 2].map(|()| {
                let (runtime, counted) = workers.next();
                std::mem::forget(counted);
                number(runtime)
            }),
            [1, 1]
        );
        assert_eq!(worker(), 0);
    }
}
