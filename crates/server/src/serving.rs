//! The router behind a listener.

use std::convert::Infallible;
use std::future::Future;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use hokusai_http::{Listener, Peer, Workers};
use hyper::body::Incoming;

/// Answers requests with `router` until `stop`, then finishes what is in flight.
pub async fn serve(listener: Listener, router: Router, stop: impl Future<Output = ()>) {
    listener.serve(Workers::here(), move |peer| Connection { router: router.clone(), peer }, stop).await;
}

/// The router for the requests of one peer.
#[derive(Clone)]
struct Connection {
    router: Router,
    peer: Peer,
}

impl hyper::service::Service<Request<Incoming>> for Connection {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        // A router is always ready.
        tower::Service::call(&mut self.router.clone(), request.map(Body::new))
    }
}
