//! Writing small pieces as one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::outbox;

/// The most bytes that are copied into one piece. A connection keeps as much room.
const SMALL: usize = 4096;

/// A TCP stream. The system takes one piece faster than a list of pieces, so small ones are copied together: mostly
/// these are an answer's head and its body. On a worker's thread they are sent once its other connections have had their
/// turn, too.
#[derive(Debug)]
pub struct Gathered(Arc<Mutex<Socket>>);

/// A stream, and what it has to send.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    waiting: Vec<u8>,
    /// Whether it is in line for being sent.
    is_in_line: bool,
    /// Why it could not be sent.
    error: Option<io::Error>,
    /// Who wrote last, and is to see to what could not be sent.
    writer: Option<Waker>,
}

impl Gathered {
    /// Writes to a stream.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        let socket = Socket { stream, waiting: Vec::new(), is_in_line: false, error: None, writer: None };
        Self(Arc::new(Mutex::new(socket)))
    }
}

/// Nobody holds it but who reads or writes just now: one task, and its worker.
pub(crate) fn lock(socket: &Mutex<Socket>) -> MutexGuard<'_, Socket> {
    socket.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Socket {
    /// Its turn in line has come. What the system doesn't take at once is left to who wrote it.
    pub(crate) fn send(&mut self) {
        self.is_in_line = false;
        if self.waiting.is_empty() {
            return;
        }
        match self.stream.try_write(&self.waiting) {
            Ok(sent) => drop(self.waiting.drain(..sent)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                self.waiting.clear();
                self.error = Some(error);
            }
        }
        if (!self.waiting.is_empty() || self.error.is_some())
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
    }

    /// Sends what waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.error.take() {
            return Poll::Ready(Err(error));
        }
        while !self.waiting.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Gathered {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, piece: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(piece)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = &mut *lock(&self.0);
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if !socket.is_in_line || socket.waiting.len() + length > SMALL {
            // What came before goes before.
            ready!(socket.poll_send(cx))?;
        }
        if length > SMALL {
            return Pin::new(&mut socket.stream).poll_write_vectored(cx, pieces);
        }
        pieces.iter().for_each(|piece| socket.waiting.extend_from_slice(piece));
        socket.is_in_line = socket.is_in_line || outbox::add(&self.0);
        if socket.is_in_line {
            match &mut socket.writer {
                Some(writer) => writer.clone_from(cx.waker()),
                None => socket.writer = Some(cx.waker().clone()),
            }
            return Poll::Ready(Ok(length));
        }
        let sent = Pin::new(&mut socket.stream).poll_write(cx, &socket.waiting);
        socket.waiting.clear();
        sent
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What is in line will be sent, and needs nobody to wait for it.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut *lock(&self.0);
        if socket.is_in_line { Poll::Ready(Ok(())) } else { socket.poll_send(cx) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut *lock(&self.0);
        ready!(socket.poll_send(cx))?;
        Pin::new(&mut socket.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn pair() -> (Gathered, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        near.writable().await.unwrap();
        (Gathered::new(near), far)
    }

    /// Writes pieces of every size, and reads them.
    async fn come_in_order() {
        let (mut writing, mut reading) = pair().await;
        for sizes in [&[0][..], &[5], &[300, 100], &[SMALL - 1, 1], &[SMALL, 1], &[1, 0, 5000, 2]] {
            let pieces: Vec<Vec<u8>> = (1..).zip(sizes).map(|(fill, size)| vec![fill; *size]).collect();
            let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let written = writing.write_vectored(&slices).await.unwrap();
            let mut came = vec![0; written];
            reading.read_exact(&mut came).await.unwrap();
            assert_eq!(came, pieces.concat(), "{sizes:?}");
        }
        writing.write_all(b"the end").await.unwrap();
        writing.shutdown().await.unwrap();
        let mut rest = String::new();
        reading.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "the end");
    }

    #[tokio::test]
    async fn pieces_of_every_size_arrive_in_their_order() {
        come_in_order().await;
    }

    #[tokio::test]
    async fn they_do_so_on_a_workers_thread() {
        tokio::spawn(outbox::keep_sending());
        tokio::task::yield_now().await;
        come_in_order().await;
    }

    #[tokio::test]
    async fn what_is_written_in_one_turn_is_sent_after_it_as_one() {
        tokio::spawn(outbox::keep_sending());
        tokio::task::yield_now().await;
        let mut pairs = [pair().await, pair().await];
        for (near, _) in &mut pairs {
            for piece in ["sm", "all"] {
                near.write_all(piece.as_bytes()).await.unwrap();
                near.flush().await.unwrap();
            }
            assert_eq!(lock(&near.0).waiting, b"small");
        }
        tokio::task::yield_now().await;
        for (near, mut far) in pairs {
            assert!(lock(&near.0).waiting.is_empty());
            assert_eq!(far.read(&mut [0; 10]).await.unwrap(), 5);
        }
    }

    #[tokio::test]
    async fn what_the_other_end_does_not_take_is_waited_for() {
        tokio::spawn(outbox::keep_sending());
        tokio::task::yield_now().await;
        let (mut near, mut far) = pair().await;
        let (mut sent, soon) = (0, Duration::from_millis(50));
        while let Ok(written) = timeout(soon, near.write(&[1; 65_536])).await {
            sent += written.unwrap();
        }
        let task = Arc::<Task>::default();
        let waker = Waker::from(task.clone());
        let written = Pin::new(&mut near).poll_write(&mut Context::from_waker(&waker), b"small");
        assert!(matches!(written, Poll::Ready(Ok(5))));
        assert_eq!(task.0.load(Ordering::SeqCst), 0);
        tokio::task::yield_now().await;
        assert_eq!(task.0.load(Ordering::SeqCst), 1, "its writer sees to it");
        assert!(timeout(soon, near.flush()).await.is_err(), "it is not taken");
        assert!(timeout(soon, near.write(b"more")).await.is_err(), "nor is there room for more");
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all
        });
        near.flush().await.unwrap();
        near.shutdown().await.unwrap();
        let all = reading.await.unwrap();
        assert_eq!((all.len(), &all[sent..]), (sent + 5, &b"small"[..]));
    }

    #[tokio::test]
    async fn whoever_writes_hears_that_it_could_not_be_sent() {
        tokio::spawn(outbox::keep_sending());
        tokio::task::yield_now().await;
        let (mut near, far) = pair().await;
        drop(far);
        let mut failed = false;
        for _ in 0..10 {
            failed |= near.write_all(b"small").await.is_err();
            tokio::time::sleep(Duration::from_millis(10)).await;
            failed |= near.flush().await.is_err();
        }
        assert!(failed);
    }
}
