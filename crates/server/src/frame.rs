//! What surrounds every request: its id, the security headers, one log line, its metrics, and that it was
//! refused.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument as _;

use crate::address::origin;
use crate::app::App;
use crate::error::{ApiError, CountedRefusal};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: the caller's, if it is sane and no credential, else a new one.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

pub(crate) async fn frame(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = app.engine.clock().elapsed();
    let id = RequestId(request_id(request.headers()));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let client = origin(request.extensions(), request.headers(), &app.options.trusted_proxies).client;
    request.extensions_mut().insert(id.clone());

    let mut response = if is_foreign_host(&app, request.headers()) {
        ApiError::foreign_host().into_response()
    } else {
        // Whatever is logged on the way carries the request's id.
        next.run(request).instrument(tracing::error_span!("request", id = %id.0)).await
    };

    if let Some(CountedRefusal(code)) = response.extensions().get() {
        app.engine.count_refused_call(client, code);
    }
    let status = response.status().as_u16();
    let took = app.engine.clock().elapsed().since(started);
    tracing::info!(
        request_id = %id.0, %method, route, status, %client, took_us = took.as_micros() as u64, "request"
    );
    count(method.as_str(), route, status, took);
    add_headers(response.headers_mut(), &id, app.options.strict_transport);
    response
}

fn count(method: &str, route: String, status: u16, took: Duration) {
    let labels =
        [("method", known_method(method).to_owned()), ("route", route), ("status", status.to_string())];
    metrics::counter!("hokusai_http_requests_total", &labels).increment(1);
    metrics::histogram!("hokusai_http_request_seconds", "route" => labels[1].1.clone())
        .record(took.as_secs_f64());
}

/// Any text can be a method; labels are of a bounded set.
fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        let is_credential = id.contains("hk_") || id.contains("hka_");
        !is_credential
            && (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(sane);
    given.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

fn is_foreign_host(app: &App, headers: &HeaderMap) -> bool {
    let allowed = &app.options.allowed_hosts;
    if allowed.is_empty() {
        return false;
    }
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    !allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

fn add_headers(headers: &mut HeaderMap, id: &RequestId, strict_transport: bool) {
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if strict_transport {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
}
