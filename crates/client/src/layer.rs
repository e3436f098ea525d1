//! A tower layer that lets only requests with a good key pass, for services in Rust.
//!
//! The key comes as `Authorization: Bearer`, `Authorization: ApiKey` or `X-API-Key`. It is taken off the
//! request before the service behind sees it; in its place the request's extensions have an
//! [`AdmittedKey`]. What is refused is answered as at the gateway of the platform. What was admitted is
//! reported as usage once it is answered.
//!
//! ```no_run
//! use axum::routing::post;
//! use axum::{Extension, Router};
//! use hokusai_client::{AdmittedKey, RequireKey, Secret, Verifier};
//!
//! async fn predict(Extension(AdmittedKey(key)): Extension<AdmittedKey>) -> String {
//!     format!("{} may have this", key.rights.user_id)
//! }
//!
//! # async fn example(service_token: Secret) -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = Verifier::builder(["http://127.0.0.1:4658"], service_token)
//!     .journal("/var/lib/my-service/hokusai")
//!     .start()?;
//! let layer = RequireKey::new(verifier.clone()).service("prediction").scope("predict");
//! let app: Router = Router::new().route("/predict", post(predict)).layer(layer);
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hokusai_core::id::KeyId;
use hokusai_core::policy::{Attempt, ClientAddress, Demand};
use hokusai_core::verifier::KnownKey;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::clock::Stopwatch;
use crate::credential::{Ambiguous, presented, take_off};
use crate::denial::Denial;
use crate::verifier::{Served, Verifier};

/// Finds a request's client address among its extensions.
type FindAddress = Arc<dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync>;
/// Names what a request asks for.
type FindRoute = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

/// What a request is reported as whose caller went before it was answered.
const CALLER_GONE: u16 = 499;
/// What a request is reported as whose service broke instead of answering.
const BROKEN: u16 = 500;

/// Asks for a key of each request.
#[derive(Clone)]
#[must_use]
pub struct RequireKey {
    verifier: Verifier,
    service_id: Option<Arc<str>>,
    scope: Option<Arc<str>>,
    client_address: FindAddress,
    endpoint: Arc<str>,
    route: FindRoute,
}

/// The key that a request was admitted by, among the request's extensions.
#[derive(Clone, Debug)]
pub struct AdmittedKey(pub KnownKey);

/// A service behind [`RequireKey`].
#[derive(Clone)]
pub struct WithKey<S> {
    inner: S,
    layer: RequireKey,
}

impl RequireKey {
    /// Lets every good key pass.
    pub fn new(verifier: Verifier) -> Self {
        Self {
            verifier,
            service_id: None,
            scope: None,
            client_address: Arc::new(|_| None),
            endpoint: "unknown".into(),
            route: Arc::new(|_| None),
        }
    }

    /// Only keys for this service.
    pub fn service(self, service_id: &str) -> Self {
        Self { service_id: Some(service_id.into()), ..self }
    }

    /// Only keys with this scope.
    pub fn scope(self, scope: &str) -> Self {
        Self { scope: Some(scope.into()), ..self }
    }

    /// How to find a request's client address, such as the connection's. Without it, keys that may be used
    /// from certain addresses only are refused, and look-ups of unknown keys are not counted by address.
    pub fn client_address(
        self,
        find: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self { client_address: Arc::new(find), ..self }
    }

    /// What requests are reported as that [`RequireKey::route`] does not name: `unknown` unless set.
    pub fn endpoint(self, endpoint: &str) -> Self {
        Self { endpoint: endpoint.into(), ..self }
    }

    /// How to name what a request asks for in reports of usage: a route such as `/models/{id}`, not a path
    /// with ids. In axum:
    ///
    /// ```
    /// # use axum::extract::MatchedPath;
    /// # fn example(layer: hokusai_client::RequireKey) -> hokusai_client::RequireKey {
    /// layer.route(|parts| Some(parts.extensions.get::<MatchedPath>()?.as_str().to_owned()))
    /// # }
    /// ```
    pub fn route(self, name: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { route: Arc::new(name), ..self }
    }

    /// A report of a request that goes on.
    fn report(&self, key: &KnownKey, parts: &Parts) -> Report {
        let endpoint = (self.route)(parts).unwrap_or_else(|| self.endpoint.to_string());
        let service_id = self.service_id.as_deref().unwrap_or(&key.rights.service_id).to_owned();
        let (verifier, stopwatch) = (self.verifier.clone(), Stopwatch::start());
        Report { verifier, key: key.id, service_id, endpoint, stopwatch, status: CALLER_GONE }
    }

    /// The key's facts, or the answer to a request that may not pass.
    async fn admit(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<KnownKey, Denial> {
        let key = presented(headers, std::iter::empty()).map_err(|Ambiguous| Denial::ambiguous())?;
        let key = key.ok_or_else(Denial::no_key)?;
        let address = (self.client_address)(extensions);
        let attempt = Attempt {
            service_id: self.service_id.as_deref(),
            demand: Demand::scope(self.scope.as_deref()),
            client: address.map_or(ClientAddress::Told("unknown"), ClientAddress::Known),
        };
        let decision = self.verifier.admit(key.expose(), &attempt).await;
        let scopes = || self.scope.as_deref().map(str::to_owned).into_iter().collect();
        Ok(Denial::unless_admitted(decision, address, scopes)?.0)
    }
}

/// A request that goes on; it is reported when this goes, also if its caller does not wait for the answer.
struct Report {
    verifier: Verifier,
    key: KeyId,
    service_id: String,
    endpoint: String,
    stopwatch: Stopwatch,
    status: u16,
}

impl Drop for Report {
    fn drop(&mut self) {
        self.verifier.report(Served {
            key: self.key,
            service_id: &self.service_id,
            endpoint: &self.endpoint,
            status: self.status,
            took: self.stopwatch.read(),
        });
    }
}

fn answer<B: From<String>>(denial: &Denial) -> Response<B> {
    let mut response = Response::new(B::from(denial.body().to_string()));
    *response.status_mut() = denial.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = denial.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if denial.asks_for_a_key() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

impl<S> Layer<S> for RequireKey {
    type Service = WithKey<S>;

    fn layer(&self, inner: S) -> WithKey<S> {
        WithKey { inner, layer: self.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for WithKey<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that said that it is ready is the one that is called.
        let waiting = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, waiting);
        let layer = self.layer.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let key = match layer.admit(&parts.headers, &parts.extensions).await {
                Err(denial) => return Ok(answer(&denial)),
                Ok(key) => key,
            };
            take_off(&mut parts.headers);
            let mut report = layer.report(&key, &parts);
            parts.extensions.insert(AdmittedKey(key));
            let answered = inner.call(Request::from_parts(parts, body)).await;
            report.status = answered.as_ref().map_or(BROKEN, |response| response.status().as_u16());
            answered
        })
    }
}

impl std::fmt::Debug for RequireKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequireKey").field("scope", &self.scope).finish_non_exhaustive()
    }
}
