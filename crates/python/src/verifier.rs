//! The verifier, as Python asks it: whether a request may pass, at once where memory knows.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hokusai_client::{
    Attempt, ClientAddress, Denial, JournalError, Secret, Verifier as Running, VerifierBuilder, VerifierError,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::admission::{Admission, Admitted};
use crate::bridge::{self, Answer as _};
use crate::demand::Demand;
use crate::fault::Fault;
use crate::forks::OfProcess;
use crate::headers::key_in;
use crate::runtime;

/// Processes that share a journal's directory, at the most; each has one of its own in it.
const MOST_PROCESSES: u32 = 1024;

/// A verifier: one for each process that asks, started at its first question.
#[pyclass(frozen, module = "hokusai._native")]
pub(crate) struct Verifier {
    builder: VerifierBuilder,
    journal: Option<PathBuf>,
    running: OfProcess<Running>,
    is_stopped: AtomicBool,
}

#[pymethods]
impl Verifier {
    #[new]
    #[pyo3(signature = (nodes, token, journal, validation_ttl, cached_keys, lookups_per_second, report_usage, allow_plain_http))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn new(
        nodes: Vec<String>,
        token: String,
        journal: Option<PathBuf>,
        validation_ttl: f64,
        cached_keys: usize,
        lookups_per_second: u32,
        report_usage: bool,
        allow_plain_http: bool,
    ) -> PyResult<Self> {
        let ttl = Duration::try_from_secs_f64(validation_ttl)
            .map_err(|_| Fault::Field("validation_ttl", "must be a number of seconds".into()))?;
        let mut builder = Running::builder(nodes, Secret::new(token))
            .validation_ttl(ttl)
            .cached_keys(cached_keys)
            .lookups_per_second(lookups_per_second);
        if !report_usage {
            builder = builder.without_reports();
        }
        if allow_plain_http {
            builder = builder.allow_plain_http();
        }
        builder.check().map_err(Fault::Verifier)?;
        Ok(Self { builder, journal, running: OfProcess::new(), is_stopped: AtomicBool::new(false) })
    }

    /// What becomes of a request with these ASGI headers from this address: `Admitted` or `Denied`, at once
    /// where memory knows; else a future of the event loop that runs here.
    fn check(
        &self,
        py: Python<'_>,
        headers: &Bound<'_, PyAny>,
        address: Option<&str>,
        demand: &Demand,
    ) -> PyResult<Py<PyAny>> {
        let Some(key) = (match key_in(headers)? {
            Ok(key) => key,
            Err(_) => return Admission::Denied(Denial::ambiguous()).show(py),
        }) else {
            return Admission::Denied(Denial::no_key()).show(py);
        };
        let mut judging = Box::pin(judge(self.running(py)?, key, read(address), demand.clone()));
        match bridge::poll_unbroken(judging.as_mut(), &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(admission) => admission?.show(py),
            Poll::Pending => Ok(bridge::promise(py, judging)?.unbind()),
        }
    }

    /// As `check`, for one key, and waiting where that is needed.
    fn check_key(
        &self,
        py: Python<'_>,
        key: &str,
        address: Option<&str>,
        demand: &Demand,
    ) -> PyResult<Py<PyAny>> {
        let key = Secret::new(key.trim().to_owned());
        bridge::wait(py, judge(self.running(py)?, key, read(address), demand.clone()))
    }

    /// Gives back what is unused and sends what was reported, for at most so many seconds. Afterwards nothing
    /// may be asked.
    fn stop(&self, py: Python<'_>, patience: f64) -> PyResult<Py<PyAny>> {
        bridge::wait(py, self.stopping(py, patience))
    }

    /// As `stop`; a future of the event loop that runs here.
    fn stop_async<'py>(&self, py: Python<'py>, patience: f64) -> PyResult<Bound<'py, PyAny>> {
        bridge::promise(py, self.stopping(py, patience))
    }

    /// How it stands, as text for Prometheus.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let text = self.running(py)?.metrics().to_prometheus();
        Ok(PyBytes::new(py, text.as_bytes()))
    }
}

impl Verifier {
    fn running(&self, py: Python<'_>) -> Result<Running, Fault> {
        if self.is_stopped.load(Ordering::Relaxed) {
            return Err(Fault::Stopped);
        }
        self.running.get(py, || {
            let threads = runtime::threads(py)?;
            let _in_runtime = threads.handle().enter();
            self.start().map_err(Fault::Verifier)
        })
    }

    /// Starts on the first directory that no other process uses.
    fn start(&self) -> Result<Running, VerifierError> {
        let Some(journal) = &self.journal else { return self.builder.clone().start() };
        let mut number = 0;
        loop {
            let directory = journal.join(number.to_string());
            match self.builder.clone().journal(directory).start() {
                Err(VerifierError::Journal(JournalError::InUse { .. })) if number < MOST_PROCESSES => {
                    number += 1;
                }
                started => return started,
            }
        }
    }

    fn stopping(
        &self,
        py: Python<'_>,
        patience: f64,
    ) -> impl Future<Output = Result<(), Fault>> + Send + 'static {
        self.is_stopped.store(true, Ordering::Relaxed);
        let running = self.running.take(py);
        let patience = Duration::try_from_secs_f64(patience).unwrap_or_default();
        async move {
            if let Some(running) = running {
                running.stop(patience).await;
            }
            Ok(())
        }
    }
}

/// An address, if it is one.
fn read(address: Option<&str>) -> Option<IpAddr> {
    address.and_then(|text| text.parse().ok())
}

/// Judges a request, and counts it if it may pass.
async fn judge(
    verifier: Running,
    key: Secret,
    address: Option<IpAddr>,
    demand: Demand,
) -> Result<Admission, Fault> {
    let attempt = Attempt {
        service_id: demand.service_id(),
        demand: demand.scope(),
        client: address.map_or(ClientAddress::Told("unknown"), ClientAddress::Known),
    };
    let decision = verifier.admit(key.expose(), &attempt).await;
    Ok(match Denial::unless_admitted(decision, address, || demand.scopes()) {
        Ok((key, quota)) => Admission::Admitted(Admitted::new(key, quota, verifier, demand)),
        Err(denial) => Admission::Denied(denial),
    })
}
