//! MLflow behind the gateway: where its calls are, what each asks of a key, and what is told to whoever may not
//! make one. What the table of its routes does not name is not passed on.

mod graphql;
mod table;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use hokusai_client::{Demand, Denial};
use http::header::{
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_ENCODING, HOST, HeaderName, ORIGIN,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use serde_json::Value;

use crate::answer;
use crate::body::{AnswerBody, Progress, Upload};
use crate::config;
use crate::forward::{drop_those, is_override};
use crate::receive::{no_route, whole, wrong_method};
use crate::routes::{Limits, Route, leads};
use crate::traffic::Traffic;
use crate::upstream::{Upstream, UpstreamOptions};
use table::{Found, Power, Row};

/// Where all of MLflow is, besides the root.
const MOUNTS: [&str; 2] = ["/mlflow", "/api/mlflow"];
/// What belongs to MLflow at the root: no route of the file may begin there.
const AT_THE_ROOT: [&str; 12] = [
    "/ajax-api",
    "/api/2.0/mlflow",
    "/api/2.0/mlflow-artifacts",
    "/api/2.0mlflow",
    "/api/3.0/mlflow",
    "/build",
    "/gateway",
    "/get-artifact",
    "/graphql",
    "/model-versions",
    "/static-files",
    "/v1/traces",
];
/// Chooses one of several workspaces. No key is bound to one, so nobody may choose.
const WORKSPACE: HeaderName = HeaderName::from_static("x-mlflow-workspace");
/// The most seconds that its client is told to wait: it sleeps for as long as it is told.
const LONGEST_WAIT: u64 = 60;

/// An MLflow server to stand in front of. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Mlflow(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    /// The root, and [`MOUNTS`].
    mounts: Vec<Route>,
    passes_admin: bool,
    /// One for each row of the table, once there was a call.
    traffic: Box<[OnceLock<Traffic>]>,
}

/// A call that MLflow is known to answer.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// Below which prefix it came.
    pub(crate) mount: &'a Route,
    row: &'static Row,
}

impl Mlflow {
    /// The server at a URL. What makes that server itself do something is passed on only if `passes_admin`.
    ///
    /// # Errors
    /// What is wrong with the URL: among others, that it is where the gateway listens.
    pub fn at(url: &str, listen: SocketAddr, passes_admin: bool) -> Result<Self, String> {
        let options = UpstreamOptions::default();
        let upstream = config::upstream(url, listen, options);
        let upstream = Arc::new(upstream.map_err(|fault| fault.what)?);
        // It stores what it was sent, or fetches what it is asked for, before it answers; and artifacts are large.
        let limits = Limits { first_byte: Duration::from_secs(300), ..Limits::default() };
        let mount = |prefix: &&str| Route {
            prefix: (*prefix).into(),
            upstream: upstream.clone(),
            strips_prefix: true,
            scopes: Box::default(),
            service: None,
            key_prefixes: Box::default(),
            limits,
            traffic: Traffic::of(prefix),
        };
        let mounts = [""].iter().chain(&MOUNTS).map(mount).collect();
        let traffic = (0..table::size()).map(|_| OnceLock::new()).collect();
        Ok(Self(Arc::new(Parts { mounts, passes_admin, traffic })))
    }

    /// The host of the server.
    #[must_use]
    pub fn host(&self) -> String {
        String::from_utf8_lossy(self.0.mounts[0].upstream.host_header().as_bytes()).into_owned()
    }

