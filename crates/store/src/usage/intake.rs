//! Sorting what came in: whose it is, what is new of it, and what it adds to which sums.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use hokusai_core::billing::{Plans, Terms};
use hokusai_core::calendar::{Day, Month};
use hokusai_core::id::{AccountId, KeyId};
use hokusai_core::time::{Hour, Timestamp};
use hokusai_core::usage::{ENDPOINTS_TOLD_APART, Kept, OTHER, Record, RecordId, Totals, check_instant};

use crate::usage::{Recorded, Report, Reporter};

/// Whose key it is. None of this ever changes.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(super) account: AccountId,
    pub(super) user_id: Arc<str>,
    pub(super) service_id: Arc<str>,
}

/// A record on its way in.
pub(super) struct Row<'a> {
    pub(super) report: usize,
    pub(super) record: &'a Record,
    pub(super) owner: &'a Owner,
    pub(super) at: Timestamp,
    counts: bool,
}

/// The reports of one transaction.
pub(super) struct Intake<'a> {
    pub(super) now: Timestamp,
    pub(super) rows: Vec<Row<'a>>,
    reports: &'a [&'a Report],
    outcomes: Vec<Recorded>,
}

/// Sums by what finds their rows, in its order.
pub(super) type Sums<K> = BTreeMap<K, Totals>;
pub(super) type EndpointKey<'a> = (KeyId, Month, &'a str);

impl<'a> Intake<'a> {
    /// Leaves out reports of wrong instants and unknown keys, and what a report holds twice.
    pub(super) fn new(
        reports: &'a [&'a Report],
        owners: &'a HashMap<KeyId, Owner>,
        now: Timestamp,
        kept: Kept,
    ) -> Self {
        let mut intake = Self { now, rows: Vec::new(), reports, outcomes: Vec::new() };
        for (number, report) in reports.iter().enumerate() {
            let refused = wrong_instant(report, now, kept);
            let outcome = refused.unwrap_or_else(|| intake.add(number, report, owners));
            intake.outcomes.push(outcome);
        }
        intake.rows.sort_by_key(|row| row.record.id);
        intake
    }

    fn add(&mut self, number: usize, report: &'a Report, owners: &'a HashMap<KeyId, Owner>) -> Recorded {
        let first = self.rows.len();
        let mut seen = HashSet::with_capacity(report.records.len());
        for (index, record) in report.records.iter().enumerate() {
            let owner =
                owners.get(&record.key).filter(|owner| may_report(&report.reporter, record.key, owner));
            let Some(owner) = owner else {
                self.rows.truncate(first);
                return Recorded::UnknownKey { index };
            };
            if seen.insert(record.id) {
                let at = record.occurred_at.unwrap_or(self.now);
                self.rows.push(Row { report: number, record, owner, at, counts: false });
            }
        }
        Recorded::Taken { new: 0, known: report.records.len() }
    }

    /// Only what was not there before counts; `None`: nothing was.
    pub(super) fn keep_new(&mut self, new: Option<&HashSet<RecordId>>) {
        let mut counts = vec![0; self.reports.len()];
        for row in &mut self.rows {
            row.counts = new.is_none_or(|new| new.contains(&row.record.id));
            counts[row.report] += usize::from(row.counts);
        }
        for ((outcome, report), new) in self.outcomes.iter_mut().zip(self.reports).zip(counts) {
            if let Recorded::Taken { .. } = outcome {
                *outcome = Recorded::Taken { new, known: report.records.len() - new };
            }
        }
    }

    /// Whether the report of a row may be refused for what it adds to its month.
    fn is_debit(&self, row: &Row<'_>) -> bool {
        self.reports[row.report].is_debit && row.counts && row.record.predictions > 0
    }

    /// What debits are to be judged by: the terms of these keys, and the months of their accounts.
    pub(super) fn debits(&self) -> Vec<(KeyId, (AccountId, Month))> {
        let debits = self.rows.iter().filter(|row| self.is_debit(row));
        let mut debits: Vec<_> = debits.map(|row| (row.record.key, row.month())).collect();
        debits.sort_unstable();
        debits.dedup();
        debits
    }

    /// What is billed, but for debits.
    pub(super) fn months(&self) -> Sums<(AccountId, Month)> {
        let mut sums = Sums::new();
        for row in self.rows.iter().filter(|row| row.counts) {
            // A debit's month is written all the same: nobody else can change it then.
            let sum: &mut Totals = sums.entry(row.month()).or_default();
            if !self.is_debit(row) {
                *sum += row.record.into();
            }
        }
        sums
    }

    /// Decides debits in their order, given the terms and the predictions so far of each month. Says what those that pass add, and which records are not taken after all.
    pub(super) fn decide_debits(
        &mut self,
        plans: &Plans,
        terms: &HashMap<(AccountId, Month), Terms>,
        mut used: HashMap<(AccountId, Month), i64>,
    ) -> (Sums<(AccountId, Month)>, Vec<RecordId>) {
        let (mut sums, mut refused) = (Sums::new(), Vec::new());
        let mut order: Vec<usize> =
            (0..self.rows.len()).filter(|row| self.is_debit(&self.rows[*row])).collect();
        order.sort_by_key(|row| self.rows[*row].report);
        for number in order {
            let row = &self.rows[number];
            let so_far = used.entry(row.month()).or_insert(0);
            let after = so_far.saturating_add(row.record.predictions);
            let limit = terms.get(&row.month()).and_then(|terms| hard_limit(plans, terms));
            match limit.filter(|limit| after > *limit) {
                Some(limit) => {
                    refused.push(row.record.id);
                    self.outcomes[row.report] = Recorded::PastMonthlyLimit { limit, used: *so_far };
                    self.rows[number].counts = false;
                }
                None => {
                    *so_far = after;
                    *sums.entry(row.month()).or_default() += row.record.into();
                }
            }
        }
        refused.sort_unstable();
        (sums, refused)
    }

    pub(super) fn hours(&self) -> Sums<(Hour, KeyId, &'a str)> {
        self.sums(|row| (row.at.hour(), row.record.key, row.service()))
    }

    pub(super) fn days(&self) -> Sums<(Day, &'a str, &'a str)> {
        self.sums(|row| (Day::of(row.at), &*row.owner.user_id, row.service()))
    }

    pub(super) fn endpoints(&self) -> Sums<EndpointKey<'a>> {
        self.sums(|row| (row.record.key, Month::of(row.at), &*row.record.endpoint))
    }

    fn sums<K: Ord>(&self, key: impl Fn(&Row<'a>) -> K) -> Sums<K> {
        let mut sums = Sums::new();
        for row in self.rows.iter().filter(|row| row.counts) {
            *sums.entry(key(row)).or_default() += row.record.into();
        }
        sums
    }

    pub(super) fn outcomes(self) -> Vec<Recorded> {
        self.outcomes
    }
}

