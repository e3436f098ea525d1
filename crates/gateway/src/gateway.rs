//! The way of a request through the gateway, from top to bottom.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use hokusai_client::{Client, Denial, HourlyQuota, KnownKey, Served, Verifier};
use hokusai_http::{Exposition, Listener, Origin, Peer, RequestId, Workers, origin};
use http::request::Parts as Head;
use http::{HeaderValue, Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::service::service_fn;
use ipnet::IpNet;

use crate::access::{Access, AccessLog};
use crate::body::{AnswerBody, Upload};
use crate::clock::{self, Moment};
use crate::config::RouteTable;
use crate::mlflow::{self, Mlflow};
use crate::models::{self, Asker, Catalogue};
use crate::routes::{Limits, Place, Routes};
use crate::traffic::{self, Traffic};
use crate::upstream::unshared;
use crate::{answer, credential, forward, own, receive};

/// The status that is noted of a request whose caller did not wait for the answer.
const CALLER_GONE: u16 = 499;

/// What can be set.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Proxies whose word on the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Networks that may read the metrics, besides this machine.
    pub metrics_networks: Vec<IpNet>,
    /// Whether a proxy is in front that is not among the trusted: every client may then seem to be this machine.
    pub behind_unnamed_proxy: bool,
    /// Whether clients speak TLS, to the gateway or to a proxy in front.
    pub is_tls: bool,
    /// If not empty, requests for any other host are refused.
    pub allowed_hosts: Vec<String>,
    /// The MLflow server behind it.
    pub mlflow: Option<Mlflow>,
    /// Where the lines about requests go; `None`: where all others do.
    pub access_log: Option<AccessLog>,
    /// The program's version, and the commit that it was built from.
    pub version: (String, String),
}

/// A gateway.
pub struct Gateway(Arc<Parts>);

/// What every request needs.
pub(crate) struct Parts {
    pub(crate) routes: Routes,
    pub(crate) verifier: Verifier,
    pub(crate) options: GatewayOptions,
    pub(crate) exposition: Exposition,
    catalogue: Catalogue,
    /// Tells this gateway from others: a request that passes it twice goes in circles.
    pub(crate) name: String,
    /// How it names itself to upstreams (RFC 9110, section 7.6.3).
    pub(crate) via: HeaderValue,
    /// Requests that no route was found for, and those to the gateway itself.
    elsewhere: Traffic,
}

/// A client's connection: what its requests share. They count who uses it, which no other worker has to hear of.
struct Link {
    gateway: Arc<Parts>,
    peer: Peer,
    /// The other end, as headers and logs say it.
    address: HeaderValue,
}

/// Who asks, and when.
pub(crate) struct Caller {
    pub(crate) id: RequestId,
    pub(crate) origin: Origin,
    /// The client's address, as headers and logs say it.
    pub(crate) address: HeaderValue,
    pub(crate) started: Moment,
}

/// What is known of a request so far; the answer and the log say it.
#[derive(Default)]
pub(crate) struct Seen<'a> {
    pub(crate) place: Option<Place<'a>>,
    pub(crate) admitted: Option<(KnownKey, HourlyQuota)>,
    pub(crate) key_in_query: bool,
}

impl Gateway {
    /// Puts the parts together. The nodes of the service are asked about models, unless there is an MLflow.
    #[must_use]
    pub fn new(
        routes: RouteTable,
        verifier: Verifier,
        nodes: Vec<Client>,
        options: GatewayOptions,
        exposition: Exposition,
    ) -> Self {
        traffic::describe();
        let name = format!("hokusai-{:08x}", rand::random::<u32>());
        let via = unshared(&format!("1.1 {name}")).expect("letters and digits are a header's value");
        let mlflow = options.mlflow.as_ref().map(Mlflow::upstream);
        let (elsewhere, catalogue) = (Traffic::of("none"), Catalogue::new(nodes, mlflow, Limits::default()));
        let routes = routes.0;
        Self(Arc::new(Parts { routes, verifier, options, exposition, catalogue, name, via, elsewhere }))
    }
}

impl Link {
    fn new(gateway: &Gateway, peer: Peer) -> Arc<Self> {
        Arc::new(Self { gateway: gateway.0.clone(), peer, address: said(peer.0.to_canonical()) })
    }

    /// Answers a request. What waits is small: each request is moved with it.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> + Send + 'static {
        let origin = origin(self.peer, request.headers(), &self.gateway.options.trusted_proxies);
        let is_peer = origin.client == self.peer.0.to_canonical();
        let address = if is_peer { self.address.clone() } else { said(origin.client) };
        let id = RequestId::of(request.headers());
        let caller = Caller { id, origin, address, started: clock::now() };
        let (head, body) = request.into_parts();
        let mut head = Box::new(head);
        let uri = std::mem::take(&mut head.uri);
        receive::name_host(&mut head, &uri);
        let method = receive::known_method(&head.method);
        async move {
            let (gateway, caller) = (&*self.gateway, &caller);
            let seen = Seen::default();
            let mut exchange = Exchange { gateway, method, caller, seen, status: CALLER_GONE };
            let Exchange { seen, status, .. } = &mut exchange;
            let mut response = match gateway.pass(head, body, &uri, caller, seen).await {
                Ok(response) => response,
                Err(denial) => gateway.denied(denial, seen.place.as_ref(), uri.path()),
            };
            *status = response.status().as_u16();
            answer::finish(&mut response, caller, seen, gateway.options.is_tls);
            Ok(response)
        }
    }
}

