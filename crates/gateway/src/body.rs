//! Bodies on their way: streamed, counted, and never waited for without end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::sleep;

use crate::alarm::Alarm;
use crate::pool::Lease;
use crate::routes::Limits;

/// A body of at most so many bytes goes on as a whole if it is there, which spares a task and timers.
const SMALL: u64 = 64 * 1024;

/// Why the body of a request does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UploadFault {
    #[error("the request's body is larger than this route takes")]
    TooLarge,
    #[error("the client sent nothing of the request's body for too long")]
    Stalled,
    #[error("the client broke off in the request's body")]
    BrokenOff,
}

/// How an upload goes, as seen by whoever waits for the answer to it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// How many pieces went on.
    pieces: AtomicU64,
    /// Whether the client is waited for.
    waits_for_client: AtomicBool,
    /// Whether nothing more of it is to come.
    is_over: AtomicBool,
    /// 0: all is well; else what [`UploadFault`] it is.
    fault: AtomicU8,
}

/// The body of a request, on its way upstream.
pub(crate) enum Upload {
    /// One that was read before it goes on; or none.
    Whole(Option<Bytes>),
    /// One that comes from the client.
    Streamed(Box<Uploading>),
}

pub(crate) struct Uploading {
    /// What was read of the body to see whether it is there as a whole.
    first: Option<Result<Frame<Bytes>, hyper::Error>>,
    body: Incoming,
    idle: Idle,
    /// How many more bytes may come.
    left: Option<u64>,
    progress: Arc<Progress>,
}

/// Wakes whoever has waited for too long.
struct Idle {
    longest: Duration,
    alarm: Alarm,
}

impl Progress {
    pub(crate) fn fault(&self) -> Option<UploadFault> {
        match self.fault.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(UploadFault::TooLarge),
            2 => Some(UploadFault::Stalled),
            _ => Some(UploadFault::BrokenOff),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn fail(&self, fault: UploadFault) -> UploadFault {
        let number = match fault {
            UploadFault::TooLarge => 1,
            UploadFault::Stalled => 2,
            UploadFault::BrokenOff => 3,
        };
        self.fault.store(number, Ordering::Relaxed);
        fault
    }

    /// Waits until nothing of the upload moved for `patience`, and it was not the client that was waited for.
    pub(crate) async fn stands_still(&self, patience: Duration) {
        loop {
            let before = self.pieces.load(Ordering::Relaxed);
            sleep(patience).await;
            let moved = self.pieces.load(Ordering::Relaxed) != before;
            if !moved && !self.waits_for_client.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

impl Upload {
    /// The body of a request as it comes, within bounds; and how it goes, if there is one.
    pub(crate) fn of(mut body: Incoming, limits: Limits) -> (Self, Option<Arc<Progress>>) {
        if body.is_end_stream() {
            return (Self::Whole(None), None);
        }
        let mut first = None;
        if body.size_hint().exact().is_some_and(|length| length <= SMALL) {
            // Mostly it came with its head. If it did not, whoever reads on is woken.
            if let Poll::Ready(frame) =
                Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()))
            {
                first = frame;
            }
        }
        if body.is_end_stream()
            && let Some(Ok(frame)) = first
        {
            return (Self::Whole(frame.into_data().ok()), None);
        }
        let progress = Arc::<Progress>::default();
        let idle = Idle::of(limits.idle);
        let uploading = Uploading { first, body, idle, left: limits.body, progress: progress.clone() };
        (Self::Streamed(Box::new(uploading)), Some(progress))
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }

    /// Whether it comes from the client while it goes on.
    pub(crate) fn is_streamed(&self) -> bool {
        matches!(self, Self::Streamed(_))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadFault>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(uploading) => uploading.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Streamed(uploading) => uploading.first.is_none() && uploading.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Streamed(uploading) => uploading.size_hint(),
        }
    }
}

impl Uploading {
    fn size_hint(&self) -> SizeHint {
        let read = self.first.as_ref().and_then(|first| first.as_ref().ok()?.data_ref());
        let (read, hint) = (read.map_or(0, |data| data.len() as u64), self.body.size_hint());
        // Only a body that says its length is read from before.
        if read == 0 { hint } else { hint.exact().map_or(hint, |rest| SizeHint::with_exact(read + rest)) }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFault>>> {
        let polled = match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.body).poll_frame(cx),
        };
        let progress = &self.progress;
        progress.waits_for_client.store(polled.is_pending(), Ordering::Relaxed);
        let frame = match polled {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                ready!(self.idle.poll(cx));
                return Poll::Ready(Some(Err(progress.fail(UploadFault::Stalled))));
            }
        };
        self.idle.alarm.forget();
        progress.pieces.fetch_add(1, Ordering::Relaxed);
        let frame = match frame {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Poll::Ready(Some(Err(progress.fail(UploadFault::BrokenOff)))),
        };
        if let (Some(left), Some(data)) = (self.left.as_mut(), frame.data_ref()) {
            match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => return Poll::Ready(Some(Err(progress.fail(UploadFault::TooLarge)))),
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        self.progress.is_over.store(true, Ordering::Relaxed);
    }
}

impl Idle {
    fn of(longest: Duration) -> Self {
        Self { longest, alarm: Alarm::default() }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.alarm.is_set() {
            self.alarm.set(self.longest);
        }
        self.alarm.poll(cx)
    }
}

/// Why the body of an answer breaks off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownloadFault {
    #[error("the upstream sent nothing of the answer's body for too long")]
    Stalled,
    #[error("the upstream broke off in the answer's body")]
    BrokenOff(#[source] hyper::Error),
}

/// The body of an answer, on its way to the client.
pub(crate) struct AnswerBody(Kind);

enum Kind {
    /// One of our own.
    Whole(Option<Bytes>),
    /// One that comes from upstream.
    Streamed {
        body: Incoming,
        idle: Idle,
        lease: Lease,
        /// How it broke off. That is said once what came before has gone to the client.
        fault: Option<hyper::Error>,
    },
}

impl AnswerBody {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes: Bytes = bytes.into();
        Self(Kind::Whole((!bytes.is_empty()).then_some(bytes)))
    }

    /// A body whose upstream may be silent for `idle`. Its connection is given back at the end.
    pub(crate) fn streamed(body: Incoming, idle: Duration, mut lease: Lease) -> Self {
        if body.is_end_stream() {
            lease.give_back();
            return Self(Kind::Whole(None));
        }
        Self(Kind::Streamed { body, idle: Idle::of(idle), lease, fault: None })
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = DownloadFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, DownloadFault>>> {
        match &mut self.0 {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Streamed { body, idle, lease, fault } => {
                if let Some(error) = fault.take() {
                    return Poll::Ready(Some(Err(DownloadFault::BrokenOff(error))));
                }
                match lease.poll(cx, |cx| Pin::new(&mut *body).poll_frame(cx)) {
                    Poll::Pending => {
                        ready!(idle.poll(cx));
                        Poll::Ready(Some(Err(DownloadFault::Stalled)))
                    }
                    Poll::Ready(None) => {
                        lease.give_back();
                        Poll::Ready(None)
                    }
                    Poll::Ready(Some(Ok(frame))) => {
                        idle.alarm.forget();
                        if body.is_end_stream() {
                            lease.give_back();
                        }
                        Poll::Ready(Some(Ok(frame)))
                    }
                    Poll::Ready(Some(Err(error))) => {
                        *fault = Some(error);
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Streamed { body, fault, .. } => fault.is_none() && body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Streamed { body, .. } => body.size_hint(),
        }
    }
}
