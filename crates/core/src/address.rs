//! Client addresses: reading them from any text, allowlists, and who spoke behind trusted proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// The most entries that an allowlist may have.
pub const MAX_ALLOWLIST: usize = 100;

/// Reads an allowlist entry: an address or a CIDR block, v4 or v6. IPv4-mapped IPv6 becomes IPv4.
#[must_use]
pub fn parse_block(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    let block = text.parse::<IpNet>().ok()?;
    match (block.addr().to_canonical(), block.prefix_len()) {
        (IpAddr::V4(v4), length @ 96..) if block.addr().is_ipv6() => IpNet::new(v4.into(), length - 96).ok(),
        _ => Some(block),
    }
}

/// Writes an entry as people write it: a single address without its prefix length.
#[must_use]
pub fn block_text(block: &IpNet) -> String {
    if block.prefix_len() == block.max_prefix_len() { block.addr().to_string() } else { block.to_string() }
}

/// Reads an address from what clients send: `1.2.3.4`, `1.2.3.4:567`, `::1`, `[::1]`, `[::1]:567`.
#[must_use]
pub fn parse_client(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|peer| peer.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// Whether one of `blocks` holds `address`. An IPv4-mapped IPv6 address counts as its IPv4 twin.
#[must_use]
pub fn contains(blocks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    blocks.iter().any(|block| block.contains(&address))
}

/// The client behind `peer`: the peer itself, or, if it is a trusted proxy, the right-most entry of
/// `X-Forwarded-For` that is not one. An entry that is no address ends the search: the proxy that wrote
/// it is all that is known.
#[must_use]
pub fn client_behind<'a>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    trusted_proxies: &[IpNet],
) -> IpAddr {
    let mut client = peer.to_canonical();
    for entry in forwarded_for.flat_map(|header| header.split(',')).rev() {
        if !contains(trusted_proxies, client) {
            break;
        }
        let Some(address) = parse_client(entry) else { break };
        client = address;
    }
    client
}

/// What a client is counted by: its IPv4 address, or its IPv6 /64, since one host has a whole /64.
#[must_use]
pub fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| parse_block(text).unwrap()).collect()
    }

    #[test]
    fn blocks_hold_their_addresses_and_mapped_twins() {
        let table = [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "10.9.9.9", true),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("2001:db8::/32", "2001:db8:1::9", true),
            ("2001:db8::/32", "10.0.0.1", false),
            ("::/0", "2001:db8::1", true),
        ];
        for (block, address, inside) in table {
            assert_eq!(contains(&blocks(&[block]), address.parse().unwrap()), inside, "{block} {address}");
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in ["300.1.1.1", "10.0.0.0/33", "::/129", "localhost", "", "10.0.0.1:80", "10.0.0/8"] {
            assert!(parse_block(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_client_address_is_read_in_every_common_form() {
        for (text, read) in [
            ("1.2.3.4", Some("1.2.3.4")),
            (" 1.2.3.4 ", Some("1.2.3.4")),
            ("1.2.3.4:567", Some("1.2.3.4")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("[::1]:567", Some("::1")),
            ("::ffff:1.2.3.4", Some("1.2.3.4")),
            ("unknown", None),
            ("testclient", None),
            ("", None),
        ] {
            assert_eq!(parse_client(text), read.map(|read| read.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_from_the_right() {
        let proxies = blocks(&["10.0.0.0/8"]);
        let table: [(&str, &[&str], &str); 8] = [
            ("203.0.113.9", &["1.1.1.1"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["9.9.9.9, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["9.9.9.9, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", &["9.9.9.9", "1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["9.9.9.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ];
        for (peer, headers, client) in table {
            let found = client_behind(peer.parse().unwrap(), headers.iter().copied(), &proxies);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {headers:?}");
        }
    }

    #[test]
    fn an_ipv6_host_counts_as_its_network() {
        let counted = counted_as("2001:db8:1:2:3:4:5:6".parse().unwrap());
        assert_eq!(counted, "2001:db8:1:2::".parse::<IpAddr>().unwrap());
        assert_eq!(counted_as("::ffff:1.2.3.4".parse().unwrap()), "1.2.3.4".parse::<IpAddr>().unwrap());
    }
}
