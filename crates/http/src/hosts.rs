//! Which names a request may call its host by.

use http::HeaderMap;
use http::header::HOST;

/// Whether the request is for none of the hosts that are `allowed`. Without any, all are. Keeps web pages
/// from reaching a service on one's own machine.
#[must_use]
pub fn is_foreign_host(headers: &HeaderMap, allowed: &[String]) -> bool {
    if allowed.is_empty() {
        return false;
    }
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    !allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}
