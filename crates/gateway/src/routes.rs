//! Which paths lead where, and what is asked of a key on the way.

use std::sync::Arc;
use std::time::Duration;

use hokusai_client::{Demand, Scope};
use http::Method;

use crate::traffic::Traffic;
use crate::upstream::Upstream;
use crate::{mlflow, models};

/// Paths of the gateway itself, which no route can take.
pub(crate) const OWN_PATHS: [&str; 5] = ["/health", "/live", "/ready", "/version", "/metrics"];
/// Where the gateway answers questions about models.
pub(crate) const MODELS: &str = "/v1/models";

/// What happens to requests whose path begins with a prefix.
#[derive(Debug)]
pub(crate) struct Route {
    /// Whole segments, without a slash at the end; empty: every path.
    pub(crate) prefix: Box<str>,
    pub(crate) upstream: Arc<Upstream>,
    /// Whether the prefix is left out of what goes upstream.
    pub(crate) strips_prefix: bool,
    /// One of these is needed; without any, every key will do.
    pub(crate) scopes: Box<[Scope]>,
    /// The service that keys have to be for; `None`: any.
    pub(crate) service: Option<Box<str>>,
    /// The beginnings of keys that may pass; empty: any.
    pub(crate) key_prefixes: Box<[&'static str]>,
    pub(crate) limits: Limits,
    pub(crate) traffic: Traffic,
}

/// Bounds of an exchange with an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How long the upstream may take to begin its answer, once it has the request.
    pub(crate) first_byte: Duration,
    /// How long either side may send nothing of a body.
    pub(crate) idle: Duration,
    /// The largest body of a request, in bytes; `None`: any.
    pub(crate) body: Option<u64>,
}

/// Where a request leads.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// To a service behind the gateway.
    Route(&'a Route),
    /// To the catalogue of models.
    Models(models::Call),
    /// To MLflow.
    Mlflow(mlflow::Call<'a>),
}

impl Place<'_> {
    /// What a method asks of a key here.
    pub(crate) fn demand(&self, method: &Method) -> Demand<'_> {
        match self {
            Self::Route(route) => route.demand(method),
            Self::Models(call) => call.demand(),
            Self::Mlflow(call) => call.demand(),
        }
    }

    /// Its name in logs, metrics and reports of usage.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Route(route) => route.name(),
            Self::Models(call) => call.name(),
            Self::Mlflow(call) => call.name(),
        }
    }

    /// The service that keys have to be for; `None`: any.
    pub(crate) fn service(&self) -> Option<&str> {
        match self {
            Self::Route(route) => route.service.as_deref(),
            Self::Models(_) | Self::Mlflow(_) => None,
        }
    }
}

/// All routes; the longest prefix comes first.
#[derive(Debug, Default)]
pub(crate) struct Routes(Vec<Arc<Route>>);

impl Routes {
    pub(crate) fn new(mut routes: Vec<Arc<Route>>) -> Self {
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
        Self(routes)
    }

    /// The route of a path in its one form, by the longest prefix. A path that would take another route if
    /// case did not matter takes none: it may not matter to the service behind.
    pub(crate) fn find(&self, path: &str) -> Option<&Arc<Route>> {
        let route = self.0.iter().find(|route| leads(&route.prefix, path, str::eq_ignore_ascii_case))?;
        leads(&route.prefix, path, str::eq).then_some(route)
    }
}

/// Whether a path begins with the segments of a prefix.
pub(crate) fn leads(prefix: &str, path: &str, equal: fn(&str, &str) -> bool) -> bool {
    let Some(beginning) = path.get(..prefix.len()) else { return false };
    equal(beginning, prefix) && matches!(path.as_bytes().get(prefix.len()), None | Some(b'/'))
}

impl Default for Limits {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { first_byte: minute, idle: minute, body: Some(100 * 1024 * 1024) }
    }
}

impl Route {
    /// What goes upstream in place of the path.
    pub(crate) fn onward<'a>(&self, path: &'a str) -> &'a str {
        let rest = if self.strips_prefix { &path[self.prefix.len()..] } else { path };
        if rest.is_empty() { "/" } else { rest }
    }

    /// Its name in logs, metrics and reports of usage.
    pub(crate) fn name(&self) -> &str {
        if self.prefix.is_empty() { "/" } else { &self.prefix }
    }
}
