//! The cap on look-ups that strangers can cause: so many per client address in each second, and, where it is
//! wished, so many of all addresses together.

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
    most_in_all: u32,
    in_all: u32,
}

impl LookupCap {
    /// A cap of `per_second` look-ups for each IPv4 address or IPv6 /64. Zero allows none.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self { per_second, second: 0, counts: HashMap::new(), most_in_all: u32::MAX, in_all: 0 }
    }

    /// As this cap, with no more than `most_in_all` look-ups a second of all addresses together.
    #[must_use]
    pub fn in_all(self, most_in_all: u32) -> Self {
        Self { most_in_all, ..self }
    }

    /// Takes one look-up for `address`; `false` if its second is used up, or that of all together.
    pub fn take(&mut self, address: IpAddr, now: Elapsed) -> bool {
        self.turn_to(now);
        self.take_for(address) && self.take_any(now)
    }

    /// As [`LookupCap::take`], for an address that is not known: only the sum is bounded.
    pub fn take_any(&mut self, now: Elapsed) -> bool {
        self.turn_to(now);
        let may = self.in_all < self.most_in_all;
        self.in_all += u32::from(may);
        may
    }

    /// Gives back to the sum what was taken at `taken` for something that turned out to be known.
    pub fn refund_any(&mut self, taken: Elapsed) {
        if second(taken) == self.second {
            self.in_all = self.in_all.saturating_sub(1);
        }
    }

    #[cfg(test)]
    pub(crate) fn addresses(&self) -> usize {
        self.counts.len()
    }

    fn take_for(&mut self, address: IpAddr) -> bool {
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
        self.refund_any(now);
    }

    fn turn_to(&mut self, now: Elapsed) {
        let second = second(now);
        if second != self.second {
            self.second = second;
            self.counts.clear();
            self.in_all = 0;
        }
    }
}

fn second(at: Elapsed) -> i64 {
    at.0.div_euclid(SECOND)
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
    fn all_addresses_together_have_a_sum_that_what_is_known_does_not_count_in() {
        let mut cap = LookupCap::new(2).in_all(3);
        let hosts = (1..=9).map(|host| IpAddr::from([10, 0, 0, host]));
        let taken = hosts.map(|address| cap.take(address, Elapsed(0))).filter(|taken| *taken).count();
        assert_eq!(taken, 3);
        assert!(!cap.take_any(Elapsed(0)));
        cap.refund_any(Elapsed(0));
        assert_eq!([(); 2].map(|()| cap.take_any(Elapsed(0))), [true, false]);
        assert!((0..3).all(|_| cap.take_any(Elapsed(SECOND))));
        cap.refund_any(Elapsed(0));
        assert!(!cap.take_any(Elapsed(SECOND)), "what an earlier second had is no gain for this one");
    }

    #[test]
    fn a_cap_of_zero_allows_nothing() {
        assert!(!LookupCap::new(0).take("10.0.0.1".parse().unwrap(), Elapsed(0)));
    }
}
