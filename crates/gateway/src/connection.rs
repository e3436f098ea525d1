//! One connection to an upstream, and who moves its bytes.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop::unconstrained;

use crate::alarm::Alarm;
use crate::body::Upload;

/// The longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// A connection. It is closed when it is dropped; what a client still uploads is sent to its end first.
pub(crate) struct Connection {
    sender: SendRequest<Upload>,
    driver: Driver,
    /// For whoever waits for the head of an answer.
    alarm: Alarm,
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

/// What reads and writes.
enum Driver {
    /// The task that serves the client: no other has to be woken for a request.
    Here(Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>),
    /// A task of its own, since there was an upload on this connection: that goes on while the client takes
    /// nothing of the answer.
    InTask,
    /// None: the connection has ended.
    Ended,
}

impl Connection {
    /// Speaks HTTP/1.1 over a stream.
    pub(crate) async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> io::Result<Self> {
        let made = Builder::new().max_buf_size(LONGEST_HEAD).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(io::Error::other)?;
        Ok(Self { sender, driver: Driver::Here(Box::pin(connection)), alarm: Alarm::default() })
    }

    /// Waits until a request can be sent; false if the connection has ended.
    pub(crate) async fn is_ready(&mut self) -> bool {
        let Self { sender, driver, .. } = self;
        poll_fn(|cx| {
            driver.turn(cx);
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
        let Self { sender, driver, alarm } = self;
        if request.body().is_streamed() {
            driver.move_to_task();
        }
        match patience {
            Some(patience) => alarm.set(patience),
            None => alarm.forget(),
        }
        // Without the budget of tasks, which would have to wake this one.
        let mut sending = pin!(unconstrained(sender.try_send_request(request)));
        poll_fn(|cx| {
            let polled = if driver.turn(cx) {
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
        self.driver.turn(cx);
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

impl Driver {
    /// Reads and writes what can be, and says whether it goes on doing so here.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        let Self::Here(connection) = self else { return false };
        // Whoever uses it is told why it has ended.
        let is_open = connection.as_mut().poll(cx).is_pending();
        if !is_open {
            *self = Self::Ended;
        }
        is_open
    }

    fn move_to_task(&mut self) {
        match std::mem::replace(self, Self::Ended) {
            Self::Here(connection) => {
                tokio::spawn(connection);
                *self = Self::InTask;
            }
            other => *self = other,
        }
    }
}
