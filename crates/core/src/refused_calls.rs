//! Counting refused calls: sums for each minute, address and code, however many there are.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use crate::address::counted_as;
use crate::time::Timestamp;

/// The most pairs of address and code that are told apart in one minute.
const MAX_PAIRS: usize = 1000;
/// The most sums that wait to be written.
const MAX_WAITING: usize = 10_000;
/// The address under which all others are counted.
pub const OTHER: &str = "other";

/// What a sum is of. Sums are written in the order of these, so that two writers never wait for each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The minute's first instant.
    pub minute: Timestamp,
    /// The client's address, of an IPv6 address the first of its /64; or [`OTHER`].
    pub address: String,
    /// The code of the refusal.
    pub code: String,
}

/// A sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedSum {
    /// What it is of.
    pub refused: Refused,
    /// How many calls.
    pub count: i64,
}

/// The refused calls that were not written down yet.
#[derive(Debug)]
pub struct RefusedCalls {
    minute: Timestamp,
    /// What is told apart in this minute, also if it was written down already.
    pairs: HashSet<(IpAddr, &'static str)>,
    waiting: BTreeMap<Refused, i64>,
}

impl RefusedCalls {
    /// Nothing was refused so far.
    #[must_use]
    pub fn new() -> Self {
        Self { minute: Timestamp(0), pairs: HashSet::new(), waiting: BTreeMap::new() }
    }

    /// Counts a call. What comes from one IPv6 /64 counts together: one host has a whole /64.
    pub fn count(&mut self, now: Timestamp, address: IpAddr, code: &'static str) {
        let minute = now.minute();
        if minute != self.minute {
            self.minute = minute;
            self.pairs.clear();
        }
        let pair = (counted_as(address), code);
        let is_told_apart = self.pairs.contains(&pair) || self.pairs.len() < MAX_PAIRS;
        let address = if is_told_apart { pair.0.to_string() } else { OTHER.to_owned() };
        if is_told_apart {
            self.pairs.insert(pair);
        }
        self.add(Refused { minute, address, code: code.to_owned() }, 1);
    }

    /// Takes all sums, to be written down.
    pub fn take(&mut self) -> Vec<RefusedSum> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|(refused, count)| RefusedSum { refused, count }).collect()
    }

    /// Takes back what could not be written down.
    pub fn put_back(&mut self, sums: &[RefusedSum]) {
        for sum in sums {
            self.add(sum.refused.clone(), sum.count);
        }
    }

    fn add(&mut self, mut refused: Refused, count: i64) {
        if self.waiting.len() >= MAX_WAITING && !self.waiting.contains_key(&refused) {
            OTHER.clone_into(&mut refused.address);
        }
        let sum = self.waiting.entry(refused).or_default();
        *sum = sum.saturating_add(count);
    }
}

impl Default for RefusedCalls {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MINUTE;

    const NOW: Timestamp = Timestamp(100 * MINUTE);

    /// One of many clients, 10.0.0.0 and those that follow.
    fn client(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits((10 << 24) + number).into()
    }

    fn sums(calls: &mut RefusedCalls) -> Vec<(i64, String, String, i64)> {
        let sums = calls.take().into_iter();
        sums.map(|RefusedSum { refused, count }| {
            (refused.minute.0 / MINUTE, refused.address, refused.code, count)
        })
        .collect()
    }

    fn told(minute: i64, address: &str, code: &str, count: i64) -> (i64, String, String, i64) {
        (minute, address.to_owned(), code.to_owned(), count)
    }

    #[test]
    fn each_minute_address_and_code_has_a_sum_of_its_own() {
        let mut calls = RefusedCalls::new();
        for (after, address, code) in
            [(0, 2, "x"), (0, 1, "y"), (MINUTE - 1, 1, "y"), (0, 1, "x"), (MINUTE, 1, "y")]
        {
            calls.count(NOW.plus(after), client(address), code);
        }
        let expected = [
            told(100, "10.0.0.1", "x", 1),
            told(100, "10.0.0.1", "y", 2),
            told(100, "10.0.0.2", "x", 1),
            told(101, "10.0.0.1", "y", 1),
        ];
        assert_eq!(sums(&mut calls), expected);
        assert_eq!(sums(&mut calls), []);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_together() {
        let mut calls = RefusedCalls::new();
        for address in ["2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:3::1", "::ffff:10.0.0.1"] {
            calls.count(NOW, address.parse().unwrap(), "x");
        }
        let expected = [("10.0.0.1", 1), ("2001:db8:1:2::", 2), ("2001:db8:1:3::", 1)];
        assert_eq!(sums(&mut calls), expected.map(|(address, count)| told(100, address, "x", count)));
    }

    #[test]
    fn beyond_a_thousand_pairs_a_minute_the_rest_shares_one_sum() {
        let mut calls = RefusedCalls::new();
        for number in 0..3000 {
            calls.count(NOW, client(number), "x");
        }
        let first = sums(&mut calls);
        assert_eq!(first.len(), MAX_PAIRS + 1);
        assert!(first.contains(&told(100, OTHER, "x", 2000)));
        // Writing down makes no room in the same minute, and those that were told apart stay so.
        calls.count(NOW, client(2999), "x");
        calls.count(NOW, client(0), "x");
        assert_eq!(sums(&mut calls), [told(100, "10.0.0.0", "x", 1), told(100, OTHER, "x", 1)]);
        calls.count(NOW.plus(MINUTE), client(2999), "x");
        assert_eq!(sums(&mut calls), [told(101, "10.0.11.183", "x", 1)]);
    }

    #[test]
    fn what_could_not_be_written_is_added_to_what_came_since() {
        let mut calls = RefusedCalls::new();
        calls.count(NOW, client(1), "x");
        let taken = calls.take();
        calls.count(NOW, client(1), "x");
        calls.put_back(&taken);
        assert_eq!(sums(&mut calls), [told(100, "10.0.0.1", "x", 2)]);
    }

    #[test]
    fn a_store_that_is_away_for_long_does_not_fill_the_memory() {
        let mut calls = RefusedCalls::new();
        for minute in 0..50 {
            for number in 0..1000 {
                calls.count(NOW.plus(minute * MINUTE), client(number), "x");
            }
        }
        let taken = calls.take();
        assert!(taken.len() < MAX_WAITING + 50, "{}", taken.len());
        assert_eq!(taken.iter().map(|sum| sum.count).sum::<i64>(), 50_000);
    }
}
