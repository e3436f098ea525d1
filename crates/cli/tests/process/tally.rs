//! Counting what came of many validations, by the hour that the service named.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;

use crate::http::Answer;
use crate::site::{NewKey, validation};

/// What came of validations of one key.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests admitted, by the end of their hour.
    admitted: BTreeMap<u64, u32>,
    /// Requests answered with 429.
    pub(crate) limited: u32,
    /// Requests that were not answered.
    pub(crate) lost: u32,
}

impl Tally {
    pub(crate) fn count(&mut self, answer: &Answer) {
        match answer.status {
            200 => {
                let hour = answer.header("x-ratelimit-reset").expect("a limit was consulted");
                *self.admitted.entry(hour.parse().unwrap()).or_default() += 1;
            }
            429 => self.limited += 1,
            status => panic!("{status}: {}", answer.body),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (hour, count) in other.admitted {
            *self.admitted.entry(hour).or_default() += count;
        }
        self.limited += other.limited;
        self.lost += other.lost;
    }

    /// The most that were admitted in one hour.
    pub(crate) fn most_in_an_hour(&self) -> u32 {
        self.admitted.values().copied().max().unwrap_or(0)
    }

    pub(crate) fn admitted(&self) -> u32 {
        self.admitted.values().sum()
    }

    /// Whether everything was admitted in one and the same hour.
    pub(crate) fn is_of_one_hour(&self) -> bool {
        self.admitted.len() <= 1
    }
}

/// Runs a fact about one hour; once more, if the hour turned meanwhile.
pub(crate) fn in_one_hour(mut fact: impl FnMut() -> Tally) -> Tally {
    let tally = fact();
    let tally = if tally.is_of_one_hour() { tally } else { fact() };
    assert!(tally.is_of_one_hour(), "no fact takes an hour: {tally:?}");
    tally
}

/// Sends `requests` validations, all at once, in turn to each node.
pub(crate) fn at_once(nodes: &[SocketAddr], key: &NewKey, requests: usize) -> Tally {
    gather(requests, |number, tally| tally.count(&validation(key).send(nodes[number % nodes.len()])))
}

/// Sends validations one after the other, so that the node asks ahead and has units at hand in the end.
pub(crate) fn one_by_one(node: SocketAddr, key: &NewKey, requests: usize) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..requests {
        tally.count(&validation(key).send(node));
    }
    tally
}

/// Validates from several threads until each was told that nothing is left.
pub(crate) fn until_dry(nodes: &[SocketAddr], key: &NewKey, threads: usize) -> Tally {
    gather(threads, |number, tally| {
        while tally.limited == 0 {
            tally.count(&validation(key).send(nodes[number % nodes.len()]));
        }
    })
}

/// Runs `work` in several threads and adds up what they counted.
pub(crate) fn gather(threads: usize, work: impl Fn(usize, &mut Tally) + Sync) -> Tally {
    let mut sum = Tally::default();
    thread::scope(|scope| {
        let started: Vec<_> = (0..threads)
            .map(|number| {
                let work = &work;
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    work(number, &mut tally);
                    tally
                })
            })
            .collect();
        for thread in started {
            sum.add(thread.join().unwrap());
        }
    });
    sum
}
