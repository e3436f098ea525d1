//! What became of a key's validations.

use serde::{Deserialize, Serialize};

/// What became of a key's validations, the latest hour first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyValidations {
    /// The key.
    pub key_id: String,
    /// Hours in which there were any.
    pub hours: Vec<HourOfValidations>,
}

/// What became of a key's validations in one hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HourOfValidations {
    /// The beginning of the UTC clock hour.
    pub hour: String,
    /// When the key was good last.
    pub last_used_at: Option<String>,
    /// The key was good.
    pub valid: i64,
    /// The key was good, but nothing was left of its limit.
    pub limited: i64,
    /// Its time was over.
    pub expired: i64,
    /// It was revoked.
    pub revoked: i64,
    /// It was for another service.
    pub service_mismatch: i64,
    /// It lacked the scope.
    pub insufficient_scope: i64,
    /// It was used from an address that it is not for.
    pub ip_not_allowed: i64,
}
