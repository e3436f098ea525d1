//! The threads that calls run on: one runtime for each process, started when it is first needed.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use pyo3::prelude::*;
use pyo3::wrap_pyfunction;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::bridge::Delivery;
use crate::fault::Fault;
use crate::forks::OfProcess;

/// Calls mostly wait for the network.
const WORKERS: usize = 2;

static RUNTIME: OfProcess<Arc<Threads>> = OfProcess::new();

/// The runtime, and the thread that tells event loops what became of their calls: no worker ever waits for
/// Python.
#[derive(Debug)]
pub(crate) struct Threads {
    runtime: Runtime,
    deliveries: Sender<Post>,
    teller: Mutex<Option<JoinHandle<()>>>,
}

/// What the telling thread is handed.
#[derive(Debug)]
pub(crate) enum Post {
    Deliver(Delivery),
    /// Python ends: nobody is to be told anything more.
    End,
}

impl Threads {
    pub(crate) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    pub(crate) fn deliveries(&self) -> &Sender<Post> {
        &self.deliveries
    }
}

/// The threads of this process.
pub(crate) fn threads(held: Python<'_>) -> Result<Arc<Threads>, Fault> {
    RUNTIME.get(held, || start().map(Arc::new).map_err(Fault::Threads))
}

/// Sees to it that nobody is told anything any more once Python goes down.
pub(crate) fn end_with_python(py: Python<'_>) -> PyResult<()> {
    let at_exit = py.import("atexit")?;
    at_exit.call_method1("register", (wrap_pyfunction!(stop_telling, py)?,)).map(drop)
}

/// Waits until the telling thread is out of Python, which would end it by force while it goes down, and the
/// process with it.
#[pyfunction]
fn stop_telling(py: Python<'_>) {
    let Some(threads) = RUNTIME.own(py) else { return };
    let teller = threads.teller.lock().unwrap_or_else(PoisonError::into_inner).take();
    // It may have ended already.
    let _ = threads.deliveries.send(Post::End);
    if let Some(teller) = teller {
        let _ = py.detach(|| teller.join());
    }
}

fn start() -> std::io::Result<Threads> {
    let runtime =
        Builder::new_multi_thread().worker_threads(WORKERS).thread_name("hokusai").enable_all().build()?;
    let (deliveries, received) = channel();
    let teller = thread::Builder::new().name("hokusai-tell".into()).spawn(move || deliver(&received))?;
    Ok(Threads { runtime, deliveries, teller: Mutex::new(Some(teller)) })
}

/// Hands results over for as long as there is a Python, many at a time if many are there.
fn deliver(received: &Receiver<Post>) {
    while let Ok(Post::Deliver(first)) = received.recv() {
        let goes_on = Python::try_attach(|py| {
            first.hand_over(py);
            received.try_iter().all(|post| match post {
                Post::Deliver(delivery) => {
                    delivery.hand_over(py);
                    true
                }
                Post::End => false,
            })
        });
        if goes_on != Some(true) {
            return;
        }
    }
}
