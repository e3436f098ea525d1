//! Counting what becomes of validations: in memory on their way, in the store about every half second.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard};

use hokusai_core::id::KeyId;
use hokusai_core::policy::Refusal;
use hokusai_core::time::{Hour, MINUTE, Timestamp};
use hokusai_store::{HourOfKey, KeyCounts};
use quick_cache::sync::Cache;

use crate::clock::lock;

const SHARDS: usize = 64;
/// That a key was used elsewhere is written down again after this time, in microseconds.
const NOTED_EVERY: i64 = MINUTE;
/// The most keys that it is remembered of when that was last noted.
const MOST_NOTED: usize = 100_000;

/// What came of a validation of a key that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Valid,
    Limited,
    Refused(Refusal),
}

type Counts = HashMap<(KeyId, Hour), (Option<Timestamp>, KeyCounts)>;

/// Counts that were not handed in yet.
#[derive(Debug)]
pub(crate) struct Validations {
    shards: Box<[Mutex<Counts>]>,
    hasher: RandomState,
    outbox: tokio::sync::Mutex<Outbox>,
    /// When keys were last noted as used elsewhere.
    noted: Cache<KeyId, Timestamp>,
    /// Up to where old counts were looked for.
    pub(crate) pruned: Mutex<(String, i64)>,
}

/// Counts that are being handed in.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// The number of the next: the same until the store has them, so that none counts twice.
    pub(crate) seq: i64,
    pub(crate) counts: Vec<HourOfKey>,
    /// How many of them the store has.
    pub(crate) done: usize,
}

impl Validations {
    pub(crate) fn new(now: Timestamp) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let outbox = Outbox { seq: now.0, counts: Vec::new(), done: 0 };
        Self {
            shards,
            hasher: RandomState::new(),
            outbox: tokio::sync::Mutex::new(outbox),
            noted: Cache::new(MOST_NOTED),
            pruned: Mutex::default(),
        }
    }

    pub(crate) fn count(&self, key: KeyId, now: Timestamp, outcome: Outcome) {
        if outcome == Outcome::Refused(Refusal::InvalidKey) {
            // There is no key whose count it could be.
            return;
        }
        let mut counts = self.counts_of(key);
        let (last_used_at, of_key) = counts.entry((key, now.hour())).or_default();
        *match outcome {
            Outcome::Valid => {
                *last_used_at = (*last_used_at).max(Some(now));
                &mut of_key.valid
            }
            Outcome::Limited => &mut of_key.limited,
            Outcome::Refused(Refusal::Expired) => &mut of_key.expired,
            Outcome::Refused(Refusal::Revoked) => &mut of_key.revoked,
            Outcome::Refused(Refusal::ServiceMismatch) => &mut of_key.service_mismatch,
            Outcome::Refused(Refusal::InsufficientScope) => &mut of_key.insufficient_scope,
            Outcome::Refused(Refusal::IpNotAllowed | Refusal::InvalidKey) => &mut of_key.ip_not_allowed,
        } += 1;
    }

    /// A key was used at `at`, which others found good: that moves its last use, and counts as no validation.
    pub(crate) fn note_use(&self, key: KeyId, at: Timestamp) {
        if self.noted.get(&key).is_some_and(|noted| at < noted.plus(NOTED_EVERY)) {
            return;
        }
        self.noted.insert(key, at);
        let mut counts = self.counts_of(key);
        let (last_used_at, _) = counts.entry((key, at.hour())).or_default();
        *last_used_at = (*last_used_at).max(Some(at));
    }

    fn counts_of(&self, key: KeyId) -> MutexGuard<'_, Counts> {
        lock(&self.shards[self.hasher.hash_one(key) as usize % SHARDS])
    }

    /// Who hands counts in, one after the other.
    pub(crate) async fn outbox(&self) -> tokio::sync::MutexGuard<'_, Outbox> {
        self.outbox.lock().await
    }

    /// Moves all counts out, sorted by key and hour.
    pub(crate) fn take(&self) -> Vec<HourOfKey> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let mut counts = lock(shard);
            all.extend(counts.drain().map(|((key, hour), (last_used_at, counts))| HourOfKey {
                key,
                hour,
                last_used_at,
                counts,
            }));
            if counts.capacity() > 1024 {
                counts.shrink_to_fit();
            }
        }
        all.sort_unstable_by_key(|of| (of.key, of.hour));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "018f0000-0000-7000-8000-000000000001";

    #[test]
    fn each_outcome_counts_once_in_its_hour() {
        let now = Timestamp(hokusai_core::time::HOUR);
        let validations = Validations::new(now);
        let key: KeyId = KEY.parse().unwrap();
        for (at, outcome) in [
            (now, Outcome::Valid),
            (now.plus(-1), Outcome::Valid),
            (now.plus(5), Outcome::Valid),
            (now.plus(6), Outcome::Limited),
            (now.plus(7), Outcome::Refused(Refusal::Expired)),
            (now.plus(8), Outcome::Refused(Refusal::IpNotAllowed)),
        ] {
            validations.count(key, at, outcome);
        }
        let counts = validations.take();
        let told: Vec<_> = counts.iter().map(|of| (of.hour.0, of.last_used_at, of.counts.valid)).collect();
        assert_eq!(told, [(0, Some(now.plus(-1)), 1), (1, Some(now.plus(5)), 2)]);
        let KeyCounts { limited, expired, ip_not_allowed, revoked, .. } = counts[1].counts;
        assert_eq!((limited, expired, ip_not_allowed, revoked), (1, 1, 1, 0));
        assert!(validations.take().is_empty());
    }
    #[test]
    fn a_use_elsewhere_moves_the_last_use_once_a_minute_and_counts_as_nothing() {
        let now = Timestamp(hokusai_core::time::HOUR);
        let validations = Validations::new(now);
        let key: KeyId = KEY.parse().unwrap();
        let mut told = Vec::new();
        for at in [0, 1, MINUTE - 1, MINUTE, -MINUTE, 2 * MINUTE].map(|micros| now.plus(micros)) {
            validations.note_use(key, at);
            told.extend(validations.take().into_iter().map(|of| (of.last_used_at.unwrap(), of.counts)));
        }
        let nothing = KeyCounts::default();
        assert_eq!(told, [0, 1, 2].map(|minute| (now.plus(minute * MINUTE), nothing)));
    }
}
