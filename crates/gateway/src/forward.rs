//! Fifth phase: the request goes to the upstream, with who asks and without the key.

use std::sync::Arc;

use hokusai_client::{Denial, KeyFacts, Scope};
use hokusai_http::FORWARDED_FOR;
use http::header::{CONNECTION, COOKIE, HOST, HeaderName, VIA};
use http::request::Parts as Head;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;

use crate::answer;
use crate::body::{AnswerBody, Progress, Upload, UploadFault};
use crate::credential::Query;
use crate::gateway::{Caller, Parts};
use crate::pool::Lease;
use crate::receive::{bad_request, too_large};
use crate::routes::Route;
use crate::upstream::SendError;

/// Headers by which a request that reads is taken for one that changes.
const OVERRIDES: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];
/// How headers begin that only the gateway may send: who asks, from where, and for which path.
const CLAIMS: [&str; 5] = ["x-hokusai-", "x-forwarded-", "x-real-ip", "x-original-", "x-rewrite-"];
/// How many headers the gateway adds.
const OWN: usize = 9;
const USER_ID: HeaderName = HeaderName::from_static("x-hokusai-user-id");
const KEY_ID: HeaderName = HeaderName::from_static("x-hokusai-key-id");
const SCOPES: HeaderName = HeaderName::from_static("x-hokusai-scopes");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

impl Parts {
    /// Sends the request on, and takes the beginning of the answer.
    pub(crate) async fn forward(
        &self,
        mut head: Box<Head>,
        (upload, progress): (Upload, Option<Arc<Progress>>),
        target: PathAndQuery,
        route: &Route,
        caller: &Caller,
        key: &KeyFacts,
    ) -> Result<Response<AnswerBody>, Denial> {
        let upstream = &route.upstream;
        self.prepare(&mut head, caller, key);
        head.headers.insert(HOST, upstream.host_header());
        head.uri = Uri::from(target);
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let limits = route.limits;
        let patience = progress.is_none().then_some(limits.first_byte);
        let answered = match &progress {
            None => upstream.send(head, upload, patience).await,
            // What is rare lies elsewhere: a request is moved the less.
            Some(progress) => {
                Box::pin(async {
                    tokio::select! {
                        answered = upstream.send(head, upload, patience) => answered,
                        () = progress.stands_still(limits.first_byte) => Err(SendError::Late),
                    }
                })
                .await
            }
        };
        let (response, mut lease) = received(answered, progress.as_deref(), route)?;
        lease.hold_for(progress, limits.idle);
        answer::forwarded(response, lease, limits.idle)
    }

    /// Headers as the upstream gets them.
    fn prepare(&self, Head { headers, method, .. }: &mut Head, caller: &Caller, key: &KeyFacts) {
        let (host, reads) = (headers.get(HOST).cloned(), method.is_safe());
        // Room for all that follows is made once.
        headers.reserve(OWN);
        drop_named(headers);
        drop_those(headers, |name| {
            let ends_here = is_between_neighbours(name) || is_of_this_hop(name);
            ends_here || is_claim(name) || (reads && is_override(name))
        });
        join_cookies(headers);
        headers.insert(FORWARDED_FOR, caller.address.clone());
        let scheme = if self.options.is_tls { "https" } else { "http" };
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
        if let Some(host) = host {
            headers.insert(FORWARDED_HOST, host);
        }
        headers.append(VIA, self.via.clone());
        headers.insert(hokusai_http::REQUEST_ID, caller.id.value());
        identify(headers, key);
    }
}

impl Route {
    /// What goes upstream in place of what was asked for: the path in its one form, and the query without a key.
    /// Mostly that is the same. A path that is called `/` may be none as it was written.
    pub(crate) fn target(&self, asked: &Uri, path: &str, query: &Query<'_>) -> Result<PathAndQuery, Denial> {
        let onward = self.onward(path);
        if let Some(as_asked) = asked.path_and_query()
            && self.upstream.is_root()
            && onward == asked.path()
            && onward != "/"
            && !query.had_key
        {
            return Ok(as_asked.clone());
        }
        let target = self.upstream.target(onward, query.rest.as_deref());
        target.ok_or_else(|| bad_request("bad_path", "The path and query can't be sent on"))
    }
}

/// Says who asks.
pub(crate) fn identify(headers: &mut HeaderMap, key: &KeyFacts) {
    headers.insert(USER_ID, text(&key.rights.user_id));
    headers.insert(KEY_ID, text(&key.id.to_string()));
    let scopes = match &*key.rights.scopes {
        [scope] => text(scope.as_str()),
        scopes => text(&scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")),
    };
    headers.insert(SCOPES, scopes);
}

/// A header's value, which takes no more room than its text. What can't be one is left empty: better nobody than
/// somebody else.
pub(crate) fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// HTTP/2 may send cookies in several lines, HTTP/1.1 may not (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(all) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, all);
    }
}

/// Drops what is between two neighbours, and what `Connection` names.
pub(crate) fn drop_between_neighbours(headers: &mut HeaderMap) {
    drop_named(headers);
    drop_those(headers, is_between_neighbours);
}

/// Drops what `Connection` names. What it mostly says names nothing but what is dropped anyway.
fn drop_named(headers: &mut HeaderMap) {
    let names_any = |value: &&HeaderValue| *value != "keep-alive" && *value != "close";
    let values: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().filter(names_any).cloned().collect();
    for name in values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        headers.remove(name.trim());
    }
}

