//! One connection to an upstream, and who moves its bytes.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::task::coop::unconstrained;

use crate::alarm::Alarm;
use crate::body::{Progress, Upload};

/// The longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// A connection. It is closed when it is dropped.
pub(crate) struct Connection {
    sender: SendRequest<Upload>,
    /// What reads and writes, if that is whoever uses the connection: no other task has to be woken for a
    /// request. From the first upload on it is a task of its own: that goes on while the client takes nothing of
    /// the answer.
    driver: Option<Driver>,
    /// That task.
    task: Option<Task>,
    /// For whoever waits for the head of an answer.
    alarm: Alarm,
}

/// Moves a connection. It ends when this is dropped: an upstream that reads nothing would keep it for ever.
struct Task(JoinHandle<hyper::Result<()>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no answer.
pub(crate) enum NoAnswer {
    /// It did not begin in time.
    Late,
    /// The request never left this process; here it is.
    Unsent(Box<Request<Upload>>, hyper::Error),
    /// The exchange broke off.
    Broken(hyper::Error),
}

/// It is done when the connection has ended. Whoever uses the connection is told why.
type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

impl Connection {
    /// Speaks HTTP/1.1 over a stream.
    pub(crate) async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> io::Result<Self> {
        let made = Builder::new().max_buf_size(LONGEST_HEAD).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(io::Error::other)?;
        Ok(Self { sender, driver: Some(Box::pin(connection)), task: None, alarm: Alarm::default() })
    }

    /// Waits until a request can be sent; false if the connection has ended.
    pub(crate) async fn is_ready(&mut self) -> bool {
        let Self { sender, driver, .. } = self;
        poll_fn(|cx| {
            turn(driver, cx);
            sender.poll_ready(cx)
        })
        .await
        .is_ok()
    }

    /// Sends a request, and waits for the head of the answer; for at most `patience`, if there is such.
    pub(crate) async fn send(
        &mut self,
        request: Request<Upload>,
        patience: Option<Duration>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let Self { sender, driver, task, alarm } = self;
        if request.body().is_streamed()
            && let Some(driver) = driver.take()
        {
            *task = Some(Task(tokio::spawn(driver)));
        }
        match patience {
            Some(patience) => alarm.set(patience),
            None => alarm.forget(),
        }
        // Without the budget of tasks, which would have to wake this one.
        let mut sending = pin!(unconstrained(sender.try_send_request(request)));
        poll_fn(|cx| {
            let polled = if turn(driver, cx) {
                // The turn has done what there was to do, and wakes this task when there is more.
                sending.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            } else {
                sending.as_mut().poll(cx)
            };
            match polled {
                Poll::Ready(answered) => Poll::Ready(answered.map_err(NoAnswer::from)),
                Poll::Pending => alarm.poll(cx).map(|()| Err(NoAnswer::Late)),
            }
        })
        .await
    }

    /// Reads and writes what can be. Whoever waits for a part of an answer has to call it.
    pub(crate) fn turn(&mut self, cx: &mut Context<'_>) {
        turn(&mut self.driver, cx);
    }

    /// Closes the connection once what a client still uploads has gone, or nothing of that moved for `idle`.
    pub(crate) fn finish(self, upload: Arc<Progress>, idle: Duration) {
        if let Some(mut task) = self.task {
            tokio::spawn(async move {
                tokio::select! {
                    _ = &mut task.0 => {}
                    () = upload.stands_still(idle) => {}
                }
            });
        }
    }

    /// Whether it can serve no further request.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl From<TrySendError<Request<Upload>>> for NoAnswer {
    fn from(mut failure: TrySendError<Request<Upload>>) -> Self {
        match failure.take_message() {
            Some(unsent) => Self::Unsent(Box::new(unsent), failure.into_error()),
            None => Self::Broken(failure.into_error()),
        }
    }
}

/// Reads and writes what can be, and says whether it goes on doing so here.
fn turn(driver: &mut Option<Driver>, cx: &mut Context<'_>) -> bool {
    if driver.as_mut().is_some_and(|connection| connection.as_mut().poll(cx).is_ready()) {
        *driver = None;
    }
    driver.is_some()
}
