//! A request and the answer to it, from the first byte to the last.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::time::sleep;

/// The exchanges of one connection.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    /// How many are in flight.
    open: AtomicU64,
    /// How often one began or ended.
    events: AtomicU64,
}

impl Exchanges {
    /// Waits until none was in flight for `pause`. A client that only keeps its connection alive holds a place.
    pub(crate) async fn cease(&self, pause: Duration) {
        loop {
            let before = self.events.load(Ordering::Relaxed);
            sleep(pause).await;
            if self.open.load(Ordering::Relaxed) == 0 && self.events.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

/// An exchange that is in flight.
#[derive(Debug)]
pub(crate) struct Exchange(Arc<Exchanges>);

/// The body of an answer. With its last byte the exchange ends.
#[derive(Debug)]
pub(crate) struct Answer<B> {
    pub(crate) body: B,
    pub(crate) _exchange: Exchange,
}

impl Exchange {
    pub(crate) fn begin(all: &Arc<Exchanges>) -> Self {
        all.open.fetch_add(1, Ordering::Relaxed);
        all.events.fetch_add(1, Ordering::Relaxed);
        Self(all.clone())
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
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
