//! The listener: accepts, limits and drains connections.
//!
//! Every wait has an end: for the first byte, the TLS handshake, a request's headers, its body, and at
//! the end for what is in flight. Without TLS only HTTP/1.1 is spoken, so that nothing has to be guessed
//! from a connection's first bytes.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::address::Peer;
use crate::aside::Aside;
use crate::exchange::{Answer, Answering, Exchanges, Streams};
use crate::gathered::Gathered;
use crate::lingering::Lingering;
use crate::places::{Crowd, Place, Places};
use crate::tls::Tls;
use crate::workers::{Counted, Workers};

/// Bounds of the listener.
#[derive(Clone, Copy, Debug)]
pub struct ListenOptions {
    /// The most connections at once; further ones wait to be accepted. While they may have to, a connection that does
    /// nothing ends after two seconds.
    pub max_connections: usize,
    /// How long a connection may take to send its first byte, and to shake hands.
    pub first_byte: Duration,
    /// How long a client may take nothing of an answer; by HTTP/2, up to twice as long. A connection may stay idle for
    /// this and up to a quarter more, and for as long again once it is to end: so long may a request's headers take.
    pub headers: Duration,
    /// How long to wait at the end for what is in flight.
    pub drain: Duration,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            first_byte: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}

/// A bound address, ready to serve.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<Tls>>,
    options: ListenOptions,
}

/// Why the body of an answer ended early.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What answers the requests of a connection.
pub trait Answers<B>:
    Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S, B> Answers<B> for S where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// What every connection needs.
#[derive(Clone)]
struct Shared {
    tls: Option<Arc<Tls>>,
    options: ListenOptions,
    crowd: Crowd,
}

impl Listener {
    /// Binds `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(address: SocketAddr, tls: Option<Tls>, options: ListenOptions) -> io::Result<Self> {
        Ok(Self { tcp: TcpListener::bind(address).await?, tls: tls.map(Arc::new), options })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until `stop` is done, then finishes what is in flight. Each connection gets a service that
    /// knows its peer.
    pub async fn serve<S, B>(
        self,
        workers: Workers,
        service_for: impl Fn(Peer) -> S,
        stop: impl Future<Output = ()>,
    ) where
        S: Answers<B>,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let places = Places::new(self.options.max_connections);
        let shared = Shared { tls: self.tls.clone(), options: self.options, crowd: places.crowd() };
        let mut connections = JoinSet::new();
        if let Some(tls) = self.tls.clone() {
            connections.spawn(async move { tls.keep_fresh().await });
        }
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&self.tcp, &places) => accepted,
            };
            if let Some((stream, peer, place)) = accepted {
                let requests = Requests::of(service_for(Peer(peer)));
                let (worker, counted) = workers.next();
                let holds = (place, counted);
                connections.spawn_on(serve_connection(stream, requests, holds, shared.clone()), worker);
            }
            while connections.try_join_next().is_some() {}
        }
        drop(self.tcp);
        if timeout(self.options.drain, places.close()).await.is_err() {
            tracing::warn!("some connections did not end in time and are cut");
        }
        connections.shutdown().await;
    }
}

/// The next connection, once there is a place for it.
async fn accept(tcp: &TcpListener, places: &Places) -> Option<(std::net::TcpStream, IpAddr, Place)> {
    let place = places.take().await?;
    // Whoever serves the connection waits for it with a runtime of its own.
    match tcp.accept().await.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
        Ok((stream, peer)) => Some((stream, peer.ip(), place)),
        Err(error) => {
            // Out of file descriptors, most likely: trying again at once would only burn time.
            tracing::warn!(%error, "a connection can't be accepted");
            sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn serve_connection<S, B>(
    stream: std::net::TcpStream,
    requests: Requests<S, B>,
    _holds: (Place, Counted),
    shared: Shared,
) where
    S: Answers<B>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let open = metrics::gauge!("hokusai_connections_open");
    open.increment(1.0);
    let outcome = match TcpStream::from_std(stream) {
        Ok(stream) => speak(stream, requests, &shared).await,
        Err(_) => "broken",
    };
    open.decrement(1.0);
    metrics::counter!("hokusai_connections_total", "outcome" => outcome).increment(1);
}

/// Serves one connection, and says in a word what became of it.
async fn speak<S, B>(stream: TcpStream, requests: Requests<S, B>, shared: &Shared) -> &'static str
where
    S: Answers<B>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    // Answers are small and written at once; waiting to fill a segment only delays them.
    let _ = stream.set_nodelay(true);
    // The byte itself is waited for: tokio takes every new connection for readable until it was tried.
    let mut first = [0];
    let first_byte = tokio::select! {
        peeked = stream.peek(&mut first) => peeked.ok(),
        () = shared.crowd.clone().outlast(shared.options.first_byte) => None,
    };
    if first_byte != Some(1) {
        return if shared.crowd.is_closing() { "stopped" } else { "silent" };
    }
    let mut stream = TimeoutStream::new(Lingering::new(Gathered::new(stream), requests.exchanges.clone()));
    stream.set_write_timeout(Some(shared.options.headers));
    let stream = Box::pin(stream);
    let Some(tls) = &shared.tls else { return http1(stream, requests, shared).await };
    let shaken = tokio::select! {
        shaken = tls.acceptor().accept(stream) => shaken.ok(),
        () = shared.crowd.clone().outlast(shared.options.first_byte) => None,
    };
    match shaken {
        Some(mut stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            stream.get_mut().0.as_mut().get_pin_mut().be_patient();
            http2(stream, requests, shared).await
        }
        Some(stream) => http1(stream, requests, shared).await,
        None => "handshake_failed",
    }
}

