//! Usage and billing: what is reported, and how it is shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One request, as a service reports it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// The key; only in a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The service that was used.
    pub service_id: String,
    /// The path, such as `/v1/models`.
    pub endpoint: String,
    /// The HTTP status of the answer.
    pub status_code: u16,
    /// How long the answer took, in milliseconds.
    pub response_time_ms: f64,
    /// How many predictions it held.
    #[serde(default)]
    pub predictions_count: i64,
    /// How long was computed for it, in milliseconds.
    #[serde(default)]
    pub compute_ms: f64,
    /// What tells this request from others of the key: a record is counted once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// When (RFC 3339); left out: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<String>,
}

/// The body of a batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageBatch {
    /// At most 10,000; all are taken, or none.
    pub records: Vec<UsageRecord>,
}

/// The body of a debit: a record that is refused if it would pass a monthly limit that may not be passed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageDebit {
    /// The model that was used.
    pub model_id: String,
    /// What tells this debit from others of the key: it is taken once.
    pub idempotency_key: String,
    /// How many predictions are taken.
    pub predictions_count: i64,
    /// How long was computed for them, in milliseconds.
    #[serde(default)]
    pub compute_ms: f64,
    /// The service that was used; left out: the key's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// The path; left out: `/models/` and the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The HTTP status of the answer; left out: 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// How long the answer took, in milliseconds; left out: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_time_ms: Option<f64>,
    /// When (RFC 3339); left out: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<String>,
}

/// The body that a refused debit is answered with, in the form that deployed clients read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedDebit {
    /// Why.
    pub detail: DebitRefusal,
}

/// Why a debit is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebitRefusal {
    /// For programs: `monthly_limit_exceeded`.
    pub error: String,
    /// For people.
    pub message: String,
}

/// The answer to a report: everything is durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageRecorded {
    /// For people.
    pub message: String,
    /// Records that are new.
    pub recorded: u64,
    /// Records that had been taken before, and were not counted again.
    pub duplicates: u64,
}

/// What one key used in a month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageStats {
    /// The key.
    pub key_id: String,
    /// The month (UTC): `2025-01`.
    pub period: String,
    /// Requests.
    pub total_requests: i64,
    /// Predictions.
    pub total_predictions: i64,
    /// Milliseconds of computing.
    pub total_compute_ms: i64,
    /// Milliseconds until an answer, on average.
    pub average_response_time_ms: f64,
    /// The share of answers with a status of 400 or above.
    pub error_rate: f64,
    /// The ten endpoints that were used most.
    pub top_endpoints: Vec<EndpointCount>,
    /// The same by day, endpoint or service, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<UsageGroup>>,
}

/// How often an endpoint was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointCount {
    /// The endpoint; `other` for all that a key has past its first 200 in a month.
    pub endpoint: String,
    /// Requests.
    pub count: i64,
}

/// What was used in one day, of one endpoint or one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageGroup {
    /// The day (UTC) as `2025-01-15`, the endpoint or the service.
    pub name: String,
    /// Requests.
    pub requests: i64,
    /// Those with a status of 400 or above.
    pub errors: i64,
    /// Predictions.
    pub predictions: i64,
    /// Milliseconds of computing.
    pub compute_ms: i64,
    /// Milliseconds until an answer, on average.
    pub average_response_time_ms: f64,
}

/// The bill of a key's account: of the key, its predecessors and its successors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Billing {
    /// The key that was asked about.
    pub key_id: String,
    /// The month (UTC): `2025-01`.
    pub period: String,
    /// The plan.
    pub billing_plan: String,
    /// What was used in the month.
    pub current_usage: BilledUsage,
    /// Predictions in a month; null: as many as you like.
    pub monthly_limit: Option<i64>,
    /// Dollars for predictions past the limit, exact to a millionth.
    pub overage_charges: f64,
    /// The first day of the next month (UTC): `2025-02-01`.
    pub next_billing_date: String,
}

/// What was used in a month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BilledUsage {
    /// Requests.
    pub requests: i64,
    /// Predictions.
    pub predictions: i64,
    /// Milliseconds of computing.
    pub compute_ms: i64,
}

/// What was used from day to day, of all keys that the asker may see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageByDate {
    /// The first day (UTC): `2025-01-15`.
    pub start_date: String,
    /// The last day.
    pub end_date: String,
    /// Days with any usage, and the services that were used in each.
    pub usage_by_date: BTreeMap<String, BTreeMap<String, ServiceUsage>>,
}

/// What was used of a service in a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceUsage {
    /// Requests.
    pub requests: i64,
    /// Predictions.
    pub predictions: i64,
    /// Milliseconds of computing.
    pub compute_ms: i64,
    /// Milliseconds until an answer, on average.
    pub avg_response_time_ms: f64,
}