impl<'a> Row<'a> {
    fn month(&self) -> (AccountId, Month) {
        (self.owner.account, Month::of(self.at))
    }

    pub(super) fn service(&self) -> &'a str {
        if self.record.service_id.is_empty() { &self.owner.service_id } else { &self.record.service_id }
    }
}

/// What is wrong with the first instant that is. A record that names none happens now.
fn wrong_instant(report: &Report, now: Timestamp, kept: Kept) -> Option<Recorded> {
    let named = report.records.iter().map(|record| record.occurred_at).enumerate();
    named.flat_map(|(index, at)| Some((index, at?))).find_map(|(index, at)| {
        let why = check_instant(at, now, kept).err()?;
        Some(Recorded::WrongInstant { index, why })
    })
}

/// The limit that debits may not pass, if there is one. A plan that is not known any more has no price, so
/// nothing past the limit is taken by it.
fn hard_limit(plans: &Plans, terms: &Terms) -> Option<i64> {
    let may_pass = plans.get(&terms.plan).is_some_and(|plan| plan.overage.is_some());
    terms.monthly_prediction_limit.filter(|_| !may_pass)
}

fn may_report(reporter: &Reporter, key: KeyId, owner: &Owner) -> bool {
    match reporter {
        Reporter::Anyone => true,
        Reporter::User(user) => **user == *owner.user_id,
        Reporter::Key(own) => *own == key,
    }
}

/// Counts endpoints as [`OTHER`] that a key has no room for in its month, given how many it has.
pub(super) fn fold_others<'a>(
    sums: Sums<EndpointKey<'a>>,
    unknown: &BTreeSet<EndpointKey<'a>>,
    mut rows: HashMap<(KeyId, Month), usize>,
) -> Sums<EndpointKey<'a>> {
    let mut folded = Sums::new();
    for ((key, month, endpoint), sum) in sums {
        let mut named = endpoint;
        if unknown.contains(&(key, month, endpoint)) && endpoint != OTHER {
            let count = rows.entry((key, month)).or_insert(0);
            *count += 1;
            if *count > ENDPOINTS_TOLD_APART {
                named = OTHER;
            }
        }
        *folded.entry((key, month, named)).or_default() += sum;
    }
    folded
}
