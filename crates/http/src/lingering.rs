//! Closing a connection whose client has not seen the end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::exchange::Exchanges;

/// How long a client is waited for that sends nothing.
const SILENCE: Duration = Duration::from_secs(2);
/// How long a client is waited for at the most.
const LONGEST: Duration = Duration::from_secs(30);
/// The most bytes that are dropped at a time.
const AT_ONCE: usize = 8 * 1024;
/// The most that are dropped altogether.
const MOST: usize = 64 * 1024 * 1024;

/// A client's stream, which says its end, and then drops what the client still sends, for as long as that goes on,
/// within bounds. If it were closed with something unread, the system would break the connection off, and the answer
/// might be lost with it.
#[derive(Debug)]
pub(crate) struct Lingering<S> {
    stream: S,
    /// They want to know whether the client takes what is written.
    exchanges: Arc<Exchanges>,
    /// Whether clients are waited for that have sent nothing more yet, also where no exchange ended the connection.
    is_patient: bool,
    /// From when on the end was said.
    end: Option<End>,
}

#[derive(Debug)]
struct End {
    at: Instant,
    /// How many bytes may still be dropped.
    left: usize,
    /// How long the client may still be silent, if it is waited for.
    pause: Option<Pin<Box<Sleep>>>,
}

impl End {
    /// Waits for the client from now on.
    fn wait(&mut self) {
        let until = (Instant::now() + SILENCE).min(self.at + LONGEST);
        match &mut self.pause {
            Some(pause) => pause.as_mut().reset(until),
            None => self.pause = Some(Box::pin(sleep_until(until))),
        }
    }
}

impl<S> Lingering<S> {
    pub(crate) fn new(stream: S, exchanges: Arc<Exchanges>) -> Self {
        Self { stream, exchanges, is_patient: false, end: None }
    }

    /// Waits at the end also for a client that has sent nothing more yet. By HTTP/2 it says now and then what it has
    /// taken.
    pub(crate) fn be_patient(&mut self) {
        self.is_patient = true;
    }

    /// Tells of what came of writing.
    fn written<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.exchanges.write(polled.is_pending());
        polled
    }
}

/// Drops what a client still sends.
fn poll_drop(stream: &mut (impl AsyncRead + Unpin), end: &mut End, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        let mut bytes = [0; AT_ONCE];
        let mut dropped = ReadBuf::new(&mut bytes);
        match Pin::new(&mut *stream).poll_read(cx, &mut dropped) {
            Poll::Ready(Ok(())) if (1..end.left).contains(&dropped.filled().len()) => {
                end.left -= dropped.filled().len();
                end.wait();
            }
            Poll::Ready(_) => return Poll::Ready(()),
            Poll::Pending => break,
        }
    }
    end.pause.as_mut().map_or(Poll::Ready(()), |pause| pause.as_mut().poll(cx))
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, piece: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, piece);
        self.written(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, end, is_patient, exchanges } = &mut *self;
        if end.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        let end = end.get_or_insert_with(|| {
            let mut end = End { at: Instant::now(), left: MOST, pause: None };
            // An exchange that ends a connection may have left something of a request unread, which is still to come.
            if *is_patient || !exchanges.is_told_to_end() {
                end.wait();
            }
            end
        });
        poll_drop(stream, end, cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::sleep;

    use super::*;

    /// How long it takes to close a connection whose client does this.
    async fn closing(is_patient: bool, client: impl AsyncFnOnce(DuplexStream)) -> Duration {
        let (here, there) = duplex(AT_ONCE);
        let exchanges = Arc::<Exchanges>::default();
        exchanges.end();
        let mut stream = Lingering::new(here, exchanges);
        if is_patient {
            stream.be_patient();
        }
        let began = Instant::now();
        let close = async move {
            // What the client does first is there before.
            sleep(SILENCE).await;
            stream.shutdown().await.unwrap();
            began.elapsed() - SILENCE
        };
        tokio::join!(close, client(there)).0
    }

    /// It reads the end, and closes its connection only then.
    async fn reads_on(mut client: DuplexStream) {
        client.read_to_end(&mut Vec::new()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_more_is_waited_for_by_who_is_patient() {
        let forgets = async |client| std::mem::forget(client);
        assert_eq!(closing(false, forgets).await, Duration::ZERO);
        assert_eq!(closing(true, forgets).await, SILENCE);
        assert_eq!(closing(true, reads_on).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_waited_for_whose_exchange_ended_the_connection() {
        let (here, _client) = duplex(AT_ONCE);
        let began = Instant::now();
        Lingering::new(here, Arc::default()).shutdown().await.unwrap();
        assert_eq!(began.elapsed(), SILENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_client_still_sends_is_dropped() {
        let sends_on = async |mut client: DuplexStream| {
            for _ in 0..5 {
                client.write_all(&[0; 3 * AT_ONCE]).await.unwrap();
                sleep(SILENCE / 2).await;
            }
            reads_on(client).await;
        };
        for is_patient in [false, true] {
            let closed = closing(is_patient, sends_on).await;
            assert!((SILENCE * 2..SILENCE * 3).contains(&closed), "{closed:?}");
        }
        let pauses = async |mut client: DuplexStream| {
            client.write_all(&[0; 3 * AT_ONCE]).await.unwrap();
            sleep(SILENCE * 5).await;
            assert!(client.write_all(&[0; 3 * AT_ONCE]).await.is_err());
        };
        assert_eq!(closing(false, pauses).await, SILENCE);
        let never_ends = async |mut client: DuplexStream| {
            let (piece, mut sent) = (vec![0; AT_ONCE], 0);
            while client.write_all(&piece).await.is_ok() {
                sent += AT_ONCE;
            }
            assert!((MOST - AT_ONCE..=MOST).contains(&sent), "{sent}");
        };
        assert_eq!(closing(false, never_ends).await, Duration::ZERO);
        let dribbles = async |mut client: DuplexStream| {
            while client.write_all(&[0]).await.is_ok() {
                sleep(SILENCE / 2).await;
            }
        };
        assert_eq!(closing(false, dribbles).await, LONGEST);
    }
}
