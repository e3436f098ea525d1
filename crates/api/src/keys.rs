//! Keys: how they are asked for and shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::verifiers::Effective;

/// The body of a request for a new key. Fields left out take the service's defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CreateKey {
    /// What to call it: 1 to 100 characters.
    pub name: String,
    /// The service that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// What it may be used for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// `production`, `test` or `development`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Requests an hour: 10 to 100,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_per_hour: Option<u32>,
    /// How long it lives: 1 to 365 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u32>,
    /// Until when it lives: an RFC 3339 time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Addresses and CIDR blocks that it may be used from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_ips: Option<Vec<String>>,
    /// Predictions a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_prediction_limit: Option<i64>,
    /// The plan that its usage is billed by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing_plan: Option<String>,
    /// Anything its owner wants to note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Whose key it is; operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// The body of a change to a key. Fields left out stay as they are; `Some(None)` is written as null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdateKey {
    /// What to call it: 1 to 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it may be used for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Requests an hour: 10 to 100,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_per_hour: Option<u32>,
    /// How long it lives from now: 1 to 365 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u32>,
    /// Until when it lives: an RFC 3339 time; null: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub expires_at: Option<Option<String>>,
    /// Addresses and CIDR blocks that it may be used from; empty: anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_ips: Option<Vec<String>>,
    /// Predictions a month; null: any number.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub monthly_prediction_limit: Option<Option<i64>>,
    /// The plan that its usage is billed by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing_plan: Option<String>,
    /// Anything its owner wants to note, instead of what was noted before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A field that is there, even if it is null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// A key, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// The same as `key_id`: deployed clients read either.
    pub id: String,
    /// The key's id.
    pub key_id: String,
    /// What its owner calls it.
    pub name: String,
    /// The part of the key that may be shown.
    pub key_prefix: String,
    /// Whose key it is.
    pub user_id: String,
    /// The service that it is for.
    pub service_id: String,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// `production`, `test` or `development`.
    pub environment: String,
    /// Whether it works now.
    pub is_active: bool,
    /// `active`, `rotating`, `expired` or `revoked`.
    pub status: String,
    /// Requests an hour.
    pub rate_limit_per_hour: u32,
    /// Predictions a month; `None`: any number.
    pub monthly_prediction_limit: Option<i64>,
    /// Where it may be used from; empty: anywhere.
    pub allowed_ips: Vec<String>,
    /// The plan that its usage is billed by.
    pub billing_plan: String,
    /// What its owner noted.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: String,
    /// When it stops; `None`: never.
    pub expires_at: Option<String>,
    /// When it was last accepted.
    pub last_used_at: Option<String>,
    /// When it was revoked, or its grace ended.
    pub revoked_at: Option<String>,
    /// The key that it succeeded.
    pub rotated_from: Option<String>,
    /// The key that succeeded it.
    pub rotated_to: Option<String>,
    /// This hour's count, which a key shares with its rotation successor.
    pub usage: HourlyUsage,
}

/// How much of an hour's limit is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HourlyUsage {
    /// Requests admitted in this hour.
    pub requests_this_hour: u32,
    /// Requests left in this hour.
    pub remaining_this_hour: u32,
    /// When the next hour begins.
    pub resets_at: String,
}

/// A key after a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangedKey {
    /// The key, as it is shown.
    #[serde(flatten)]
    pub key: KeyInfo,
    /// Who knows of the change; left out if that can't be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
}

/// The answer that shows a key's text, once.
#[derive(Clone, Serialize, Deserialize)]
pub struct CreatedKey {
    /// The key itself.
    pub api_key: String,
    /// The key's id; also inside `key_info`.
    pub key_id: String,
    /// The key's settings.
    pub key_info: KeyInfo,
    /// After a rotation: the key that was rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_key: Option<PreviousKey>,
    /// After a rotation: who knows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
}

impl std::fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A key that was rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousKey {
    /// Its id.
    pub key_id: String,
    /// Until when it works.
    pub valid_until: String,
}

/// The answer to a revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedKey {
    /// What was done, for people.
    pub message: String,
    /// The key.
    pub key_id: String,
    /// Who knows of it; left out if that can't be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
}
