//! Recording usage: reports wait for the one task that writes, and many share a commit.
//!
//! A report is answered once it is durable. If more waits than can be held, new reports are put off at once;
//! nothing that was answered is only in memory.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use hokusai_core::billing::{Bill, Money};
use hokusai_core::calendar::{Day, Month};
use hokusai_core::id::KeyId;
use hokusai_core::token::Role;
use hokusai_core::usage::RecordId;
use hokusai_store::{GroupBy, Recorded, Report, Reporter, ServiceDay, StoreError, UsageGroup};
use tokio::sync::{Notify, oneshot};

use crate::clock::lock;
use crate::engine::Engine;
use crate::refusal::{Actor, Declined};

/// Records that may wait, besides one report.
const MOST_WAITING: usize = 20_000;
/// Records from which on a transaction takes no further report.
const ENOUGH: usize = 2000;

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Records that were new.
    pub new: usize,
    /// Records that had been taken before.
    pub known: usize,
}

/// Reports on their way to the store.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    queue: Mutex<Queue>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    records: usize,
}

#[derive(Debug)]
struct Waiting {
    report: Report,
    answer: oneshot::Sender<Result<Recorded, StoreError>>,
}

impl Queue {
    /// Adds a report; `false` if too much waits already.
    fn add(&mut self, waiting: Waiting) -> bool {
        if self.records >= MOST_WAITING {
            return false;
        }
        self.records += waiting.report.records.len();
        self.waiting.push_back(waiting);
        true
    }

    /// What waits, all of it.
    fn take_all(&mut self) -> VecDeque<Waiting> {
        self.records = 0;
        std::mem::take(&mut self.waiting)
    }

    /// What the next transaction takes: at least one report, and never two that hold the same record. So
    /// what becomes of one does not depend on another.
    fn take(&mut self) -> Vec<Waiting> {
        let (mut some, mut ids, mut records) = (Vec::new(), HashSet::new(), 0);
        while records < ENOUGH {
            let Some(next) = self.waiting.front() else { break };
            let own: HashSet<RecordId> = next.report.records.iter().map(|record| record.id).collect();
            if !ids.is_disjoint(&own) {
                break;
            }
            ids.extend(own);
            records += next.report.records.len();
            some.extend(self.waiting.pop_front());
        }
        self.records -= records;
        some
    }
}

impl Engine {
    /// Records usage; once this returns, it is durable.
    ///
    /// # Errors
    /// [`Declined`]; nothing was recorded then, except perhaps after [`Declined::Store`].
    pub async fn record_usage(&self, report: Report) -> Result<Taken, Declined> {
        if let Some(limit) = self.too_much_waits() {
            return Err(limit);
        }
        let (answer, recorded) = oneshot::channel();
        if !lock(&self.reports.queue).add(Waiting { report, answer }) {
            return Err(Declined::TooMuchUsage);
        }
        self.reports.bell.notify_one();
        match recorded.await.unwrap_or(Err(StoreError::TimedOut))? {
            Recorded::Taken { new, known } => Ok(Taken { new, known }),
            Recorded::UnknownKey { index } => Err(Declined::UnknownKey { index }),
            Recorded::WrongInstant { index, why } => Err(Declined::WrongInstant { index, why }),
            Recorded::PastMonthlyLimit { limit, used } => Err(Declined::PastMonthlyLimit { limit, used }),
        }
    }

    fn too_much_waits(&self) -> Option<Declined> {
        (lock(&self.reports.queue).records >= MOST_WAITING).then_some(Declined::TooMuchUsage)
    }

    /// Whose usage an admin token may report.
    #[must_use]
    pub fn reporter(role: Role, user_id: &str) -> Reporter {
        match role {
            Role::Operator | Role::Verifier => Reporter::Anyone,
            Role::Member => Reporter::User(user_id.to_owned()),
        }
    }

