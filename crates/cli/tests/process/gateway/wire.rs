//! HTTP/1.1 byte by byte: a test says exactly what is sent, and sees exactly what came.

use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One end of a connection, and what was read of it in advance.
pub(crate) struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
}

/// A request or an answer.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// First line and headers; each byte is a character.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// What stood behind a chunked body.
    pub(crate) trailers: String,
    /// Whether the body came to its end.
    pub(crate) is_whole: bool,
}

/// What kind of message is read, which decides what body it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Answer,
    AnswerToHead,
}

impl Wire {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect_timeout(&address, PATIENCE).unwrap())
    }

    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, ahead: Vec::new() }
    }

    /// An end that waits for as long as it takes.
    pub(crate) fn of_patient(stream: TcpStream) -> Self {
        let wire = Self::of(stream);
        wire.stream.set_read_timeout(None).unwrap();
        wire
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends a request and reads the answer; `None` if the connection ended before one had begun.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Option<Message> {
        let kind = if request.as_ref().starts_with(b"HEAD ") { Kind::AnswerToHead } else { Kind::Answer };
        // Whoever closes early may have answered before.
        let _ = self.send(request);
        self.message(kind)
    }

    /// The next message; of an answer, the final one.
    pub(crate) fn message(&mut self, kind: Kind) -> Option<Message> {
        let head = self.head()?;
        Some(self.rest(head, kind))
    }

    /// The body that belongs to a head.
    pub(crate) fn rest(&mut self, head: String, kind: Kind) -> Message {
        let mut message = Message { head, body: Vec::new(), trailers: String::new(), is_whole: true };
        let has_none = match kind {
            Kind::Request => false,
            Kind::Answer => matches!(message.status(), 100..=199 | 204 | 304),
            Kind::AnswerToHead => true,
        };
        if has_none {
            return message;
        }
        let is_chunked = message.header("transfer-encoding").is_some();
        let length = message.header("content-length").map(|length| length.parse().unwrap());
        message.is_whole = match (is_chunked, length) {
            (true, _) => self.chunks(&mut message).is_some(),
            (false, Some(length)) => self.bytes(length, &mut message.body),
            (false, None) if kind == Kind::Request => true,
            (false, None) => {
                while self.more() {}
                message.body.append(&mut self.ahead);
                true
            }
        };
        message
    }

    /// Everything up to an empty line, and not that line.
    pub(crate) fn head(&mut self) -> Option<String> {
        self.until("\r\n\r\n")
    }

    fn chunks(&mut self, message: &mut Message) -> Option<()> {
        loop {
            let size = usize::from_str_radix(self.until("\r\n")?.trim(), 16).ok()?;
            if size == 0 {
                break;
            }
            if !self.bytes(size, &mut message.body) {
                return None;
            }
            self.until("\r\n")?;
        }
        loop {
            let line = self.until("\r\n")?;
            if line.is_empty() {
                return Some(());
            }
            message.trailers += &line;
        }
    }

    fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|window| window == end.as_bytes()) {
                let text = self.ahead[..at].iter().copied().map(char::from).collect();
                self.ahead.drain(..at + end.len());
                return Some(text);
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// Reads that many bytes, and says whether there were so many.
    fn bytes(&mut self, length: usize, into: &mut Vec<u8>) -> bool {
        while self.ahead.len() < length && self.more() {}
        let there = length.min(self.ahead.len());
        into.extend(self.ahead.drain(..there));
        there == length
    }

    /// Reads what is there; says whether there was anything. A connection that is reset has ended, too.
    fn more(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(length) => {
                self.ahead.extend(&bytes[..length]);
                length > 0
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                panic!("nothing more came, and the connection did not end: {:?}", self.ahead)
            }
            Err(_) => false,
        }
    }

    /// Whether something was sent within a while.
    pub(crate) fn is_silent_for(&mut self, a_while: Duration) -> bool {
        self.stream.set_read_timeout(Some(a_while)).unwrap();
        let mut byte = [0];
        let peeked = self.stream.peek(&mut byte);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        self.ahead.is_empty() && peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits until the other side ends the connection; false if it sends more instead.
    pub(crate) fn ends(&mut self) -> bool {
        self.ahead.is_empty() && !self.more()
    }

    /// Throws away what was read.
    pub(crate) fn forget(&mut self) {
        self.ahead.clear();
    }

    /// Reads that many bytes and keeps none; says how many there were.
    pub(crate) fn skip(&mut self, length: u64) -> u64 {
        let ahead = self.ahead.drain(..).count() as u64;
        let mut rest = Read::by_ref(&mut self.stream).take(length - ahead);
        ahead + io::copy(&mut rest, &mut io::sink()).unwrap_or_default()
    }

    /// Sends that many bytes; says how many could be sent.
    pub(crate) fn pour(&mut self, length: u64) -> u64 {
        let piece = vec![b'a'; 256 * 1024];
        let mut sent = 0;
        while sent < length {
            let next = (length - sent).min(piece.len() as u64);
            if self.stream.write_all(&piece[..usize::try_from(next).unwrap()]).is_err() {
                break;
            }
            sent += next;
        }
        sent
    }
}

impl Message {
    pub(crate) fn first_line(&self) -> &str {
        self.head.split("\r\n").next().unwrap_or_default()
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        self.first_line().split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// The lines below the first one: names in lower case, and values.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (String, &str)> {
        let lines = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
    }

    /// The value of a header that is there once; several are joined, so that no one takes them for one.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.headers().filter(|(known, _)| known == name).map(|(_, value)| value).collect();
        (!values.is_empty()).then(|| values.join(" | "))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The word for programs in a refusal.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The answer, if its status is the expected one and it came to its end.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert!(self.status() == status && self.is_whole, "{status}? {}\n\n{}", self.head, self.text());
        self
    }
}
