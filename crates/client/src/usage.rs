//! Usage: reporting it, and what it sums up to.

use hokusai_api::usage::{
    Billing, UsageBatch, UsageByDate, UsageDebit, UsageRecord, UsageRecorded, UsageStats,
};
use hokusai_core::billing::Money;
use hokusai_core::calendar::{Day, Month};
use hokusai_core::id::KeyId;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::call::{Call, Credential};
use crate::client::Client;
use crate::error::Error;
use crate::money;
use crate::pages;
use crate::retry::Repeat;
use crate::verifier::Written;

const USAGE: &str = "/api/v1/usage";

/// By what the usage of a key is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageBy {
    /// By the UTC day.
    Day,
    /// By the endpoint, the most used first.
    Endpoint,
    /// By the service.
    Service,
}

impl UsageBy {
    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Endpoint => "endpoint",
            Self::Service => "service",
        }
    }
}

/// Which usage is summed up. Fields left out leave none out; without days, it is the last thirty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// The first day (UTC).
    pub first: Option<Day>,
    /// The last day, within a year of the first.
    pub last: Option<Day>,
    /// Only usage of this user's keys; operators only.
    pub user_id: Option<String>,
    /// Only usage of this service.
    pub service_id: Option<String>,
}

/// A bill.
#[derive(Clone, Debug, PartialEq)]
pub struct Bill {
    /// What the service says.
    pub billing: Billing,
    /// The charges in it, to the last micro-dollar.
    pub overage: Money,
}

/// The charges in a bill, as they are written there.
#[derive(Deserialize)]
struct Charges {
    overage_charges: Box<RawValue>,
}

impl Client {
    /// Reports one request of a key; the record's own key is not looked at. Once this returns, the record is
    /// durable. It is asked for again only if the record has an idempotency key, and so counts once: without
    /// one, it may have been counted after [`Error::TimedOut`], [`Error::Lost`] and [`Error::Unavailable`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn record_usage(&self, key: KeyId, record: &UsageRecord) -> Result<UsageRecorded, Error> {
        let call = Call::post(format!("{USAGE}/{key}")).body(record);
        self.send(&call.repeat(repeat([record]))).await?.read_as()
    }

    /// Reports many requests at once, at most 10,000; all are taken, or none. They are reported again only if
    /// each has an idempotency key; see [`Client::record_usage`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn record_usages(&self, batch: &UsageBatch) -> Result<UsageRecorded, Error> {
        let call = Call::post(format!("{USAGE}/batch")).body(batch);
        self.send(&call.repeat(repeat(&batch.records))).await?.read_as()
    }

    /// As [`Client::record_usages`], of records that bear idempotency keys, with the client's token shown as a
    /// service token.
    pub(crate) async fn report_usages(&self, records: &Written) -> Result<UsageRecorded, Error> {
        let call = Call { body: Some(records.batch()), ..Call::post(format!("{USAGE}/batch")) };
        self.send(&call.credential(Credential::Service).repeat(Repeat::Freely)).await?.read_as()
    }

    /// Takes predictions of a key's month, unless that would pass a limit that its plan does not allow to be
    /// passed.
    ///
    /// # Errors
    /// See [`Error`]; a refused debit is an [`Error::PastLimit`].
    pub async fn debit(&self, key: KeyId, debit: &UsageDebit) -> Result<UsageRecorded, Error> {
        let call = Call::post(format!("{USAGE}/{key}/debit")).body(debit);
        self.send(&call.repeat(Repeat::Freely)).await?.read_as()
    }

    /// What a key used in a month, the present one unless another is named.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn usage_stats(
        &self,
        key: KeyId,
        period: Option<Month>,
        by: Option<UsageBy>,
    ) -> Result<UsageStats, Error> {
        let period = period.map(|month| month.to_string());
        let query = pages::query([("period", period.as_deref()), ("by", by.map(UsageBy::name))]);
        self.send(&Call::get(format!("{USAGE}/{key}/stats")).query(query)).await?.read_as()
    }

    /// The bill of a key's account for a month, the present one unless another is named.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn billing(&self, key: KeyId, period: Option<Month>) -> Result<Bill, Error> {
        let period = period.map(|month| month.to_string());
        let query = pages::query([("period", period.as_deref())]);
        let answer = self.send(&Call::get(format!("{USAGE}/{key}/billing")).query(query)).await?;
        let billing = answer.read_as()?;
        let charges: Charges = answer.read_as()?;
        match money::read(charges.overage_charges.get()) {
            Some(overage) => Ok(Bill { billing, overage }),
            None => Err(answer.not_ours("the charges are no amount of dollars")),
        }
    }

    /// What was used from day to day, of all keys that the token may see.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn usage_by_date(&self, of: &UsageQuery) -> Result<UsageByDate, Error> {
        let (first, last) = (of.first.map(|day| day.to_string()), of.last.map(|day| day.to_string()));
        let query = pages::query([
            ("start_date", first.as_deref()),
            ("end_date", last.as_deref()),
            ("user_id", of.user_id.as_deref()),
            ("service_id", of.service_id.as_deref()),
        ]);
        self.send(&Call::list(format!("{USAGE}/aggregate"), query)).await?.read_as()
    }
}

/// What can be told from its repetition counts once, however often it is sent.
fn repeat<'a>(records: impl IntoIterator<Item = &'a UsageRecord>) -> Repeat {
    let all_told_apart = records.into_iter().all(|record| record.idempotency_key.is_some());
    if all_told_apart { Repeat::Freely } else { Repeat::IfUnsent }
}
