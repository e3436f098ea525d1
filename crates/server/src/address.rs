//! Where a request of the router comes from.

use axum::http::{Extensions, HeaderMap};
use hokusai_http::{Origin, Peer};
use ipnet::IpNet;

/// Where a request comes from, by the peer among its extensions.
pub(crate) fn origin(extensions: &Extensions, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> Origin {
    let unknown = Peer([0, 0, 0, 0].into());
    hokusai_http::origin(extensions.get().copied().unwrap_or(unknown), headers, trusted_proxies)
}
