//! The line of log about each request. Nothing in it could be a secret.

use std::sync::Arc;

use hokusai_client::KeyId;

/// What the lines are about, for whoever filters the log.
pub const ACCESS: &str = "hokusai_gateway::access";

/// A request and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The request's id: letters, digits, `.`, `_` and `-`.
    pub request_id: &'a str,
    /// The method; `other` if it is not one of the usual.
    pub method: &'static str,
    /// The route that it took; `none` if it took none.
    pub route: &'a str,
    /// The status of the answer; 499 if the caller did not wait for it.
    pub status: u16,
    /// The client's address.
    pub client: &'a str,
    /// The key that it was admitted by, if it was.
    pub key_id: Option<KeyId>,
    /// How long the answer took to begin, in microseconds.
    pub took_us: u64,
}

/// Takes the lines about requests. Without one they are events of `tracing`, whose ways cost a request more than the
/// check of its key.
#[derive(Clone)]
pub struct AccessLog(Arc<dyn Fn(&Access<'_>) + Send + Sync>);

impl AccessLog {
    /// Gives each request to `write`. The worker that answered it, and all of its connections, wait for that.
    pub fn to(write: impl Fn(&Access<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Takes a line.
    pub(crate) fn take(&self, access: &Access<'_>) {
        (self.0)(access);
    }
}

impl std::fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

impl Access<'_> {
    /// Says it as an event.
    pub fn tell(&self) {
        tracing::info!(
            target: ACCESS,
            request_id = %self.request_id,
            method = self.method,
            route = self.route,
            status = self.status,
            client = %self.client,
            key_id = self.key_id.map(tracing::field::display),
            took_us = self.took_us,
            "request"
        );
    }
}
