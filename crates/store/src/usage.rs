//! Usage: records, each taken once, and their sums, which are written in the same transaction.
//!
//! Every transaction writes in one order: records, then months, hours, days and endpoints, each sorted by
//! what finds its rows. So two nodes never wait for each other in a circle.

pub(crate) mod columns;
pub(crate) mod horizon;
mod ingest;
mod intake;
mod prune;
mod reconcile;
mod reports;
pub(crate) mod sums;

use std::time::Duration;

use hokusai_core::calendar::Month;
use hokusai_core::id::KeyId;
use hokusai_core::usage::{MAX_BATCH, Record, WrongInstant};

pub use reconcile::{Difference, ReconciledAccount, Reconciliation};
pub use reports::{GroupBy, ServiceDay, UsageGroup};

use self::ingest::{on_postgres, on_sqlite};
use self::intake::Owner;
use quick_cache::sync::Cache;

use crate::StoreError;
use crate::database::{Store, run};

/// An endpoint of a key in a month.
pub(crate) type KnownEndpoint = (KeyId, Month, Box<str>);

/// What need not be asked of the database again.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// Whose a key is, which never changes.
    owners: Cache<KeyId, Owner>,
    /// Endpoints that have their row, or nearly had: what is rolled back after it was put here may get a row
    /// more than are told apart, which does no harm.
    endpoints: Cache<KnownEndpoint, ()>,
}

impl Remembered {
    pub(crate) fn new() -> Self {
        Self { owners: Cache::new(50_000), endpoints: Cache::new(100_000) }
    }
}

/// Who reports, and so of which keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reporter {
    /// Somebody who may report of every key.
    Anyone,
    /// A user: of the user's own keys.
    User(String),
    /// A key: of itself.
    Key(KeyId),
}

/// Records that are taken all together or not at all.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who reports.
    pub reporter: Reporter,
    /// The records.
    pub records: Vec<Record>,
    /// Whether it is refused where it would pass a monthly limit that may not be passed.
    pub is_debit: bool,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is in the store.
    Taken {
        /// Records that were new.
        new: usize,
        /// Records that had been taken before.
        known: usize,
    },
    /// Nothing was taken: there is no such key, or the reporter may not know of it.
    UnknownKey {
        /// The first record that names one.
        index: usize,
    },
    /// Nothing was taken: a record lies too far ahead or back.
    WrongInstant {
        /// The first such record.
        index: usize,
        /// What is wrong.
        why: WrongInstant,
    },
    /// Nothing was taken: the debit would pass the monthly limit.
    PastMonthlyLimit {
        /// Predictions in a month.
        limit: i64,
        /// Those that are used.
        used: i64,
    },
}

impl Store {
    /// Forgets whose keys are and which endpoints have their row: the database may be another than it was.
    pub fn forget_owners(&self) {
        self.remembered.owners.clear();
        self.remembered.endpoints.clear();
    }

    /// A full batch has twice the time of anything small.
    fn time_for(&self, records: usize) -> Duration {
        let records = u32::try_from(records).unwrap_or(u32::MAX);
        self.timeout.saturating_add(self.timeout.saturating_mul(records) / MAX_BATCH as u32)
    }

    /// Takes reports in one transaction: once this returns they are durable. No two of them may hold records
    /// of the same id; within one report the first of such records counts. Instants are judged by the store's
    /// time, by what is kept for `retention_days`, and by what was dropped before.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer; the whole may have happened all the same.
    pub async fn record_usage(
        &self,
        reports: &[&Report],
        plans: &hokusai_core::billing::Plans,
        retention_days: i64,
    ) -> Result<Vec<Recorded>, StoreError> {
        let limit = self.time_for(reports.iter().map(|report| report.records.len()).sum());
        run!(self, within limit, record_usage(&self.remembered, reports, plans, retention_days))
    }
}
