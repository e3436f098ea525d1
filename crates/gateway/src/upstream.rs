//! The services behind the gateway, and the connections to them that are kept open.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hokusai_http::{Gathered, worker};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};
use url::Url;

use crate::body::{Progress, Upload};
use crate::clock::{Moment, now};
use crate::connection::{Connection, NoAnswer};

/// How many workers have a shelf of their own for connections that nobody uses; further ones share them.
const SHELVES: usize = 16;

/// How long a connection that nobody uses may take to be ready. One whose upstream did not read all of the last
/// request never is.
const READY_WITHIN: Duration = Duration::from_millis(10);

/// One service behind the gateway: where it is, and the connections to it.
pub(crate) struct Upstream {
    host: Box<str>,
    port: u16,
    /// What goes before every path; without a slash at the end.
    base: Box<str>,
    host_header: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    options: UpstreamOptions,
    idle: [Mutex<VecDeque<Idle>>; SHELVES],
    /// Whether connections that nobody uses are looked for.
    is_swept: AtomicBool,
    /// One for each connection that may be in use.
    places: Arc<Semaphore>,
}

/// Bounds of the connections to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UpstreamOptions {
    /// How long making a connection may take.
    pub(crate) connect: Duration,
    /// How long a connection is kept that nobody uses. It has to be shorter than the upstream keeps it.
    pub(crate) keep_alive: Duration,
    /// The most connections at once; further requests wait for one.
    pub(crate) connections: usize,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), keep_alive: Duration::from_secs(4), connections: 1000 }
    }
}

/// A connection that nobody uses. It lies on the shelf of the worker that made it, which hears of it first.
struct Idle {
    connection: Connection,
    since: Moment,
}

/// A connection that is in use. It goes back once the answer was read to its end, and is closed if it never
/// was.
pub(crate) struct Lease(Option<Box<Leased>>);

struct Leased {
    connection: Connection,
    /// Where it belongs.
    shelf: usize,
    upstream: Arc<Upstream>,
    /// The request's body, if it had one, and how long the upstream may take nothing of it. It may answer
    /// before it has all of it.
    upload: Option<(Arc<Progress>, Duration)>,
    _place: OwnedSemaphorePermit,
}

