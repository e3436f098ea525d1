//! Recording usage: reports wait for the one task that writes, and many share a commit.
//!
//! A report is answered once it is durable. If more waits than can be held, or it waits for long, a report is
//! put off; nothing that was answered is only in memory.

use std::collections::HashMap;
use std::time::Duration;

use hokusai_core::billing::{Bill, Money};
use hokusai_core::calendar::{Day, Month};
use hokusai_core::id::KeyId;
use hokusai_core::time::Timestamp;
use hokusai_core::token::Role;
use hokusai_store::{GroupBy, Recorded, Report, Reporter, ServiceDay, StoreError, UsageGroup};

use crate::engine::Engine;
use crate::refusal::{Actor, Declined};
use crate::reports::Source;

/// How long a report waits for its transaction to begin.
const PATIENCE: Duration = Duration::from_millis(1500);
/// With so many connections, two of them may record.
const ENOUGH_CONNECTIONS: u32 = 8;

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Records that were new.
    pub new: usize,
    /// Records that had been taken before.
    pub known: usize,
}

impl Engine {
    /// Records usage; once this returns, it is durable.
    ///
    /// # Errors
    /// [`Declined`]; nothing was recorded then, except perhaps after [`Declined::Store`].
    pub async fn record_usage(&self, source: Source, report: Report) -> Result<Taken, Declined> {
        let (number, mut answer) = self.reports.add(source, report).ok_or(Declined::TooMuchUsage)?;
        let recorded = match tokio::time::timeout(PATIENCE, &mut answer).await {
            Ok(recorded) => recorded,
            Err(_) if self.reports.withdraw(number) => return Err(Declined::TooMuchUsage),
            Err(_) => answer.await,
        };
        match recorded.unwrap_or(Err(StoreError::TimedOut))? {
            Recorded::Taken { new, known } => Ok(Taken { new, known }),
            Recorded::UnknownKey { index } => Err(Declined::UnknownKey { index }),
            Recorded::WrongInstant { index, why } => Err(Declined::WrongInstant { index, why }),
            Recorded::PastMonthlyLimit { limit, used } => Err(Declined::PastMonthlyLimit { limit, used }),
        }
    }

    /// Whose usage an admin token may report.
    #[must_use]
    pub fn reporter(role: Role, user_id: &str) -> Reporter {
        match role {
            Role::Operator | Role::Verifier => Reporter::Anyone,
            Role::Member => Reporter::User(user_id.to_owned()),
        }
    }

    /// How many transactions may be under way at once. Where writers meet at rows, one inserts its records
    /// while another adds to the sums; who has few connections keeps them for others.
    pub(crate) fn recorders(&self) -> usize {
        if self.store.is_shared() && self.store.read_connections() >= ENOUGH_CONNECTIONS { 2 } else { 1 }
    }

    /// Writes reports, one transaction after the other, for as long as the engine lives.
    pub(crate) async fn keep_recording(&self) {
        loop {
            let some = self.reports.next().await;
            let reports: Vec<&Report> = some.iter().map(|waiting| &waiting.report).collect();
            let records = reports.iter().map(|report| report.records.len()).sum();
            let days = self.options.usage_retention_days;
            let recorded = self.store.record_usage(&reports, &self.options.plans, days).await;
            self.reports.written(records);
            match recorded {
                Ok(outcomes) => {
                    metrics::counter!("hokusai_usage_commits_total").increment(1);
                    for (waiting, outcome) in some.into_iter().zip(outcomes) {
                        count(&outcome);
                        self.note_uses(&waiting.report, &outcome);
                        // Whoever has gone finds out by reporting again.
                        let _ = waiting.answer.send(Ok(outcome));
                    }
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "usage can't be recorded");
                    metrics::counter!("hokusai_usage_failed_commits_total").increment(1);
                    for waiting in some {
                        let _ = waiting.answer.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Who may report of every key reports what was admitted: that is when a key was used last, if it was a
    /// verifier that admitted it.
    fn note_uses(&self, report: &Report, outcome: &Recorded) {
        let is_new = matches!(outcome, Recorded::Taken { new, .. } if *new > 0);
        if !is_new || report.reporter != Reporter::Anyone || report.is_debit {
            return;
        }
        let now = self.clock.now();
        let mut last: HashMap<KeyId, Timestamp> = HashMap::new();
        for record in &report.records {
            let at = record.occurred_at.map_or(now, |at| at.min(now));
            let known = last.entry(record.key).or_insert(at);
            *known = at.max(*known);
        }
        for (key, at) in last {
            self.validations.note_use(key, at);
        }
    }

    /// Records that wait for being written.
    #[must_use]
    pub fn usage_waiting(&self) -> usize {
        self.reports.waiting()
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
