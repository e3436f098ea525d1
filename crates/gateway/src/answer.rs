//! Last phase: the answer, with what the gateway has to say itself.

use std::time::Duration;

use hokusai_client::{Denial, HourlyQuota};
use hokusai_http::{REQUEST_ID, add_security_headers};
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER, TRANSFER_ENCODING, WARNING, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;

use crate::body::AnswerBody;
use crate::forward::{drop_between_neighbours, text};
use crate::gateway::{Caller, Seen};
use crate::pool::Lease;

/// How many headers most answers get.
const OWN: usize = 4;
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");

/// Marks answers that do not come from an upstream.
#[derive(Clone, Copy)]
struct OfOurOwn;

/// The answer to a request that does not pass.
pub(crate) fn denied(denial: &Denial, body: &Value) -> Response<AnswerBody> {
    let mut response = json(denial.status, body.to_string());
    let headers = response.headers_mut();
    if let Some(seconds) = denial.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if denial.asks_for_a_key() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// An answer of the gateway's own.
pub(crate) fn json(status: StatusCode, body: String) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(OfOurOwn);
    response
}

/// The upstream's answer, on its way to the client.
pub(crate) fn forwarded(
    response: Response<Incoming>,
    lease: Lease,
    idle: Duration,
) -> Result<Response<AnswerBody>, Denial> {
    if response.status().is_informational() {
        // Nobody asked for another protocol.
        let detail = "The service behind the gateway answered in a way that can't be passed on";
        return Err(Denial::new(StatusCode::BAD_GATEWAY, "upstream_broken", detail));
    }
    let (mut head, body) = response.into_parts();
    if head.headers.contains_key(TRANSFER_ENCODING) {
        // The chunks say how long it is (RFC 9112, section 6.3).
        head.headers.remove(CONTENT_LENGTH);
    }
    drop_between_neighbours(&mut head.headers);
    head.extensions.clear();
    Ok(Response::from_parts(head, AnswerBody::streamed(body, idle, lease)))
}

/// Adds what every answer says: the request's id, how the limit stands, and a word on keys in queries.
pub(crate) fn finish(
    response: &mut Response<AnswerBody>,
    caller: &Caller,
    seen: &Seen<'_>,
    strict_transport: bool,
) {
    let is_our_own = response.extensions_mut().remove::<OfOurOwn>().is_some();
    let headers = response.headers_mut();
    headers.reserve(OWN);
    headers.insert(REQUEST_ID, caller.id.value());
    if is_our_own {
        add_security_headers(headers, strict_transport);
    }
    if let Some((_, quota)) = &seen.admitted {
        tell_quota(headers, quota);
    }
    if seen.key_in_query {
        let words = r#"299 - "A key in a query ends up in logs; send it as Authorization: Bearer""#;
        headers.append(WARNING, HeaderValue::from_static(words));
        // RFC 9745; as long as there are these keys, the parameter has been deprecated.
        headers.insert(DEPRECATION, HeaderValue::from_static("@1735689600"));
    }
}

fn tell_quota(headers: &mut HeaderMap, quota: &HourlyQuota) {
    let mut numeral = itoa::Buffer::new();
    headers.insert(LIMIT, text(numeral.format(quota.limit)));
    headers.insert(REMAINING, text(numeral.format(quota.remaining)));
    headers.insert(RESET, text(numeral.format((quota.hour.0 + 1) * 3600)));
}
