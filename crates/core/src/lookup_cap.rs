//! The cap on look-ups that a stranger can cause: so many per client address in each second.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::address::counted_as;
use crate::time::{Elapsed, SECOND};

/// The most addresses counted in one second; beyond it, new addresses share what is left: nothing.
const MAX_ADDRESSES: usize = 65_536;

/// Counts look-ups per address and second.
#[derive(Debug)]
pub struct LookupCap {
    per_second: u32,
    second: i64,
    counts: HashMap<IpAddr, u32>,
}

impl LookupCap {
    /// A cap of `per_second` look-ups for each IPv4 address or IPv6 /64. Zero allows none.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self { per_second, second: 0, counts: HashMap::new() }
    }

    /// Takes one look-up for `address`; `false` if its second is used up.
    pub fn take(&mut self, address: IpAddr, now: Elapsed) -> bool {
        self.turn_to(now);
        let address = counted_as(address);
        if self.counts.len() >= MAX_ADDRESSES && !self.counts.contains_key(&address) {
            return false;
        }
        let count = self.counts.entry(address).or_default();
        *count = count.saturating_add(1);
        *count <= self.per_second
    }

    /// Gives back what was taken for something that turned out to be known.
    pub fn refund(&mut self, address: IpAddr, now: Elapsed) {
        self.turn_to(now);
        if let Some(count) = self.counts.get_mut(&counted_as(address)) {
            *count = count.saturating_sub(1);
        }
    }

    fn turn_to(&mut self, now: Elapsed) {
        let second = now.0.div_euclid(SECOND);
        if second != self.second {
            self.second = second;
            self.counts.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_count_and_each_second_a_new_one() {
        let mut cap = LookupCap::new(2);
        let (a, b) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let taken: Vec<bool> = [a, a, a, b].map(|address| cap.take(address, Elapsed(0))).to_vec();
        assert_eq!(taken, [true, true, false, true]);
        cap.refund(b, Elapsed(0));
        assert_eq!([b, b, b].map(|address| cap.take(address, Elapsed(0))), [true, true, false]);
        assert!(!cap.take(a, Elapsed(SECOND - 1)));
        assert!(cap.take(a, Elapsed(SECOND)));
    }

    #[test]
    fn one_host_cannot_use_the_addresses_of_its_network() {
        let mut cap = LookupCap::new(1);
        assert!(cap.take("2001:db8::1".parse().unwrap(), Elapsed(0)));
        assert!(!cap.take("2001:db8::2".parse().unwrap(), Elapsed(0)));
    }

    #[test]
    fn a_cap_of_zero_allows_nothing() {
        assert!(!LookupCap::new(0).take("10.0.0.1".parse().unwrap(), Elapsed(0)));
    }
}
