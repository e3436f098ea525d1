//! Something else that listens where the service should be, and a proxy that has it under a path.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// The URL of something that answers everything with this text, and ends the connection.
pub(crate) fn answering(text: &'static str) -> String {
    listening(move |mut stream| {
        request(&mut stream);
        // The client may have gone.
        let _ = stream.write_all(text.as_bytes());
    })
}

/// The URL of something that takes requests and never answers.
pub(crate) fn silent() -> String {
    listening(|mut stream| {
        request(&mut stream);
        // It ends when the client gives up.
        let _ = stream.read(&mut [0]);
    })
}

/// The URL of a proxy that has a service under the path `/auth`, and nothing else.
pub(crate) fn proxy(service: SocketAddr) -> String {
    let origin = listening(move |mut stream| {
        let asked = request(&mut stream);
        let (method, rest) = asked.split_once(' ').unwrap();
        let Some(rest) = rest.strip_prefix("/auth/") else { return };
        let (line, rest) = rest.split_once("\r\n").unwrap();
        let mut inner = TcpStream::connect(service).unwrap();
        inner.write_all(format!("{method} /{line}\r\nConnection: close\r\n{rest}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        inner.read_to_end(&mut answer).unwrap();
        stream.write_all(&answer).unwrap();
    });
    format!("{origin}/auth")
}

/// Its threads end with the test process.
fn listening(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    format!("http://{address}")
}

/// A whole request.
fn request(stream: &mut TcpStream) -> String {
    let (mut text, mut bytes) = (String::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut bytes).unwrap_or(0);
        text += &String::from_utf8_lossy(&bytes[..length]);
        let is_whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let head = head.to_lowercase();
            let wanted = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            body.len() >= wanted.map_or(0, |length| length.parse().unwrap())
        });
        if is_whole || length == 0 {
            return text;
        }
    }
}