    /// Every scope that lets a key do something here.
    #[must_use]
    pub fn scopes(&self) -> Vec<&'static str> {
        let all = ["mlflow:access", "mlflow:read", "mlflow:write", "model:read", "model:write"];
        all.into_iter().chain(self.0.passes_admin.then_some("mlflow:admin")).collect()
    }

    /// The server, for whoever asks it in other words.
    pub(crate) fn upstream(&self) -> Arc<Upstream> {
        self.0.mounts[0].upstream.clone()
    }

    /// Whether it answers. A server that starts is asked until it does.
    pub async fn answers(&self) -> bool {
        let upstream = self.upstream();
        let (mut head, ()) = Request::new(()).into_parts();
        head.headers.insert(HOST, upstream.host_header());
        let Some(target) = upstream.target("/health", None) else { return false };
        head.uri = Uri::from(target);
        let sent = upstream.send(Box::new(head), Upload::whole(Bytes::new()), None).await;
        sent.is_ok_and(|(response, _)| response.status().is_success())
    }

    /// Below which prefix a path is, whatever its case. `None`: it does not belong to MLflow.
    fn mount(&self, path: &str) -> Option<&Route> {
        let (root, below) = self.0.mounts.split_first()?;
        let ignoring_case = |prefix: &str| leads(prefix, path, str::eq_ignore_ascii_case);
        let is_at_the_root =
            || matches!(path, "/" | "/version") || AT_THE_ROOT.iter().any(|at| ignoring_case(at));
        let mount = below.iter().find(|mount| ignoring_case(&mount.prefix));
        mount.or_else(|| is_at_the_root().then_some(root))
    }

    /// Whether its client waits for the answer, as far as a path tells, which need not have its one form.
    pub(crate) fn owns(&self, path: &str) -> bool {
        self.mount(path).is_some()
    }

    /// What a method on a path asks. `None`: the path does not belong to MLflow.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<Result<Call<'_>, Denial>> {
        let mount = self.mount(path)?;
        if !leads(&mount.prefix, path, str::eq) {
            return Some(Err(no_route()));
        }
        Some(match table::find(method, mount.onward(path)) {
            Found::Row(row) if row.power == Power::Admin && !self.0.passes_admin => {
                let detail = "This part of MLflow is not passed on: mlflow_admin is off";
                Err(Denial::new(StatusCode::NOT_FOUND, "not_found", detail))
            }
            Found::Row(row) => Ok(Call { mount, row }),
            Found::OtherMethod => Err(wrong_method()),
            Found::Nothing => Err(no_route()),
        })
    }

    pub(crate) fn traffic(&self, call: &Call<'_>) -> &Traffic {
        self.0.traffic[call.row.index].get_or_init(|| Traffic::of(&call.row.path))
    }
}

/// The prefix of MLflow that another begins with; `None`: it may lead elsewhere.
pub(crate) fn claims(prefix: &str) -> Option<&'static str> {
    let mut own = MOUNTS.into_iter().chain(AT_THE_ROOT);
    own.find(|own| leads(own, prefix, str::eq_ignore_ascii_case))
}

impl Call<'_> {
    /// What it asks of a key.
    pub(crate) fn demand(&self) -> Demand<'static> {
        self.row.power.demand()
    }

    /// Its name in logs, metrics and reports of usage.
    pub(crate) fn name(&self) -> &str {
        &self.row.path
    }

    pub(crate) fn limits(&self) -> Limits {
        match self.row.power {
            Power::Graphql => Limits { body: Some(graphql::LARGEST), ..self.mount.limits },
            Power::Upload => Limits { body: None, ..self.mount.limits },
            _ => self.mount.limits,
        }
    }

    /// The body as it goes on. Of a call to GraphQL, it decides whether the call does.
    pub(crate) async fn body(
        &self,
        headers: &mut HeaderMap,
        body: Incoming,
    ) -> Result<(Upload, Option<Arc<Progress>>), Denial> {
        // The gateway lets no page of another origin ask, and its own origin means nothing to MLflow.
        let means_nothing =
            [ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS, WORKSPACE];
        drop_those(headers, |name| means_nothing.iter().any(|nothing| nothing == name) || is_override(name));
        let limits = self.limits();
        if self.row.power != Power::Graphql {
            return Ok(Upload::of(body, limits));
        }
        headers.remove(CONTENT_ENCODING);
        let checked = graphql::checked(&whole(body, graphql::LARGEST, limits.idle).await?)?;
        Ok((Upload::whole(checked), None))
    }
}

/// The answer to a call that does not pass, as its client and people understand it.
pub(crate) fn denied(denial: Denial) -> Response<AnswerBody> {
    let retry_after = denial.retry_after.map(|seconds| seconds.min(LONGEST_WAIT));
    let denial = Denial { retry_after, ..denial };
    answer::denied(&denial, &body(&denial))
}

/// What it says; but that a limit was passed is said in the same words everywhere.
fn body(denial: &Denial) -> Value {
    let mut body = denial.body();
    let error_code = match denial.status {
        StatusCode::TOO_MANY_REQUESTS => return body,
        StatusCode::UNAUTHORIZED => "UNAUTHENTICATED",
        StatusCode::FORBIDDEN => "PERMISSION_DENIED",
        StatusCode::NOT_FOUND => "ENDPOINT_NOT_FOUND",
        status if status.is_server_error() => "TEMPORARILY_UNAVAILABLE",
        _ => "BAD_REQUEST",
    };
    let message = match denial.scopes.first() {
        Some(scope) => format!("{}: the key needs {scope}", denial.detail),
        None => denial.detail.clone(),
    };
    if let Value::Object(fields) = &mut body {
        fields.insert("error_code".into(), error_code.into());
        fields.insert("message".into(), message.into());
    }
    body
}

#[cfg(test)]
mod tests;
