//! First phase: is the request well formed, and where does it lead?

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use hokusai_client::Denial;
use hokusai_http::is_foreign_host;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, VIA};
use http::request::Parts as Head;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::gateway::Parts;
use crate::path::canonical;
use crate::routes::Limits;

/// The most bytes of names and values in a request's header lines. The connection's buffer ends some way
/// behind it: what is larger than that is refused without a body that says so.
const MOST_IN_HEADERS: usize = 64 * 1024;

/// HTTP/2 has the host in its target. From here on it is where HTTP/1.1 has it.
pub(crate) fn name_host(head: &mut Head, uri: &Uri) {
    if head.version >= Version::HTTP_2
        && !head.headers.contains_key(HOST)
        && let Some(host) = uri.authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok())
    {
        head.headers.insert(HOST, host);
    }
}

/// The path in its one form, of a request that has one meaning only.
pub(crate) fn well_formed<'a>(head: &Head, uri: &'a Uri, gateway: &Parts) -> Result<Cow<'a, str>, Denial> {
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        let detail = "The gateway takes no CONNECT and no TRACE";
        return Err(Denial::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail));
    }
    let in_headers: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if in_headers > MOST_IN_HEADERS {
        let detail = format!("The request's headers are larger than {MOST_IN_HEADERS} bytes");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Denial::new(status, "headers_too_large", detail));
    }
    if head.version < Version::HTTP_2 && head.headers.get_all(HOST).iter().count() != 1 {
        let is_old = head.version < Version::HTTP_11 && !head.headers.contains_key(HOST);
        if !is_old {
            return Err(bad_request("bad_host", "Send one Host header"));
        }
    }
    if is_foreign_host(&head.headers, &gateway.options.allowed_hosts) {
        let detail = "Requests for this host are not answered here";
        return Err(Denial::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail));
    }
    if has_other_coding(&head.headers) {
        let detail = "The gateway takes no Transfer-Encoding but chunked";
        return Err(Denial::new(StatusCode::NOT_IMPLEMENTED, "unknown_coding", detail));
    }
    if went_in_circles(&head.headers, &gateway.name) {
        let detail = "The request came through this gateway before: an upstream leads back to it";
        return Err(Denial::new(StatusCode::LOOP_DETECTED, "loop_detected", detail));
    }
    canonical(uri.path())
        .map_err(|fault| bad_request("bad_path", format!("The path can't be used as it is: {fault}")))
}

/// Whether a body is coded in more than chunks, which would be lost on the way: it goes on as it was read.
/// Of a request with a length besides, the length is dropped before it is seen here, and nothing is read
/// behind it.
fn has_other_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_plain = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    !is_plain || codings.next().is_some()
}

/// Nothing is passed on but what a route says.
pub(crate) fn no_route() -> Denial {
    Denial::new(StatusCode::NOT_FOUND, "not_found", "Nothing is served at this path")
}

/// The path is there, for other methods.
pub(crate) fn wrong_method() -> Denial {
    let detail = "This method can't be used here";
    Denial::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// Whether the body is within the route's bounds, as far as it says so in advance.
pub(crate) fn fits(head: &Head, limits: Limits) -> Result<(), Denial> {
    let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match (limits.body, length) {
        (Some(most), Some(length)) if length > most => Err(too_large(most)),
        _ => Ok(()),
    }
}

pub(crate) fn too_large(most: u64) -> Denial {
    let detail = format!("The request's body is larger than the {most} bytes that this route takes");
    Denial::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

/// Reads a body to its end: one of at most `most` bytes, that comes within `patience`.
pub(crate) async fn whole(body: Incoming, most: u64, patience: Duration) -> Result<Bytes, Denial> {
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    match timeout(patience, Limited::new(body, limit).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Ok(Err(_)) => Err(bad_request("body_broken", "The request's body broke off")),
        Err(_) => {
            let detail = "The request's body did not come in time";
            Err(Denial::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail))
        }
    }
}

pub(crate) fn bad_request(code: &'static str, detail: impl Into<String>) -> Denial {
    Denial::new(StatusCode::BAD_REQUEST, code, detail)
}

fn went_in_circles(headers: &HeaderMap, name: &str) -> bool {
    headers.get_all(VIA).iter().any(|via| via.to_str().is_ok_and(|via| via.contains(name)))
}

/// Any text can be a method; the log names those that are common.
pub(crate) fn known_method(method: &Method) -> &'static str {
    ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"]
        .into_iter()
        .find(|known| method == known)
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn the_host_is_where_the_version_has_it() {
        for (version, given, expected) in [
            (Version::HTTP_2, None, Some("h:1")),
            (Version::HTTP_2, Some("g"), Some("g")),
            (Version::HTTP_11, None, None),
        ] {
            let mut request = Request::builder().version(version).uri("https://h:1/x");
            if let Some(host) = given {
                request = request.header(HOST, host);
            }
            let (mut head, ()) = request.body(()).unwrap().into_parts();
            let uri = head.uri.clone();
            name_host(&mut head, &uri);
            assert_eq!(head.headers.get(HOST).map(HeaderValue::as_bytes), expected.map(str::as_bytes));
        }
    }
}
