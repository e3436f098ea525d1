//! Writing small pieces as one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The most bytes that are copied into one piece.
const SMALL: usize = 1024;

/// A TCP stream. The system takes one piece faster than a list of pieces, so small ones are copied together: mostly
/// these are an answer's head and its body.
#[derive(Debug)]
pub struct Gathered(pub TcpStream);

impl AsyncRead for Gathered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, piece: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, piece)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        if let [piece] = pieces {
            return stream.poll_write(cx, piece);
        }
        if pieces.iter().map(|piece| piece.len()).sum::<usize>() > SMALL {
            return stream.poll_write_vectored(cx, pieces);
        }
        let (mut gathered, mut length) = ([0; SMALL], 0);
        for piece in pieces {
            gathered[length..][..piece.len()].copy_from_slice(piece);
            length += piece.len();
        }
        stream.poll_write(cx, &gathered[..length])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn pieces_of_every_size_arrive_in_their_order() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut writing, (mut reading, _)) = (Gathered(stream), listener.accept().await.unwrap());
        for sizes in [&[0][..], &[5], &[300, 100], &[SMALL - 1, 1], &[SMALL, 1], &[1, 0, 5000, 2]] {
            let pieces: Vec<Vec<u8>> = (1..).zip(sizes).map(|(fill, size)| vec![fill; *size]).collect();
            let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let written = writing.write_vectored(&slices).await.unwrap();
            let mut came = vec![0; written];
            reading.read_exact(&mut came).await.unwrap();
            assert_eq!(came, pieces.concat(), "{sizes:?}");
        }
        drop(writing);
        assert_eq!(reading.read(&mut [0]).await.unwrap(), 0);
    }
}
