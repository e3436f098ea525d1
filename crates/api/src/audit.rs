//! The audit log and the sums of refused calls, as they are shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its place in the chain, from 1 without a gap.
    pub number: i64,
    /// When.
    pub at: String,
    /// Who: the user.
    pub user_id: String,
    /// By which admin token; `None`: the service itself.
    pub token_id: Option<String>,
    /// What: `key.create`, `key.revoke` …
    pub action: String,
    /// To which key or token: its id. A model is `model:` and its name.
    pub target: String,
    /// From which address; `None`: the service itself.
    pub address: Option<String>,
    /// The request's id; `None`: the service itself.
    pub request_id: Option<String>,
    /// The rest: an object.
    pub detail: Value,
    /// What came of it: `done`. What is refused changes nothing, and is counted elsewhere.
    pub result: String,
    /// The seal: 64 hexadecimal digits.
    pub seal: String,
}

/// How many calls were refused, of one kind in one minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCalls {
    /// When the minute began.
    pub minute: String,
    /// The client's address, of an IPv6 address the first of its /64; `other`: those beyond the first
    /// thousand of a minute.
    pub address: String,
    /// The code of the refusal.
    pub code: String,
    /// How many calls.
    pub count: i64,
}
