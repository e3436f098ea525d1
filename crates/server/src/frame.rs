//! What surrounds every request: its id, the security headers, one log line, its metrics, and that it was
//! refused.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hokusai_http::{REQUEST_ID, RequestId, add_security_headers, count_request, is_foreign_host};
use tracing::Instrument as _;

use crate::address::origin;
use crate::app::App;
use crate::error::{ApiError, CountedRefusal};

pub(crate) async fn frame(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = app.engine.clock().elapsed();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let client = origin(request.extensions(), request.headers(), &app.options.trusted_proxies).client;
    request.extensions_mut().insert(id.clone());

    let mut response = if is_foreign_host(request.headers(), &app.options.allowed_hosts) {
        ApiError::foreign_host().into_response()
    } else {
        // Whatever is logged on the way carries the request's id.
        next.run(request).instrument(tracing::error_span!("request", id = %id.text())).await
    };

    if let Some(CountedRefusal(code)) = response.extensions().get() {
        app.engine.count_refused_call(client, code);
    }
    let status = response.status().as_u16();
    let took = app.engine.clock().elapsed().since(started);
    tracing::info!(
        request_id = %id.text(), %method, route, status, %client, took_us = took.as_micros() as u64, "request"
    );
    count_request(method.as_str(), route, status, took);
    response.headers_mut().insert(REQUEST_ID, id.value());
    add_security_headers(response.headers_mut(), app.options.strict_transport);
    response
}
