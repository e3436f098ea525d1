//! A bare connection, for bytes that no HTTP client would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// One connection.
pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Ends this side's half of the connection.
    pub(crate) async fn say_no_more(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// The status line of the next answer.
    pub(crate) async fn status(&mut self) -> String {
        let head = self.read_until(b"\r\n").await;
        head.lines().next().unwrap_or_default().to_owned()
    }

    /// Whatever comes until the other side closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A connection that is cut has ended as well as one that is closed.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await.expect("the connection ends");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn read_until(&mut self, end: &[u8]) -> String {
        let mut bytes = Vec::new();
        let read = async {
            while !bytes.windows(end.len()).any(|window| window == end) {
                if self.0.read_buf(&mut bytes).await.unwrap() == 0 {
                    break;
                }
            }
        };
        timeout(PATIENCE, read).await.expect("an answer comes");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
