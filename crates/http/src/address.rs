//! Where a request comes from.

use std::net::IpAddr;

use hokusai_core::address::client_behind;
use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

/// The header in which proxies say where a request came from.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Where a request comes from, as far as it can be believed.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The client.
    pub client: IpAddr,
    /// Whether nobody's word was offered, or it was a trusted proxy's: then `client` is who really speaks.
    pub is_certain: bool,
}

/// Where a request comes from that `peer` sent with these headers.
#[must_use]
pub fn origin(peer: Peer, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> Origin {
    let peer = peer.0;
    let forwarded = headers.get_all(FORWARDED_FOR);
    let client =
        client_behind(peer, forwarded.iter().filter_map(|value| value.to_str().ok()), trusted_proxies);
    let forwards = headers.contains_key(FORWARDED_FOR) || headers.contains_key(FORWARDED);
    Origin { client, is_certain: !forwards || client != peer.to_canonical() }
}
