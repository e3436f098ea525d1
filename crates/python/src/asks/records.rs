//! What the service is asked of usage and of what was done.

use hokusai_client::api::usage::{UsageBatch, UsageDebit, UsageRecord};
use hokusai_client::{AuditQuery, Client, RefusedCallQuery, UsageQuery};
use serde::Deserialize;
use serde_json::json as object;

use super::fields::{day, month, usage_by};
use super::service::key;
use super::{collect, json, page_size};
use crate::fault::Fault;

#[derive(Deserialize)]
#[serde(tag = "ask", content = "fields", rename_all = "snake_case")]
pub(crate) enum RecordAsk {
    RecordUsage {
        key_id: String,
        record: UsageRecord,
    },
    RecordUsages(UsageBatch),
    Debit {
        key_id: String,
        debit: UsageDebit,
    },
    UsageStats {
        key_id: String,
        period: Option<String>,
        by: Option<String>,
    },
    Billing {
        key_id: String,
        period: Option<String>,
    },
    UsageByDate {
        first: Option<String>,
        last: Option<String>,
        user_id: Option<String>,
        service_id: Option<String>,
    },
    Audit {
        user_id: Option<String>,
        action: Option<String>,
        target: Option<String>,
        address: Option<String>,
        since: Option<String>,
        until: Option<String>,
        limit: Option<usize>,
    },
    RefusedCalls {
        address: Option<String>,
        since: Option<String>,
        until: Option<String>,
        limit: Option<usize>,
    },
}

pub(super) async fn answer(client: &Client, ask: RecordAsk) -> Result<String, Fault> {
    match ask {
        RecordAsk::RecordUsage { key_id, record } => {
            json(&client.record_usage(key(&key_id)?, &record).await?)
        }
        RecordAsk::RecordUsages(batch) => json(&client.record_usages(&batch).await?),
        RecordAsk::Debit { key_id, debit } => json(&client.debit(key(&key_id)?, &debit).await?),
        RecordAsk::UsageStats { key_id, period, by } => {
            let (period, by) = (month(period)?, by.as_deref().map(usage_by).transpose()?);
            json(&client.usage_stats(key(&key_id)?, period, by).await?)
        }
        RecordAsk::Billing { key_id, period } => {
            let bill = client.billing(key(&key_id)?, month(period)?).await?;
            json(&object!({ "billing": bill.billing, "overage_micro_dollars": bill.overage.0 }))
        }
        RecordAsk::UsageByDate { first, last, user_id, service_id } => {
            let (first, last) = (day("start_date", first)?, day("end_date", last)?);
            json(&client.usage_by_date(&UsageQuery { first, last, user_id, service_id }).await?)
        }
        RecordAsk::Audit { user_id, action, target, address, since, until, limit } => {
            let page_size = page_size(limit);
            let query = AuditQuery { user_id, action, target, address, since, until, page_size };
            json(&collect(client.audit(&query), limit).await?)
        }
        RecordAsk::RefusedCalls { address, since, until, limit } => {
            let query = RefusedCallQuery { address, since, until, page_size: page_size(limit) };
            json(&collect(client.refused_calls(&query), limit).await?)
        }
    }
}