/// Why there is no answer. Only the first three have sent nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("it can't be reached")]
    Unreachable(#[source] io::Error),
    #[error("connecting took too long")]
    ConnectTimeout,
    #[error("all of its connections are in use")]
    Crowded,
    #[error("it did not answer in time")]
    Late,
    #[error("the exchange broke off")]
    Broken(#[source] hyper::Error),
}

impl Upstream {
    /// The upstream at an `http` or `https` URL; `tls` for the latter.
    pub(crate) fn new(
        url: &Url,
        tls: Option<(TlsConnector, ServerName<'static>)>,
        options: UpstreamOptions,
    ) -> Option<Self> {
        let host = url.host_str()?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Some(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').into(),
            port: url.port_or_known_default()?,
            base: url.path().trim_end_matches('/').into(),
            host_header: HeaderValue::from_str(&authority).ok()?,
            tls,
            options,
            idle: Default::default(),
            is_swept: AtomicBool::new(false),
            places: Arc::new(Semaphore::new(options.connections)),
        })
    }

    /// What its `Host` is.
    pub(crate) fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }

    /// Whether nothing goes before a path.
    pub(crate) fn is_root(&self) -> bool {
        self.base.is_empty()
    }

    /// The target of a request for a path, with its query.
    pub(crate) fn target(&self, path: &str, query: Option<&str>) -> Option<PathAndQuery> {
        let mut target = String::with_capacity(self.base.len() + path.len() + query.map_or(0, str::len) + 1);
        target.push_str(&self.base);
        target.push_str(path);
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        PathAndQuery::try_from(target).ok()
    }

    /// Sends a request, and waits for the head of the answer; for at most `patience` from when it was sent. What
    /// was not sent on a connection that had just gone is sent on another. The body comes only to who reads it as
    /// an [`AnswerBody`](crate::body::AnswerBody).
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Box<Request<Upload>>,
        patience: Option<Duration>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let place = self.place().await?;
        loop {
            let own = worker() % SHELVES;
            let (mut connection, shelf, is_new) = match self.take_idle(own).await {
                Some((connection, shelf)) => (connection, shelf, false),
                // What is rare lies elsewhere: a request is moved the less.
                None => (Box::pin(self.connect()).await?, own, true),
            };
            match connection.send(request, patience).await {
                Ok(response) => {
                    let upstream = self.clone();
                    let leased = Leased { connection, shelf, upstream, upload: None, _place: place };
                    return Ok((response, Lease(Some(Box::new(leased)))));
                }
                Err(NoAnswer::Late) => return Err(SendError::Late),
                Err(NoAnswer::Unsent(unsent, _)) if !is_new => request = unsent,
                Err(NoAnswer::Unsent(_, cause) | NoAnswer::Broken(cause)) => {
                    return Err(SendError::Broken(cause));
                }
            }
        }
    }

    /// A place among the connections in use.
    async fn place(&self) -> Result<OwnedSemaphorePermit, SendError> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let place = timeout(self.options.connect, self.places.clone().acquire_owned());
        Box::pin(place).await.ok().and_then(Result::ok).ok_or(SendError::Crowded)
    }

    /// A connection that is open and ready, and its shelf: this worker's if there is one, else another's. The
    /// latest used are the first.
    async fn take_idle(&self, own: usize) -> Option<(Connection, usize)> {
        for shelf in (own..SHELVES).chain(0..own) {
            loop {
                let latest = self.idle(shelf).pop_back();
                let Some(Idle { mut connection, since }) = latest else { break };
                if since.elapsed() >= self.options.keep_alive {
                    // The others are older.
                    self.idle(shelf).clear();
                } else if connection.is_ready(READY_WITHIN).await {
                    return Some((connection, shelf));
                }
            }
        }
        None
    }

    async fn connect(&self) -> Result<Connection, SendError> {
        let made = match timeout(self.options.connect, self.make()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(SendError::Unreachable(error)),
            Err(_) => Err(SendError::ConnectTimeout),
        };
        let outcome = if made.is_ok() { "made" } else { "failed" };
        metrics::counter!("hokusai_gateway_upstream_connections_total", "outcome" => outcome).increment(1);
        made
    }

    async fn make(&self) -> io::Result<Connection> {
        let tcp = TcpStream::connect((&*self.host, self.port)).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => Connection::over(Gathered(tcp)).await,
            Some((connector, name)) => Connection::over(connector.connect(name.clone(), tcp).await?).await,
        }
    }

    /// Keeps a connection for the next request.
    fn keep(self: &Arc<Self>, connection: Connection, shelf: usize) {
        self.idle(shelf).push_back(Idle { connection, since: now() });
        if !self.is_swept.swap(true, Ordering::SeqCst) {
            tokio::spawn(sweep(Arc::downgrade(self), self.options.keep_alive));
        }
    }

    /// Closes the connections that nobody used for too long, and says whether there are others.
    fn close_idle(&self) -> bool {
        let mut any = false;
        for shelf in 0..SHELVES {
            let mut idle = self.idle(shelf);
            while idle.front().is_some_and(|oldest| oldest.since.elapsed() >= self.options.keep_alive) {
                idle.pop_front();
            }
            any |= !idle.is_empty();
        }
        any
    }

    fn idle(&self, shelf: usize) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle[shelf].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// TLS to a host, with the certificates that this machine trusts.
pub(crate) fn tls(host: &str) -> Result<(TlsConnector, ServerName<'static>), rustls::Error> {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|error| rustls::Error::General(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsConnector::from(Arc::new(config)), name))
}

/// Nobody else looks at a connection that nobody uses. It ends with the last of them.
async fn sweep(upstream: Weak<Upstream>, keep_alive: Duration) {
    loop {
        sleep(keep_alive).await;
        let Some(upstream) = upstream.upgrade() else { return };
        if upstream.close_idle() {
            continue;
        }
        upstream.is_swept.store(false, Ordering::SeqCst);
        // One may have been kept just before that was said.
        if !upstream.close_idle() || upstream.is_swept.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}

impl Lease {
    /// The connection is in use until the request's body has gone, too, unless the upstream takes nothing of it
    /// for `idle`.
    pub(crate) fn hold_for(&mut self, upload: Option<Arc<Progress>>, idle: Duration) {
        if let Some(leased) = &mut self.0 {
            leased.upload = upload.map(|upload| (upload, idle));
        }
    }

    /// Polls what waits for a part of the answer.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut part: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        match &mut self.0 {
            Some(leased) => leased.connection.poll(cx, part),
            None => part(cx),
        }
    }

    /// The answer was read to its end: the connection may serve another request, unless the rest of the last
    /// one is still on its way.
    pub(crate) fn give_back(&mut self) {
        let Some(leased) = self.0.take() else { return };
        let Leased { connection, shelf, upstream, upload, .. } = *leased;
        match upload.filter(|(upload, _)| !upload.is_over()) {
            Some((upload, idle)) => connection.finish(upload, idle),
            None if connection.is_closed() => {}
            None => upstream.keep(connection, shelf),
        }
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("host", &self.host_header).finish_non_exhaustive()
    }
}