impl Parts {
    /// The phases in their order. Whoever does not pass one is told why.
    async fn pass<'a>(
        &'a self,
        mut head: Box<Head>,
        body: Incoming,
        uri: &Uri,
        caller: &Caller,
        seen: &mut Seen<'a>,
    ) -> Result<Response<AnswerBody>, Denial> {
        let path = receive::well_formed(&head, uri, self)?;
        if let Some(answer) = own::answer(&head, &path, caller, self) {
            return answer;
        }
        let place = &*seen.place.insert(self.place(&head.method, &path)?);
        receive::fits(&head, self.limits(place))?;
        let (key, query) = credential::take(&mut head.headers, uri.query())?;
        seen.key_in_query = query.had_key;
        if let Place::Route(route) = place {
            route.accepts(&key)?;
        }
        let (key, quota) = self.verify(&key, place, place.demand(&head.method), caller).await?;
        let key = &seen.admitted.insert((key, quota)).0;
        // What most requests don't need lies elsewhere: each is moved the less.
        match place {
            Place::Models(call) => {
                let asker = Asker { key, request: &caller.id };
                Box::pin(self.catalogue.answer(call, query.rest.as_deref(), body, asker)).await
            }
            Place::Route(route) => {
                let body = Upload::of(body, route.limits);
                self.forward(head, body, route.target(uri, &path, &query)?, route, caller, key).await
            }
            Place::Mlflow(call) => {
                let body = Box::pin(call.body(&mut head.headers, body)).await?;
                self.forward(head, body, call.mount.target(uri, &path, &query)?, call.mount, caller, key)
                    .await
            }
        }
    }

    /// Where the request leads. Nothing passes by default.
    fn place(&self, method: &Method, path: &str) -> Result<Place<'_>, Denial> {
        if let Some(call) = models::Call::of(method, path) {
            return call.map(Place::Models);
        }
        if let Some(call) = self.options.mlflow.as_ref().and_then(|mlflow| mlflow.find(method, path)) {
            return call.map(Place::Mlflow);
        }
        self.routes.find(path).map(|route| Place::Route(route)).ok_or_else(receive::no_route)
    }

    /// The answer to a request that does not pass, in the words of its client; also if it leads nowhere.
    fn denied(&self, denial: Denial, place: Option<&Place<'_>>, path: &str) -> Response<AnswerBody> {
        let is_for_mlflow = match place {
            Some(place) => matches!(place, Place::Mlflow(_)),
            None => self.options.mlflow.as_ref().is_some_and(|mlflow| mlflow.owns(path)),
        };
        if is_for_mlflow { mlflow::denied(denial) } else { answer::denied(&denial, &denial.body()) }
    }

    fn limits(&self, place: &Place<'_>) -> Limits {
        match place {
            Place::Route(route) => route.limits,
            Place::Models(_) => self.catalogue.limits(),
            Place::Mlflow(call) => call.limits(),
        }
    }

    fn traffic<'a>(&'a self, place: Option<&Place<'a>>) -> &'a Traffic {
        match place {
            None => &self.elsewhere,
            Some(Place::Route(route)) => &route.traffic,
            Some(Place::Models(call)) => self.catalogue.traffic(call),
            Some(Place::Mlflow(call)) => {
                self.options.mlflow.as_ref().map_or(&self.elsewhere, |mlflow| mlflow.traffic(call))
            }
        }
    }
}

/// A request and what became of it. At its end it is counted, logged without anything that could be a secret,
/// and reported as usage if its key was admitted; also if its caller goes before the answer is there.
struct Exchange<'a> {
    gateway: &'a Parts,
    method: &'static str,
    caller: &'a Caller,
    seen: Seen<'a>,
    status: u16,
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        let (took, place) = (self.caller.started.elapsed(), self.seen.place.as_ref());
        let gateway = self.gateway;
        gateway.traffic(place).count(self.status, took);
        let (status, admitted) = (self.status, self.seen.admitted.as_ref());
        if let (Some(place), Some((key, _))) = (place, admitted) {
            let service_id = place.service().unwrap_or(&key.rights.service_id);
            gateway.verifier.report(Served { key: key.id, service_id, endpoint: place.name(), status, took });
        }
        let access = Access {
            request_id: self.caller.id.text(),
            method: self.method,
            route: place.map_or("none", Place::name),
            status,
            client: self.caller.address.to_str().unwrap_or_default(),
            key_id: admitted.map(|(key, _)| key.id),
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        };
        match &gateway.options.access_log {
            Some(log) => log.take(&access),
            None => access.tell(),
        }
    }
}

/// Answers requests until `stop`, then finishes what is in flight.
pub async fn serve(listener: Listener, workers: Workers, gateway: Gateway, stop: impl Future<Output = ()>) {
    let connection = move |peer: Peer| {
        let link = Link::new(&gateway, peer);
        service_fn(move |request| link.clone().answer(request))
    };
    listener.serve(workers, connection, stop).await;
}

/// An address, as headers and logs say it.
fn said(address: IpAddr) -> HeaderValue {
    forward::text(&address.to_string())
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("name", &self.0.name).finish_non_exhaustive()
    }
}