/// Whether a header is between two neighbours only (RFC 9110, section 7.6.1), or takes the place of one that is.
fn is_between_neighbours(name: &str) -> bool {
    matches!(
        name,
        "close"
            | "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether the gateway makes a header itself, or it is for the gateway alone.
fn is_of_this_hop(name: &str) -> bool {
    matches!(
        name,
        "content-length" | "expect" | "forwarded" | "proxy-authorization" | "x-api-key" | "x-request-id"
    )
}

/// Whether only the gateway may say it of a caller.
fn is_claim(name: &str) -> bool {
    CLAIMS.iter().any(|claim| name.starts_with(claim))
}

/// Whether it turns a request that reads into one that changes: that was judged as one that reads.
pub(crate) fn is_override(name: &str) -> bool {
    OVERRIDES.contains(&name)
}

/// Drops headers by their names. Some servers read `_` as `-`, so that a name that is spelt with it is meant, too.
pub(crate) fn drop_those(headers: &mut HeaderMap, is_one: impl Fn(&str) -> bool) {
    let is_meant = |name: &&HeaderName| match name.as_str() {
        spelt if spelt.contains('_') => is_one(&spelt.replace('_', "-")),
        name => is_one(name),
    };
    let names: Vec<HeaderName> = headers.keys().filter(is_meant).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// The answer's beginning, or whose fault it is that there is none.
fn received(
    answered: Result<(Response<Incoming>, Lease), SendError>,
    progress: Option<&Progress>,
    route: &Route,
) -> Result<(Response<Incoming>, Lease), Denial> {
    match progress.and_then(Progress::fault) {
        Some(UploadFault::TooLarge) => return Err(too_large(route.limits.body.unwrap_or(u64::MAX))),
        Some(UploadFault::Stalled) => {
            let detail = "The request's body did not come in time";
            return Err(Denial::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail));
        }
        Some(UploadFault::BrokenOff) => {
            return Err(bad_request("body_broken", "The request's body broke off"));
        }
        None => {}
    }
    answered.map_err(|failure| failed(&failure, route.name()))
}

/// The answer if an upstream did not answer in time.
pub(crate) fn late(route: &str) -> Denial {
    tracing::warn!(route, "the upstream did not answer in time");
    let detail = "The service behind the gateway did not answer in time";
    Denial::new(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", detail)
}

/// The answer if there is none from upstream.
pub(crate) fn failed(failure: &SendError, route: &str) -> Denial {
    let (status, code, detail) = match failure {
        SendError::Unreachable(_) | SendError::ConnectTimeout => (
            StatusCode::BAD_GATEWAY,
            "upstream_unreachable",
            "The service behind the gateway can't be reached",
        ),
        SendError::Crowded => (
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_busy",
            "All connections to the service behind the gateway are in use",
        ),
        SendError::Late => return late(route),
        SendError::Broken(_) => (
            StatusCode::BAD_GATEWAY,
            "upstream_broken",
            "The service behind the gateway broke the exchange off",
        ),
    };
    tracing::warn!(route, error = %full(failure), "the upstream failed");
    let denial = Denial::new(status, code, detail);
    Denial { retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1), ..denial }
}

/// An error with its causes. What libraries say here names addresses and faults, never headers.
fn full(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{RouteTable, Surroundings};
    use crate::credential;
    use crate::path::canonical;

    /// The route for everything to an upstream.
    fn route(upstream: &str) -> Arc<Route> {
        let text = format!("[[gateway.routes]]\nprefix = \"/\"\nupstream = \"{upstream}\"\n");
        let here = Surroundings { listen: ([127, 0, 0, 1], 1).into(), services: None, has_mlflow: false };
        RouteTable::read(&text, &here).unwrap().0.find("/").unwrap().clone()
    }

    #[test]
    fn what_goes_upstream_is_what_was_judged() {
        for (upstream, asked, expected) in [
            ("http://127.0.0.1:9", "/a?q", "/a?q"),
            ("http://127.0.0.1:9", "/a?", "/a?"),
            ("http://127.0.0.1:9", "/%61?q", "/a?q"),
            ("http://127.0.0.1:9", "/a?api_key=k&q", "/a?q"),
            ("http://127.0.0.1:9", "/a?api_key=k", "/a"),
            ("http://127.0.0.1:9", "http://h/a?q#x", "/a?q"),
            ("http://127.0.0.1:9", "http://h#x", "/"),
            ("http://127.0.0.1:9", "http://h?q#x", "/?q"),
            ("http://127.0.0.1:9", "http://h", "/"),
            ("http://127.0.0.1:9", "/", "/"),
            ("http://127.0.0.1:9/base", "/a?q", "/base/a?q"),
            ("http://127.0.0.1:9/base", "/", "/base/"),
        ] {
            let (uri, mut headers) = (asked.parse::<Uri>().unwrap(), HeaderMap::new());
            headers.insert("x-api-key", HeaderValue::from_static("k"));
            let (_, query) = credential::take(&mut headers, uri.query()).unwrap();
            let target = route(upstream).target(&uri, &canonical(uri.path()).unwrap(), &query).unwrap();
            assert_eq!(Uri::from(target).to_string(), expected, "{asked}");
        }
    }
}