    /// Writes reports, one transaction after the other, for as long as the engine lives.
    pub(crate) async fn keep_recording(&self) {
        loop {
            let some = lock(&self.reports.queue).take();
            if some.is_empty() {
                self.reports.bell.notified().await;
                continue;
            }
            let reports: Vec<&Report> = some.iter().map(|waiting| &waiting.report).collect();
            let days = self.options.usage_retention_days;
            let outcomes = match self.store.record_usage(&reports, &self.options.plans, days).await {
                Ok(outcomes) => outcomes,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "usage can't be recorded");
                    // Those behind would only wait for the same.
                    let all = some.into_iter().chain(lock(&self.reports.queue).take_all());
                    for waiting in all {
                        let _ = waiting.answer.send(Err(error.clone()));
                    }
                    continue;
                }
            };
            metrics::counter!("hokusai_usage_commits_total").increment(1);
            for (waiting, outcome) in some.into_iter().zip(outcomes) {
                count(&outcome);
                // Whoever has gone finds out by reporting again.
                let _ = waiting.answer.send(Ok(outcome));
            }
        }
    }

    /// Records that wait for being written.
    #[must_use]
    pub fn usage_waiting(&self) -> usize {
        lock(&self.reports.queue).records
    }

    /// What a key used in a month.
    ///
    /// # Errors
    /// [`Declined::NotFound`] also if the actor may not know of the key.
    pub async fn key_usage(
        &self,
        actor: &Actor,
        key: KeyId,
        month: Month,
        by: GroupBy,
    ) -> Result<Vec<UsageGroup>, Declined> {
        self.show(actor, key).await?;
        Ok(self.store.key_usage(key, month, by).await?)
    }

    /// What was used from day to day, of all keys that the actor may know of.
    ///
    /// # Errors
    /// [`Declined::Store`].
    pub async fn usage_by_date(
        &self,
        actor: &Actor,
        (first, last): (Day, Day),
        user_id: Option<&str>,
        service_id: Option<&str>,
    ) -> Result<Vec<ServiceDay>, Declined> {
        let own = (actor.role != Role::Operator).then_some(actor.user_id.as_str());
        if own.is_some() && user_id.is_some_and(|asked| Some(asked) != own) {
            return Ok(Vec::new());
        }
        Ok(self.store.usage_by_date(first, last, own.or(user_id), service_id).await?)
    }

    /// The bill of a key's account for a month.
    ///
    /// # Errors
    /// [`Declined::NotFound`] also if the actor may not know of the key; [`Declined::UnknownPlan`] if its
    /// price is not known.
    pub async fn bill(&self, actor: &Actor, key: KeyId, month: Month) -> Result<Bill, Declined> {
        let found = self.store.account_usage(key, month).await?;
        let account = found.filter(|account| actor.sees(&account.user_id)).ok_or(Declined::NotFound)?;
        let limit = account.terms.monthly_prediction_limit;
        let overage: Money = match self.options.plans.get(&account.terms.plan) {
            Some(plan) => plan.overage(account.usage.predictions, limit),
            None => return Err(Declined::UnknownPlan { plan: account.terms.plan }),
        };
        Ok(Bill { month, terms: account.terms, usage: account.usage, overage })
    }
}

fn count(recorded: &Recorded) {
    let (word, number) = match recorded {
        Recorded::Taken { new, known } => {
            metrics::counter!("hokusai_usage_records_total", "outcome" => "known").increment(*known as u64);
            ("new", *new)
        }
        Recorded::UnknownKey { .. } => ("unknown_key", 1),
        Recorded::WrongInstant { .. } => ("wrong_instant", 1),
        Recorded::PastMonthlyLimit { .. } => ("past_monthly_limit", 1),
    };
    metrics::counter!("hokusai_usage_records_total", "outcome" => word).increment(number as u64);
}

#[cfg(test)]
mod tests {
    use hokusai_core::usage::Record;

    use super::*;

    fn record(number: u8) -> Record {
        Record {
            id: RecordId::random([number; 16]),
            key: "018f0000-0000-7000-8000-000000000001".parse().unwrap(),
            service_id: "".into(),
            endpoint: "/".into(),
            model_id: None,
            status_code: 200,
            response_micros: 0,
            predictions: 0,
            compute_ms: 0,
            occurred_at: None,
        }
    }

    fn add(queue: &mut Queue, records: Vec<Record>) -> bool {
        let report = Report { reporter: Reporter::Anyone, records, is_debit: false };
        queue.add(Waiting { report, answer: oneshot::channel().0 })
    }

    #[test]
    fn reports_share_a_transaction_unless_they_hold_the_same_record() {
        let mut queue = Queue::default();
        for numbers in [vec![1, 2], vec![3], vec![3], vec![4]] {
            assert!(add(&mut queue, numbers.into_iter().map(record).collect()));
        }
        assert_eq!(queue.take().len(), 2);
        assert_eq!((queue.take().len(), queue.records), (2, 0));
        assert!(queue.take().is_empty());
    }

    #[test]
    fn a_transaction_and_the_queue_are_bounded() {
        let mut queue = Queue::default();
        let many = |count| vec![record(1); count];
        assert!(add(&mut queue, many(ENOUGH - 1)));
        assert!(add(&mut queue, vec![record(2)]));
        assert!(add(&mut queue, many(MOST_WAITING)));
        assert!(!add(&mut queue, vec![record(3)]));
        assert_eq!(queue.take().len(), 2);
        assert!(!add(&mut queue, vec![record(3)]));
        assert_eq!(queue.take().len(), 1);
        assert!(add(&mut queue, vec![record(3)]));
    }
}
