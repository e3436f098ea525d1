//! The way of a request through the gateway, from top to bottom.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hokusai_client::{Denial, HourlyQuota, KeyFacts, Verifier};
use hokusai_http::{Exposition, Listener, Origin, Peer, RequestId, origin};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use ipnet::IpNet;

use crate::body::AnswerBody;
use crate::clock::{self, Moment};
use crate::config::RouteTable;
use crate::routes::{Route, Routes};
use crate::traffic::{self, Traffic};
use crate::{answer, credential, own, receive};

/// What can be set.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Proxies whose word on the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Networks that may read the metrics, besides this machine.
    pub metrics_networks: Vec<IpNet>,
    /// Whether clients speak TLS, to the gateway or to a proxy in front.
    pub is_tls: bool,
    /// If not empty, requests for any other host are refused.
    pub allowed_hosts: Vec<String>,
    /// The program's version, and the commit that it was built from.
    pub version: (String, String),
}

/// A gateway. Clones share it.
#[derive(Clone)]
pub struct Gateway(Arc<Parts>);

/// What every request needs.
pub(crate) struct Parts {
    pub(crate) routes: Routes,
    pub(crate) verifier: Verifier,
    pub(crate) options: GatewayOptions,
    pub(crate) exposition: Exposition,
    /// Tells this gateway from others: a request that passes it twice goes in circles.
    pub(crate) name: String,
    /// Requests that no route was found for, and those to the gateway itself.
    elsewhere: Traffic,
}

/// Who asks, and when.
pub(crate) struct Caller {
    pub(crate) id: RequestId,
    pub(crate) origin: Origin,
    pub(crate) started: Moment,
}

/// What is known of a request so far; the answer and the log say it.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) admitted: Option<(KeyFacts, HourlyQuota)>,
    pub(crate) key_in_query: bool,
}

impl Gateway {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        routes: RouteTable,
        verifier: Verifier,
        options: GatewayOptions,
        exposition: Exposition,
    ) -> Self {
        traffic::describe();
        let name = format!("hokusai-{:08x}", rand::random::<u32>());
        let elsewhere = Traffic::of("none");
        Self(Arc::new(Parts { routes: routes.0, verifier, options, exposition, name, elsewhere }))
    }

    /// Answers a request.
    async fn answer(self, request: Request<Incoming>, peer: Peer) -> Response<AnswerBody> {
        let gateway = &*self.0;
        let caller = Caller {
            id: RequestId::of(request.headers()),
            origin: origin(peer, request.headers(), &gateway.options.trusted_proxies),
            started: clock::now(),
        };
        let method = request.method().clone();
        let mut seen = Seen::default();
        let response = match gateway.pass(request, &caller, &mut seen).await {
            Ok(response) => response,
            Err(denial) => answer::denied(&denial, gateway.options.is_tls),
        };
        let response = answer::finish(response, &caller, &seen);
        gateway.note(&method, &caller, &seen, &response);
        response
    }
}

impl Parts {
    /// The phases in their order. Whoever does not pass one is told why.
    async fn pass(
        &self,
        request: Request<Incoming>,
        caller: &Caller,
        seen: &mut Seen,
    ) -> Result<Response<AnswerBody>, Denial> {
        let (mut parts, body) = request.into_parts();
        let uri = std::mem::take(&mut parts.uri);
        let path = receive::well_formed(&parts, &uri, self)?;
        if let Some(answer) = own::answer(&parts, &path, caller, self) {
            return answer;
        }
        let route = self.routes.find(&path).ok_or_else(receive::no_route)?.clone();
        seen.route = Some(route.clone());
        receive::fits(&parts, route.limits)?;
        let (key, query) = credential::take(&mut parts.headers, uri.query())?;
        seen.key_in_query = query.had_key;
        let demand = route.demand(&parts.method);
        route.accepts(&key)?;
        seen.admitted = Some(self.verify(&key, &route, demand, caller).await?);
        self.forward((parts, body), (&path, query.rest.as_deref()), &route, caller, seen).await
    }

    /// One line in the log, without anything that could be a secret; and the figures.
    fn note(&self, method: &Method, caller: &Caller, seen: &Seen, response: &Response<AnswerBody>) {
        let took = caller.started.elapsed();
        let route = seen.route.as_deref();
        let traffic = route.map_or(&self.elsewhere, |route| &route.traffic);
        traffic.count(response.status(), took);
        tracing::info!(
            target: "hokusai_gateway::access",
            request_id = %caller.id.0,
            method = receive::known_method(method),
            route = route.map_or("none", Route::name),
            status = response.status().as_u16(),
            client = %caller.origin.client,
            key_id = seen.admitted.as_ref().map(|(key, _)| tracing::field::display(key.id)),
            took_us = whole_micros(took),
            "request"
        );
    }
}

fn whole_micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Answers requests until `stop`, then finishes what is in flight.
pub async fn serve(listener: Listener, gateway: Gateway, stop: impl Future<Output = ()>) {
    listener.serve(move |peer| Connection { gateway: gateway.clone(), peer }, stop).await;
}

/// The gateway for the requests of one peer.
#[derive(Clone)]
struct Connection {
    gateway: Gateway,
    peer: Peer,
}

impl hyper::service::Service<Request<Incoming>> for Connection {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answering = self.gateway.clone().answer(request, self.peer);
        Box::pin(async move { Ok(answering.await) })
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("name", &self.0.name).finish_non_exhaustive()
    }
}
