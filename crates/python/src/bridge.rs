//! One call, two ways to have its result: a thread waits for it, or an event loop is told.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::{RecvTimeoutError, Sender, sync_channel};
use std::task::{Context, Poll};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{intern, wrap_pyfunction};
use tokio::task::AbortHandle;

use crate::fault::Fault;
use crate::runtime::{self, Post};

/// How often a waiting thread looks whether somebody pressed Ctrl-C.
const LOOK: Duration = Duration::from_millis(20);

/// What becomes a Python object once somebody holds Python.
pub(crate) trait Answer: Send + 'static {
    fn show(self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

impl Answer for String {
    fn show(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.into_pyobject(py)?.into_any().unbind())
    }
}

impl Answer for () {
    fn show(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }
}

/// The call's result, for the thread that waits here. Others run meanwhile, and Ctrl-C ends the call.
pub(crate) fn wait<T: Answer>(
    py: Python<'_>,
    call: impl Future<Output = Result<T, Fault>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    let threads = runtime::threads(py)?;
    let (done, mut result) = sync_channel(1);
    let task = threads.handle().spawn(async move {
        // Whoever waited may have been interrupted.
        let _ = done.send(unbroken(call).await);
    });
    loop {
        let heard;
        (heard, result) = py.detach(move || (result.recv_timeout(LOOK), result));
        match heard {
            Ok(result) => return result?.show(py),
            Err(RecvTimeoutError::Timeout) => py.check_signals().inspect_err(|_| task.abort())?,
            Err(RecvTimeoutError::Disconnected) => return Err(Fault::Broken.into()),
        }
    }
}

/// The call's result as a future of the event loop that runs here. Cancelling that ends the call.
pub(crate) fn promise<'py, T: Answer>(
    py: Python<'py>,
    call: impl Future<Output = Result<T, Fault>> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>> {
    let threads = runtime::threads(py)?;
    let event_loop = py.import(intern!(py, "asyncio"))?.call_method0(intern!(py, "get_running_loop"))?;
    let future = event_loop.call_method0(intern!(py, "create_future"))?;
    let (event_loop, told) = (event_loop.unbind(), future.clone().unbind());
    let deliveries: Sender<Post> = threads.deliveries().clone();
    let task = threads.handle().spawn(async move {
        let result = unbroken(call).await;
        let show: Show = Box::new(move |py| result.map_err(PyErr::from)?.show(py));
        // Without a Python there is nobody to tell.
        let _ = deliveries.send(Post::Deliver(Delivery { event_loop, future: told, show }));
    });
    let end = End(task.abort_handle());
    future.call_method1(intern!(py, "add_done_callback"), (end,))?;
    Ok(future)
}

/// Makes the result a Python object.
type Show = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// A result on its way to its event loop.
pub(crate) struct Delivery {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
    show: Show,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Delivery")
    }
}

impl Delivery {
    pub(crate) fn hand_over(self, py: Python<'_>) {
        let settled = wrap_pyfunction!(settle, py).and_then(|settle| {
            let (result, error) = match (self.show)(py) {
                Ok(result) => (result, py.None()),
                Err(error) => (py.None(), error.into_value(py).into_any()),
            };
            let told = (settle, self.future, result, error);
            self.event_loop.call_method1(py, intern!(py, "call_soon_threadsafe"), told)
        });
        // A loop that is closed can't be told anything, and nobody waits in it.
        drop(settled);
    }
}

/// Runs in the event loop's own thread, where the future may have been cancelled meanwhile.
#[pyfunction]
fn settle(future: &Bound<'_, PyAny>, result: Bound<'_, PyAny>, error: Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    if future.call_method0(intern!(py, "done"))?.is_truthy()? {
        return Ok(());
    }
    if error.is_none() {
        future.call_method1(intern!(py, "set_result"), (result,))?;
    } else {
        future.call_method1(intern!(py, "set_exception"), (error,))?;
    }
    Ok(())
}

/// Ends the call of a future that is done; that of one which has its result is over.
#[pyclass(frozen)]
struct End(AbortHandle);

#[pymethods]
impl End {
    #[pyo3(signature = (*_futures))]
    fn __call__(&self, _futures: &Bound<'_, PyTuple>) {
        self.0.abort();
    }
}

/// The call, with a panic as a fault: none ever reaches Python.
async fn unbroken<T>(call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let mut call = Box::pin(call);
    poll_fn(move |cx| poll_unbroken(call.as_mut(), cx)).await
}

/// One turn of a call, with a panic as a fault.
pub(crate) fn poll_unbroken<T>(
    call: Pin<&mut impl Future<Output = Result<T, Fault>>>,
    cx: &mut Context<'_>,
) -> Poll<Result<T, Fault>> {
    catch_unwind(AssertUnwindSafe(|| call.poll(cx))).unwrap_or(Poll::Ready(Err(Fault::Broken)))
}
