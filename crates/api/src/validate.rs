//! Validation: what a caller learns of a presented key.

use serde::{Deserialize, Serialize};

/// The body of a validation request. All of it is optional.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct ValidateKey {
    /// The key, if it is in no header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// The service that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// The scope that is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_scope: Option<String>,
    /// Where the user's request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
    /// Judge, but charge nothing; needs a service token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

impl std::fmt::Debug for ValidateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValidateKey").field("service_id", &self.service_id).finish_non_exhaustive()
    }
}

/// The answer for a good key. A refused one has the same fields, all null, and the last three.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidatedKey {
    /// Whether the key is good.
    pub is_valid: bool,
    /// The key's id.
    pub key_id: Option<String>,
    /// Whose key it is.
    pub user_id: Option<String>,
    /// The service that it is for.
    pub service_id: Option<String>,
    /// What it may be used for.
    pub scopes: Option<Vec<String>>,
    /// `production`, `test` or `development`.
    pub environment: Option<String>,
    /// Requests an hour.
    pub rate_limit_per_hour: Option<u32>,
    /// The plan that its usage is billed by.
    pub billing_plan: Option<String>,
    /// Predictions a month.
    pub monthly_prediction_limit: Option<i64>,
    /// When it stops.
    pub expires_at: Option<String>,
    /// Why it was refused, for people; deployed clients read one or the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it was refused, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Why it was refused, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}
