//! What became of a request: it may pass, with this key, or this is its answer.

use std::sync::atomic::{AtomicBool, Ordering};

use hokusai_client::{Denial, HourlyQuota, KnownKey, Served, Stopwatch, Verifier};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::bridge::Answer;
use crate::demand::Demand;

/// A request that may pass, and the key that it was admitted by.
#[pyclass(frozen, module = "hokusai._native")]
pub(crate) struct Admitted {
    key: KnownKey,
    quota: HourlyQuota,
    verifier: Verifier,
    demand: Demand,
    stopwatch: Stopwatch,
    is_reported: AtomicBool,
}

/// A request that may not pass, as it is answered.
#[pyclass(frozen, module = "hokusai._native")]
pub(crate) struct Denied(Denial);

/// What became of a request.
pub(crate) enum Admission {
    Admitted(Admitted),
    Denied(Denial),
}

impl Answer for Admission {
    fn show(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(match self {
            Self::Admitted(admitted) => Bound::new(py, admitted)?.into_any().unbind(),
            Self::Denied(denial) => Bound::new(py, Denied(denial))?.into_any().unbind(),
        })
    }
}

impl Admitted {
    pub(crate) fn new(key: KnownKey, quota: HourlyQuota, verifier: Verifier, demand: Demand) -> Self {
        let (stopwatch, is_reported) = (Stopwatch::start(), AtomicBool::new(false));
        Self { key, quota, verifier, demand, stopwatch, is_reported }
    }
}

#[pymethods]
impl Admitted {
    /// The key's id.
    #[getter]
    fn key_id(&self) -> String {
        self.key.id.to_string()
    }

    /// Whose key it is.
    #[getter]
    fn user_id(&self) -> &str {
        &self.key.rights.user_id
    }

    /// The service that the key is for.
    #[getter]
    fn service_id(&self) -> &str {
        &self.key.rights.service_id
    }

    /// What the key may be used for.
    #[getter]
    fn scopes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.key.rights.scopes.iter().map(|scope| scope.as_str()))
    }

    /// `production`, `test` or `development`.
    #[getter]
    fn environment(&self) -> &'static str {
        self.key.rights.environment.name()
    }

    /// Requests an hour.
    #[getter]
    fn rate_limit(&self) -> u32 {
        self.quota.limit
    }

    /// Requests that are left of this hour.
    #[getter]
    fn remaining(&self) -> u32 {
        self.quota.remaining
    }

    /// When the next hour begins, in seconds since 1970.
    #[getter]
    fn resets_at(&self) -> i64 {
        (self.quota.hour.0 + 1) * 3600
    }

    /// Whether it was reported how the request was answered.
    #[getter]
    fn is_reported(&self) -> bool {
        self.is_reported.load(Ordering::Relaxed)
    }

    /// Reports the request as answered with this status, the time since it was admitted included. Only the
    /// first report counts.
    fn report(&self, endpoint: &str, status: u16) {
        if self.is_reported.swap(true, Ordering::Relaxed) {
            return;
        }
        let service_id = self.demand.service_id().unwrap_or(&self.key.rights.service_id);
        let took = self.stopwatch.read();
        self.verifier.report(Served { key: self.key.id, service_id, endpoint, status, took });
    }

    fn __repr__(&self) -> String {
        format!("<Admitted key_id={} user_id={:?}>", self.key.id, self.key.rights.user_id)
    }
}

#[pymethods]
impl Denied {
    /// The HTTP status.
    #[getter]
    fn status(&self) -> u16 {
        self.0.status.as_u16()
    }

    /// What was wrong, for people.
    #[getter]
    fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What was wrong, for programs.
    #[getter]
    fn code(&self) -> Option<&'static str> {
        self.0.code
    }

    /// Seconds after which to try again.
    #[getter]
    fn retry_after(&self) -> Option<u64> {
        self.0.retry_after
    }

    /// The whole body, as JSON.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.body().to_string().as_bytes())
    }

    /// The headers, as ASGI sends them.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let length = self.0.body().to_string().len().to_string();
        let mut headers = vec![("content-type", "application/json".to_owned()), ("content-length", length)];
        if let Some(seconds) = self.0.retry_after {
            headers.push(("retry-after", seconds.to_string()));
        }
        if self.0.asks_for_a_key() {
            headers.push(("www-authenticate", "Bearer".to_owned()));
        }
        let bytes = |text: &str| PyBytes::new(py, text.as_bytes());
        headers.into_iter().map(|(name, value)| (bytes(name), bytes(&value))).collect()
    }

    fn __repr__(&self) -> String {
        format!("<Denied status={} code={:?}>", self.0.status.as_u16(), self.0.code)
    }
}
