//! One connection to an upstream, and who moves its bytes.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::request::Parts as Head;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::task::coop::unconstrained;

use crate::alarm::Alarm;
use crate::bell::Bell;
use crate::body::{Progress, Upload};

/// The longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// A connection. It is closed when it is dropped.
pub(crate) struct Connection {
    sender: SendRequest<Upload>,
    driver: Driver,
    /// What reads and writes once there was an upload.
    task: Option<Task>,
    /// For whoever waits until a request can be sent, and then for the head of the answer.
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
    Unsent(Box<(Box<Head>, Upload)>, hyper::Error),
    /// The exchange broke off.
    Broken(hyper::Error),
}

/// It is done when the connection has ended. Whoever uses the connection is told why.
type Moving = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Lets whoever uses a connection read and write: no other task has to be woken for a request.
struct Driver {
    /// From the first upload on it is a task of its own: that goes on while the client takes nothing of the answer.
    moving: Option<Moving>,
    bell: Bell,
}

impl Driver {
    /// Polls a part of an exchange; before, what can be read and written is, if that may have changed.
    fn poll<T>(&mut self, cx: &mut Context<'_>, part: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let Self { moving, bell } = self;
        let moves = |cx: &mut Context<'_>| {
            if moving.as_mut().is_some_and(|moving| moving.as_mut().poll(cx).is_ready()) {
                *moving = None;
            }
        };
        bell.poll(cx, moves, part)
    }
}

impl Connection {
    /// Speaks HTTP/1.1 over a stream.
    pub(crate) async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> io::Result<Self> {
        let made = Builder::new().max_buf_size(LONGEST_HEAD).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(io::Error::other)?;
        let driver = Driver { moving: Some(Box::pin(connection)), bell: Bell::default() };
        Ok(Self { sender, driver, task: None, alarm: Alarm::default() })
    }

    /// Waits for at most `patience` until a request can be sent; false if none can.
    pub(crate) async fn is_ready(&mut self, patience: Duration) -> bool {
        let Self { sender, driver, alarm, .. } = self;
        let mut has_waited = false;
        poll_fn(|cx| {
            if let Poll::Ready(ready) = driver.poll(cx, |cx| sender.poll_ready(cx)) {
                return Poll::Ready(ready.is_ok());
            }
            if !std::mem::replace(&mut has_waited, true) {
                // By the timers of whoever waits: who made the connection may be held up.
                alarm.forget();
                alarm.set(patience);
            }
            alarm.poll(cx).map(|()| false)
        })
        .await
    }

    /// Sends a request, and waits for the head of the answer; for at most `patience`, if there is such.
    pub(crate) async fn send(
        &mut self,
        head: Box<Head>,
        body: Upload,
        patience: Option<Duration>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let Self { sender, driver, task, alarm } = self;
        if body.is_streamed()
            && let Some(moving) = driver.moving.take()
        {
            *task = Some(Task(tokio::spawn(moving)));
        }
        match patience {
            Some(patience) => alarm.set(patience),
            None => alarm.forget(),
        }
        // Without the budget of tasks, which would have to wake this one. Nothing is sent before the first poll, so
        // that all it wakes hears the bell.
        let (mut request, mut sending) = (Some((head, body)), pin!(None));
        let mut answered = |cx: &mut Context<'_>| {
            if let Some((head, body)) = request.take() {
                let request = Request::from_parts(*head, body);
                sending.set(Some(unconstrained(sender.try_send_request(request))));
            }
            sending.as_mut().as_pin_mut().map_or(Poll::Pending, |sending| sending.poll(cx))
        };
        poll_fn(|cx| match driver.poll(cx, &mut answered) {
            Poll::Ready(answered) => Poll::Ready(answered.map_err(NoAnswer::from)),
            Poll::Pending => alarm.poll(cx).map(|()| Err(NoAnswer::Late)),
        })
        .await
    }

    /// Polls what waits for a part of an answer; before, what can be read and written is.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        part: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.driver.poll(cx, part)
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
            Some(unsent) => {
                let (head, body) = unsent.into_parts();
                Self::Unsent(Box::new((Box::new(head), body)), failure.into_error())
            }
            None => Self::Broken(failure.into_error()),
        }
    }
}
