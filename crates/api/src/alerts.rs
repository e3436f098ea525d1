//! Alerts: keys that somebody should look at.

use serde::{Deserialize, Serialize};

/// A key that somebody should look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Why: `expires_soon`, `used_in_grace`, `many_refusals` or `many_limit_hits`.
    pub kind: String,
    /// The key.
    pub key_id: String,
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub user_id: String,
    /// When it expires, when its grace ends, or the beginning of the hour that is meant.
    pub at: String,
    /// How many refusals or limit hits there were in that hour; 0 for the other kinds.
    pub count: i64,
    /// The same for people.
    pub message: String,
}

/// All alerts that the asker may see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alerts {
    /// At most a thousand of each kind.
    pub alerts: Vec<Alert>,
    /// Whether there are more.
    pub truncated: bool,
}