async fn http1<S, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    requests: Requests<S, B>,
    shared: &Shared,
) -> &'static str
where
    S: Answers<B>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    // How long a request's head may take is seen to by whoever drives the connection: hyper sets and drops a timer
    // for each.
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(64 * 1024);
    let exchanges = requests.exchanges.clone();
    drive(builder.serve_connection(TokioIo::new(stream), requests), &exchanges, shared).await
}

async fn http2<S, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    requests: Requests<S, B>,
    shared: &Shared,
) -> &'static str
where
    S: Answers<B>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let mut builder = http2::Builder::new(Streams { patience: shared.options.headers });
    builder.max_concurrent_streams(100).max_header_list_size(64 * 1024);
    let exchanges = requests.exchanges.clone();
    drive(builder.serve_connection(TokioIo::new(stream), requests), &exchanges, shared).await
}

/// Serves requests until the connection ends. Once the service stops, or no request has come for a while,
/// what is in flight is finished, and then the connection ends, too.
async fn drive(connection: impl GracefulConnection, exchanges: &Exchanges, shared: &Shared) -> &'static str {
    let (headers, mut crowd) = (shared.options.headers, shared.crowd.clone());
    tokio::pin!(connection);
    // What has come is read before it is looked at whether anything did, and that is not looked at for each request.
    let is_idle = tokio::select! {
        biased;
        ended = &mut connection => return outcome(ended),
        is_idle = Aside::new(exchanges.cease(&mut crowd, headers)) => is_idle,
    };
    exchanges.end();
    connection.as_mut().graceful_shutdown();
    if !is_idle {
        return outcome(connection.await);
    }
    tokio::select! {
        biased;
        ended = &mut connection => outcome(ended),
        // A request may just have begun.
        is_idle = exchanges.cease(&mut crowd, headers) => if is_idle { "cut" } else { outcome(connection.await) },
    }
}

fn outcome<E>(ended: Result<(), E>) -> &'static str {
    if ended.is_ok() { "served" } else { "broken" }
}

/// The requests of one connection.
struct Requests<S, B> {
    service: S,
    exchanges: Arc<Exchanges>,
    answers: PhantomData<fn() -> B>,
}

impl<S, B> Requests<S, B> {
    fn of(service: S) -> Self {
        Self { service, exchanges: Arc::default(), answers: PhantomData }
    }
}

