//! Where a request comes from.

use std::net::IpAddr;

use axum::http::{Extensions, HeaderMap};
use hokusai_core::address::client_behind;
use ipnet::IpNet;

/// The other end of the connection; the listener adds it to every request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Where a request comes from, as far as it can be believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The client.
    pub(crate) client: IpAddr,
    /// Whether nobody's word was offered, or it was a trusted proxy's: then `client` is who really speaks.
    pub(crate) is_certain: bool,
}

pub(crate) fn origin(extensions: &Extensions, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> Origin {
    let peer = extensions.get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
    let forwarded = headers.get_all("x-forwarded-for");
    let client =
        client_behind(peer, forwarded.iter().filter_map(|value| value.to_str().ok()), trusted_proxies);
    let forwards = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    Origin { client, is_certain: !forwards || client != peer.to_canonical() }
}
