//! A service or a gateway, as Python asks it.

use std::sync::Arc;
use std::time::Duration;

use hokusai_client::{Client, Secret};
use pyo3::prelude::*;
use tokio::sync::Semaphore;

use crate::asks::{self, Ask};
use crate::bridge;
use crate::fault::Fault;
use crate::forks::OfProcess;

/// Calls at once, each of which may need a connection; the others wait their turn.
const AT_ONCE: usize = 64;

/// Where calls go, and with which credential.
#[pyclass(frozen, module = "hokusai._native")]
pub(crate) struct Remote {
    url: String,
    credential: Option<Secret>,
    timeout: Duration,
    allow_plain_http: bool,
    line: OfProcess<Line>,
}

/// What a process asks over.
#[derive(Clone)]
struct Line {
    client: Client,
    turns: Arc<Semaphore>,
}

#[pymethods]
impl Remote {
    /// A mistake in these is told here, before anything is asked.
    #[new]
    #[pyo3(signature = (url, credential, timeout, allow_plain_http))]
    fn new(
        py: Python<'_>,
        url: String,
        credential: Option<String>,
        timeout: f64,
        allow_plain_http: bool,
    ) -> PyResult<Self> {
        let line = OfProcess::new();
        let timeout = Duration::try_from_secs_f64(timeout).ok().filter(|timeout| !timeout.is_zero());
        let timeout =
            timeout.ok_or_else(|| Fault::Field("timeout", "must be a number of seconds above 0".into()))?;
        let remote = Self { url, credential: credential.map(Secret::new), timeout, allow_plain_http, line };
        remote.line.get(py, || remote.connect())?;
        Ok(remote)
    }

    /// Asks, and waits for the answer.
    fn ask(&self, py: Python<'_>, what: &str, fields: &str) -> PyResult<Py<PyAny>> {
        bridge::wait(py, self.call(py, what, fields)?)
    }

    /// Asks; the answer is a future of the event loop that runs here.
    fn ask_async<'py>(&self, py: Python<'py>, what: &str, fields: &str) -> PyResult<Bound<'py, PyAny>> {
        bridge::promise(py, self.call(py, what, fields)?)
    }
}

impl Remote {
    fn call(
        &self,
        py: Python<'_>,
        what: &str,
        fields: &str,
    ) -> Result<impl Future<Output = Result<String, Fault>> + Send + 'static, Fault> {
        let ask = Ask::read(what, fields)?;
        let line = self.line.get(py, || self.connect())?;
        Ok(async move {
            // It is never closed.
            let _turn = line.turns.acquire().await.map_err(|_| Fault::Broken)?;
            asks::answer(&line.client, ask).await
        })
    }

    fn connect(&self) -> Result<Line, Fault> {
        let builder = Client::builder(&self.url)?.timeout(self.timeout).user_agent(USER_AGENT);
        let builder = match &self.credential {
            Some(credential) => builder.token(credential.clone()),
            None => builder,
        };
        let builder = if self.allow_plain_http { builder.allow_plain_http() } else { builder };
        Ok(Line { client: builder.build()?, turns: Arc::new(Semaphore::new(AT_ONCE)) })
    }
}

const USER_AGENT: &str = concat!("hokusai-python/", env!("CARGO_PKG_VERSION"));
