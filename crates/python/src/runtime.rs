//! The threads that calls run on: one runtime for each process, started when it is first needed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use pyo3::Python;
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
    deliveries: Sender<Delivery>,
}

impl Threads {
    pub(crate) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    pub(crate) fn deliveries(&self) -> &Sender<Delivery> {
        &self.deliveries
    }
}

/// The threads of this process.
pub(crate) fn threads(held: Python<'_>) -> Result<Arc<Threads>, Fault> {
    RUNTIME.get(held, || start().map(Arc::new).map_err(Fault::Threads))
}

fn start() -> std::io::Result<Threads> {
    let runtime =
        Builder::new_multi_thread().worker_threads(WORKERS).thread_name("hokusai").enable_all().build()?;
    let (deliveries, received) = channel();
    thread::Builder::new().name("hokusai-tell".into()).spawn(move || deliver(&received))?;
    Ok(Threads { runtime, deliveries })
}

/// Hands results over for as long as there is a Python, many at a time if many are there.
fn deliver(received: &Receiver<Delivery>) {
    while let Ok(first) = received.recv() {
        let told = Python::try_attach(|py| {
            first.hand_over(py);
            received.try_iter().for_each(|delivery| delivery.hand_over(py));
        });
        if told.is_none() {
            return;
        }
    }
}
