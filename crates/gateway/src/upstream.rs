//! The services behind the gateway, and the connections to them that are kept open.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};
use url::Url;

use crate::body::{Progress, Upload};
use crate::clock::{Moment, now};

/// The longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// One service behind the gateway: where it is, and the connections to it.
pub(crate) struct Upstream {
    host: Box<str>,
    port: u16,
    /// What goes before every path; without a slash at the end.
    base: Box<str>,
    host_header: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    options: UpstreamOptions,
    idle: Mutex<VecDeque<Idle>>,
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

/// A connection that nobody uses.
struct Idle {
    sender: SendRequest<Upload>,
    since: Moment,
}

/// A connection that is in use. It goes back once the answer was read to its end, and is closed if it never
/// was.
pub(crate) struct Lease(Option<Leased>);

struct Leased {
    sender: SendRequest<Upload>,
    upstream: Arc<Upstream>,
    /// The request's body, if it had one. An upstream may answer before it has all of it.
    upload: Option<Arc<Progress>>,
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
            idle: Mutex::new(VecDeque::new()),
            places: Arc::new(Semaphore::new(options.connections)),
        })
    }

    /// What its `Host` is.
    pub(crate) fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
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

    /// Sends a request, and waits for the head of the answer. What was not sent on a connection that had just
    /// gone is sent on another.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let place = self.place().await?;
        loop {
            let (mut sender, is_new) = match self.take_idle().await {
                Some(sender) => (sender, false),
                None => (self.connect().await?, true),
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let leased = Leased { sender, upstream: self.clone(), upload: None, _place: place };
                    return Ok((response, Lease(Some(leased))));
                }
                Err(mut failure) => match failure.take_message() {
                    // It never left this process.
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(SendError::Broken(failure.into_error())),
                },
            }
        }
    }

    /// A place among the connections in use.
    async fn place(&self) -> Result<OwnedSemaphorePermit, SendError> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let place = timeout(self.options.connect, self.places.clone().acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or(SendError::Crowded)
    }

    /// A connection that is open and ready, the latest used first.
    async fn take_idle(&self) -> Option<SendRequest<Upload>> {
        loop {
            let idle = self.idle().pop_back()?;
            if idle.since.elapsed() >= self.options.keep_alive {
                // The others are older.
                self.idle().clear();
                return None;
            }
            let mut sender = idle.sender;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Upload>, SendError> {
        let made = match timeout(self.options.connect, self.make()).await {
            Ok(Ok(sender)) => Ok(sender),
            Ok(Err(error)) => Err(SendError::Unreachable(error)),
            Err(_) => Err(SendError::ConnectTimeout),
        };
        let outcome = if made.is_ok() { "made" } else { "failed" };
        metrics::counter!("hokusai_gateway_upstream_connections_total", "outcome" => outcome).increment(1);
        made
    }

    async fn make(&self) -> io::Result<SendRequest<Upload>> {
        let tcp = TcpStream::connect((&*self.host, self.port)).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => handshake(tcp).await,
            Some((connector, name)) => handshake(connector.connect(name.clone(), tcp).await?).await,
        }
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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

async fn handshake(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
) -> io::Result<SendRequest<Upload>> {
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(LONGEST_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // It ends with its sender, or when the other side closes it; whoever uses it is told why.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

impl Lease {
    /// The connection is in use until the request's body has gone, too.
    pub(crate) fn hold_for(&mut self, upload: Option<Arc<Progress>>) {
        if let Some(leased) = &mut self.0 {
            leased.upload = upload;
        }
    }

    /// The answer was read to its end: the connection may serve another request, unless the rest of the last
    /// one is still on its way.
    pub(crate) fn give_back(&mut self) {
        let Some(Leased { sender, upstream, upload, .. }) = self.0.take() else { return };
        if sender.is_closed() || upload.is_some_and(|upload| !upload.is_over()) {
            return;
        }
        let keep_alive = upstream.options.keep_alive;
        let mut idle = upstream.idle();
        while idle.front().is_some_and(|oldest| oldest.since.elapsed() >= keep_alive) {
            idle.pop_front();
        }
        idle.push_back(Idle { sender, since: now() });
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("host", &self.host_header).finish_non_exhaustive()
    }
}
