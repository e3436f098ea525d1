//! A request and the answer to it, from the first byte to the last.
//!
//! By HTTP/1.1 a connection has one at a time, and a client that takes nothing of an answer is seen by the writes. By
//! HTTP/2 it has many, of which the client says how much it takes: each waits for it alone.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Instant, sleep};

use crate::places::Crowd;

/// How often a connection is looked at while it may be idle.
const LOOKS: u32 = 4;

/// The exchanges of one connection.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    /// How many are in flight.
    open: AtomicU64,
    /// How often one began or ended.
    events: AtomicU64,
    /// Whether the client has to take something before more can be written.
    is_writing: AtomicBool,
    /// Whether the connection is to end with the last of them.
    is_told_to_end: AtomicBool,
}

impl Exchanges {
    /// Says that the connection is to end with the last of them.
    pub(crate) fn end(&self) {
        self.is_told_to_end.store(true, Ordering::Relaxed);
    }

    /// Whether the connection is to end because that was said. Otherwise one of them ends it.
    pub(crate) fn is_told_to_end(&self) -> bool {
        self.is_told_to_end.load(Ordering::Relaxed)
    }

    /// Says whether the client has to take something before more can be written.
    pub(crate) fn write(&self, is_pending: bool) {
        self.is_writing.store(is_pending, Ordering::Relaxed);
    }

    /// Waits until none was in flight, and no rest of one on its way, for as long as a connection may do nothing, or up
    /// to a quarter longer; false if the listener stops before. A client that only keeps its connection alive, or never
    /// ends a request's head, holds a place.
    pub(crate) async fn cease(&self, crowd: &mut Crowd, patience: Duration) -> bool {
        let (mut before, mut since) = (self.events.load(Ordering::Relaxed), Instant::now());
        while let Some(patience) = crowd.patience(patience) {
            if since.elapsed() >= patience {
                return true;
            }
            tokio::select! {
                biased;
                () = sleep(patience / LOOKS) => {}
                () = crowd.changed() => {}
            }
            let now = self.events.load(Ordering::Relaxed);
            let is_busy = self.open.load(Ordering::Relaxed) > 0 || self.is_writing.load(Ordering::Relaxed);
            if is_busy || now != before {
                (before, since) = (now, Instant::now());
            }
        }
        false
    }
}

/// An exchange that is in flight.
#[derive(Debug)]
struct Exchange(Arc<Exchanges>);

pin_project! {
    /// The answer to a request, on its way. The connection keeps room for it, so that no request asks for any.
    pub(crate) struct Answering<F> {
        #[pin]
        answering: F,
        exchange: Option<Exchange>,
    }
}

/// The body of an answer. With its last byte the exchange ends.
#[derive(Debug)]
pub(crate) struct Answer<B> {
    body: B,
    _exchange: Option<Exchange>,
}

impl Exchange {
    fn begin(all: &Arc<Exchanges>) -> Self {
        all.open.fetch_add(1, Ordering::Relaxed);
        all.events.fetch_add(1, Ordering::Relaxed);
        Self(all.clone())
    }
}

impl<F> Answering<F> {
    /// What answers a request of a connection with these exchanges.
    pub(crate) fn of(answering: F, all: &Arc<Exchanges>) -> Self {
        Self { answering, exchange: Some(Exchange::begin(all)) }
    }
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Answer<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answered = ready!(this.answering.poll(cx));
        Turn::comes(true);
        let exchange = this.exchange.take();
        Poll::Ready(answered.map(|answer| answer.map(|body| Answer { body, _exchange: exchange })))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.events.fetch_add(1, Ordering::Relaxed);
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        Turn::comes(polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Runs the exchanges of a connection with HTTP/2. One of which the client takes nothing for `patience`, or for up to
/// twice as long, ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams {
    pub(crate) patience: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (turn, patience) = (Arc::<Turn>::default(), self.patience);
        tokio::spawn(TURN.scope(turn.clone(), async move {
            tokio::select! {
                () = stream => {}
                () = turn.is_missed(patience) => {}
            }
        }));
    }
}

tokio::task_local! {
    static TURN: Arc<Turn>;
}

/// Who has to do something for an answer to go on.
#[derive(Debug, Default)]
struct Turn {
    /// It is the client, who has to take what there is.
    is_clients: AtomicBool,
    /// How often this was found out.
    steps: AtomicU64,
}

impl Turn {
    /// Somebody's turn has come in the stream that this is called in, if it is called in one.
    fn comes(is_clients: bool) {
        // Outside of a stream nobody wants to know.
        let _ = TURN.try_with(|turn| {
            turn.is_clients.store(is_clients, Ordering::Relaxed);
            turn.steps.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Waits until the client let its turn pass.
    async fn is_missed(&self, patience: Duration) {
        loop {
            let before = self.steps.load(Ordering::Relaxed);
            sleep(patience).await;
            if self.is_clients.load(Ordering::Relaxed) && self.steps.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}
