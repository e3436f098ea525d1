//! The services behind the gateway, and the connections to them that are kept open.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hokusai_http::{Gathered, worker};
use http::request::Parts as Head;
use http::uri::PathAndQuery;
use http::{HeaderValue, Response};
use hyper::body::Incoming;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};
use url::Url;

use crate::body::Upload;
use crate::connection::{Connection, NoAnswer};
use crate::pool::{Lease, Pool};

/// One service behind the gateway: where it is, and the connections to it.
pub(crate) struct Upstream {
    host: Box<str>,
    port: u16,
    /// What goes before every path; without a slash at the end.
    base: Box<str>,
    host_header: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// How long making a connection may take.
    connect: Duration,
    pool: Pool,
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
            host_header: unshared(&authority)?,
            tls,
            connect: options.connect,
            pool: Pool::new(options),
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
        &self,
        mut head: Box<Head>,
        mut body: Upload,
        patience: Option<Duration>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        loop {
            let mut lease = self.pool.lend(worker(), || self.connect()).await?;
            let Some((connection, is_new)) = lease.connection() else { return Err(SendError::Crowded) };
            match connection.send(head, body, patience).await {
                Ok(response) => return Ok((response, lease)),
                Err(NoAnswer::Late) => return Err(SendError::Late),
                Err(NoAnswer::Unsent(unsent, _)) if !is_new => (head, body) = *unsent,
                Err(NoAnswer::Unsent(_, cause) | NoAnswer::Broken(cause)) => {
                    return Err(SendError::Broken(cause));
                }
            }
        }
    }

    async fn connect(&self) -> Result<Connection, SendError> {
        let made = match timeout(self.connect, self.make()).await {
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
            None => Connection::over(Gathered::new(tcp)).await,
            Some((connector, name)) => Connection::over(connector.connect(name.clone(), tcp).await?).await,
        }
    }
}

/// A header's value that every request may have without counting who has it: that would be one thing which all
/// workers write to. It stays for as long as the program runs; there are few.
pub(crate) fn unshared(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()?;
    Some(HeaderValue::from_static(String::from(text).leak()))
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

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("host", &self.host_header).finish_non_exhaustive()
    }
}
