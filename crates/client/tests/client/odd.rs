//! A server that does whatever a test wants, one request after another, and notes what it was sent.

use std::io;
use std::sync::{Arc, Mutex};

use hokusai_client::Builder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is done with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// These bytes are sent; if they say so, the connection ends.
    Bytes(String),
    /// Nothing is sent, and the connection ends.
    Nothing,
    /// The connection is reset.
    Reset,
    /// Nothing happens, for ever.
    Silence,
    /// A good beginning, and then spaces without an end.
    Endless,
}

impl Reply {
    /// An answer with a JSON body. `headers` are whole lines.
    pub(crate) fn json(status: u16, headers: &str, body: &str) -> Self {
        Self::of(status, &format!("content-type: application/json\r\n{headers}"), body)
    }

    /// An answer as the service gives it to a request that it refuses.
    pub(crate) fn refusal(status: u16, headers: &str, code: &str) -> Self {
        let body = format!(r#"{{"detail": "The detail of {code}", "code": "{code}"}}"#);
        Self::json(status, &format!("x-request-id: request-7\r\n{headers}"), &body)
    }

    pub(crate) fn of(status: u16, headers: &str, body: &str) -> Self {
        Self::message(status, &format!("{headers}connection: close\r\n"), body)
    }

    /// An answer after which the connection stays open for the next request.
    pub(crate) fn kept_open(status: u16, body: &str) -> Self {
        Self::message(status, "", body)
    }

    fn message(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Bytes(format!("HTTP/1.1 {status} Odd\r\n{headers}content-length: {length}\r\n\r\n{body}"))
    }
}

/// The server. The last of its replies is given again and again.
pub(crate) struct Odd {
    pub(crate) url: String,
    course: Arc<Course>,
}

/// What is going to be replied, and what was received.
struct Course {
    replies: Vec<Reply>,
    requests: Mutex<Vec<String>>,
}

impl Odd {
    pub(crate) async fn replying(replies: impl Into<Vec<Reply>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, replies.into())
    }

    pub(crate) fn on(listener: TcpListener, replies: Vec<Reply>) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let course = Arc::new(Course { replies, requests: Mutex::default() });
        let followed = course.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let course = followed.clone();
                // Nobody may be there any longer to hear a reply.
                tokio::spawn(async move { drop(course.serve(stream).await) });
            }
        });
        Self { url, course }
    }

    /// What was received, each request with its head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.course.requests.lock().unwrap().clone()
    }

    pub(crate) fn client(&self) -> Builder {
        super::builder(&self.url).token(super::secret("hka_the_token"))
    }
}

impl Course {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let request = read_request(&mut stream).await?;
            match self.reply_to(request) {
                Reply::Bytes(text) => {
                    stream.write_all(text.as_bytes()).await?;
                    if text.contains("connection: close") {
                        return stream.shutdown().await;
                    }
                }
                Reply::Nothing => return stream.shutdown().await,
                Reply::Reset => return stream.set_zero_linger(),
                Reply::Silence => std::future::pending().await,
                Reply::Endless => {
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[").await?;
                    loop {
                        stream.write_all(&[b' '; 65_536]).await?;
                    }
                }
            }
        }
    }

    fn reply_to(&self, request: String) -> Reply {
        let mut requests = self.requests.lock().unwrap();
        requests.push(request);
        self.replies[requests.len().min(self.replies.len()) - 1].clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= announced_length(head)
        {
            return Ok(text);
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn announced_length(head: &str) -> usize {
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |length| length.parse().unwrap())
}
