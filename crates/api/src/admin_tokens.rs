//! Admin tokens: how they are asked for and shown.

use serde::{Deserialize, Serialize};

/// The body of a request for a new token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateToken {
    /// The user that it acts for.
    pub user_id: String,
    /// What to call it.
    pub name: String,
    /// `operator`, `member` or `verifier`.
    pub role: String,
    /// How long it lives: 1 to 365 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u32>,
}

/// A token, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Its id.
    pub token_id: String,
    /// What its owner calls it.
    pub name: String,
    /// The user that it acts for.
    pub user_id: String,
    /// What it may do.
    pub role: String,
    /// The part of the token that may be shown.
    pub token_prefix: String,
    /// When it was made.
    pub created_at: String,
    /// When it stops; `None`: never.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
}

/// The answer that shows a token's text, once.
#[derive(Clone, Serialize, Deserialize)]
pub struct CreatedToken {
    /// The token itself.
    pub token: String,
    /// Its id; also inside `token_info`.
    pub token_id: String,
    /// Its settings.
    pub token_info: TokenInfo,
}

impl std::fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedToken").field("token_id", &self.token_id).finish_non_exhaustive()
    }
}

/// The answer to a revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedToken {
    /// What was done, for people.
    pub message: String,
    /// The token.
    pub token_id: String,
}