impl<S: Answers<B>, B> Service<Request<Incoming>> for Requests<S, B> {
    type Response = Response<Answer<B>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        Answering::of(self.service.call(request), &self.exchanges)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use http_body_util::channel::Channel;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, split};
    use tokio::sync::oneshot;

    use super::*;

    /// Longer than an idle connection is kept.
    const LONG: Duration = Duration::from_millis(700);

    #[tokio::test]
    async fn an_exchange_may_last_longer_than_a_pause_between_two() {
        let options = ListenOptions { headers: LONG / 7, ..ListenOptions::default() };
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), None, options).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let slow = service_fn(|_| async {
            sleep(LONG).await;
            Ok(Response::new("at last".to_owned()))
        });
        let serving = tokio::spawn(async move {
            listener
                .serve(Workers::here(), |_| slow, async {
                    let _ = stopped.await;
                })
                .await;
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        for _ in 0..2 {
            client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
            let mut heard = vec![0; 1000];
            let length = client.read(&mut heard).await.unwrap();
            assert!(String::from_utf8_lossy(&heard[..length]).ends_with("at last"));
        }
        // Without a request it is not kept.
        assert_eq!(timeout(LONG, client.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
        stop.send(()).unwrap();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_ends_the_connection() {
        let options = ListenOptions { headers: LONG / 7, first_byte: LONG / 7, ..ListenOptions::default() };
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), None, options).await.unwrap();
        let address = listener.local_addr().unwrap();
        let at_once = service_fn(|_| async { Ok(Response::new(String::new())) });
        let serving = tokio::spawn(listener.serve(Workers::here(), move |_| at_once, std::future::pending()));
        for before in ["", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(before.as_bytes()).await.unwrap();
            let (mut heard, mut speaking) = client.split();
            let dribble = async {
                speaking.write_all(b"GET / HTTP/1.1\r\n").await?;
                loop {
                    speaking.write_all(b"X: y\r\n").await?;
                    sleep(LONG / 70).await;
                }
            };
            let mut said = Vec::new();
            let ended = timeout(Duration::from_secs(20), async {
                tokio::select! {
                    broken = dribble => broken,
                    end = heard.read_to_end(&mut said) => end.map(drop),
                }
            });
            // That the client is told of it in one way or the other is up to the system.
            let _ = ended.await.expect("the connection ends");
        }
        serving.abort();
    }

    /// Answers in two parts. One comes late, as the path says.
    async fn in_parts(
        request: Request<Incoming>,
    ) -> Result<Response<Channel<Bytes, Infallible>>, Infallible> {
        let path = request.uri().path().to_owned();
        if path == "/late" {
            sleep(LONG).await;
        }
        let (mut body, answer) = Channel::new(1);
        tokio::spawn(async move {
            body.send_data(Bytes::from("more than ")).await.ok();
            if path == "/late-end" {
                sleep(LONG).await;
            }
            body.send_data(Bytes::from("nothing")).await.ok();
        });
        Ok(Response::new(answer))
    }

    #[tokio::test]
    async fn a_stream_of_which_nothing_is_taken_ends_alone() {
        let options = ListenOptions { headers: LONG / 7, ..ListenOptions::default() };
        let places = Places::new(1);
        let shared = Shared { tls: None, options, crowd: places.crowd() };
        for window in [0, 1000] {
            let (here, there) = tokio::io::duplex(4096);
            let requests = Requests::of(service_fn(in_parts));
            let serving = tokio::spawn({
                let shared = shared.clone();
                async move { http2(here, requests, &shared).await }
            });
            let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(window);
            let (sender, connection) = builder.handshake(TokioIo::new(there)).await.unwrap();
            // It reads and answers pings for as long as the connection lasts.
            let connection = tokio::spawn(connection);
            let ask = |path: &str| {
                let request = Request::builder().uri(format!("https://h{path}")).body(String::new()).unwrap();
                let mut sender = sender.clone();
                async move { sender.send_request(request).await }
            };
            // What is late by the service's doing is not given up.
            let (late, late_end) = (tokio::spawn(ask("/late")), ask("/late-end").await.unwrap());
            let at_once = ask("/").await.unwrap();
            if window > 0 {
                assert_eq!(at_once.collect().await.unwrap().to_bytes(), "more than nothing");
                assert_eq!(late_end.collect().await.unwrap().to_bytes(), "more than nothing");
            } else {
                sleep(LONG / 2).await;
                assert!(at_once.collect().await.is_err() && late_end.collect().await.is_err());
                assert!(!late.is_finished());
            }
            assert!(late.await.unwrap().is_ok());
            drop((sender, connection));
            serving.abort();
        }
    }

    #[tokio::test]
    async fn a_client_behind_a_slow_network_gets_the_rest_of_an_answer() {
        const PART: usize = 16 * 1024;
        const PARTS: usize = 24;
        const PART_TAKES: Duration = Duration::from_millis(100);
        let options = ListenOptions { headers: LONG, ..ListenOptions::default() };
        let places = Places::new(1);
        let shared = Shared { tls: None, options, crowd: places.crowd() };
        let (here, near) = tokio::io::duplex(4096);
        let (far, there) = tokio::io::duplex(4096);
        let ((mut down, mut up), (mut asked, mut answered)) = (split(near), split(far));
        tokio::spawn(async move { copy(&mut asked, &mut up).await });
        tokio::spawn(async move {
            let mut part = vec![0; PART / 4];
            while let Ok(length @ 1..) = down.read(&mut part).await {
                answered.write_all(&part[..length]).await.unwrap();
                sleep(PART_TAKES * u32::try_from(length).unwrap() / u32::try_from(PART).unwrap()).await;
            }
            answered.shutdown().await.ok();
        });
        let large = service_fn(|_| async {
            let (mut body, answer) = Channel::<_, Infallible>::new(1);
            tokio::spawn(async move {
                for _ in 0..PARTS {
                    body.send_data(Bytes::from_static(&[0; PART])).await.ok();
                }
            });
            Ok(Response::new(answer))
        });
        let requests = Requests::of(large);
        let here = Lingering::new(here, requests.exchanges.clone());
        tokio::spawn(async move { http2(here, requests, &shared).await });
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(1 << 20).initial_connection_window_size(1 << 20);
        let (mut sender, connection) = builder.handshake(TokioIo::new(there)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().uri("https://h").body(String::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap().collect().await.unwrap();
        assert_eq!(answer.to_bytes().len(), PARTS * PART);
    }
}
