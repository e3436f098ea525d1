//! Putting a client together.

use std::time::Duration;

use hokusai_core::secret::Secret;
use reqwest::redirect::Policy;

use crate::client::{Client, Wire};
use crate::error::Cause;
use crate::service_url::{ServiceUrl, UrlError};
use crate::token::Token;

const USER_AGENT: &str = concat!("hokusai-client/", env!("CARGO_PKG_VERSION"));
/// Shorter than services and their proxies keep idle connections, so that none is used that just ended.
const IDLE: Duration = Duration::from_secs(15);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The token is empty, or no HTTP header can carry it.
    #[error("the admin token is empty or has characters that no token has, such as a line break")]
    Token,
    /// Whoever is in between could read tokens and keys.
    #[error("{service} is plain http, which anybody in between can read; use https")]
    PlainHttp {
        /// The service.
        service: String,
    },
    /// HTTP or TLS can't be set up on this machine.
    #[error("HTTP can't be set up")]
    Transport(#[source] Cause),
}

/// The settings of a client to be.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    service: ServiceUrl,
    token: Option<Secret>,
    timeout: Duration,
    connect_timeout: Duration,
    retries: u32,
    user_agent: String,
    allow_plain_http: bool,
}

impl Builder {
    pub(crate) fn new(service_url: &str) -> Result<Self, UrlError> {
        Ok(Self {
            service: ServiceUrl::parse(service_url)?,
            token: None,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            retries: 2,
            user_agent: USER_AGENT.to_owned(),
            allow_plain_http: false,
        })
    }

    /// The admin token. Without one, only validations and what the service says of itself can be asked for.
    pub fn token(self, token: Secret) -> Self {
        Self { token: Some(token), ..self }
    }

    /// How long one attempt may take, from connecting to the answer's last byte: 10 seconds unless set.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How long connecting may take: 3 seconds unless set.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// How many further attempts a call may take: 2 unless set.
    ///
    /// Reading, changing and revoking are repeated if there is no connection, no whole answer in time, or a
    /// 429, 502, 503 or 504. Creating, rotating and validating are repeated only if there is no connection:
    /// then nothing was sent. Pauses double from 0.1 to 2 seconds, less a part by chance. A `Retry-After` of
    /// up to 5 seconds is waited for; a longer one is returned in the error.
    pub fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// The program on whose behalf the client asks: `hokusai-client/VERSION` unless set.
    pub fn user_agent(self, user_agent: impl Into<String>) -> Self {
        Self { user_agent: user_agent.into(), ..self }
    }

    /// Sends tokens and keys over plain `http` even to other machines, where anybody in between can read
    /// them.
    pub fn allow_plain_http(self) -> Self {
        Self { allow_plain_http: true, ..self }
    }

    /// The client.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(self) -> Result<Client, BuildError> {
        let (is_plain, is_here) = (self.service.is_plain(), self.service.is_loopback());
        if is_plain && !is_here && !self.allow_plain_http {
            return Err(BuildError::PlainHttp { service: self.service.to_string() });
        }
        let token = self.token.as_ref().map(|text| Token::read(text).ok_or(BuildError::Token)).transpose()?;
        let mut http = reqwest::Client::builder()
            .user_agent(self.user_agent)
            .timeout(self.timeout)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(IDLE)
            .http1_only()
            .redirect(Policy::none());
        if is_here {
            // What stays on this machine is shown to no proxy.
            http = http.no_proxy();
        }
        if is_plain && is_here {
            // No certificate is going to be checked, so a machine without any will do.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|error| BuildError::Transport(Cause::new(error)))?;
        let (timeout, retries) = (self.timeout, self.retries);
        Ok(Client::over(Wire { http, service: self.service, token, timeout, retries }))
    }
}
