//! Who asks, and why the service declines.

use hokusai_core::grant::Forbidden;
use hokusai_core::id::{KeyId, TokenId};
use hokusai_core::token::Role;
use hokusai_core::usage::WrongInstant;
use hokusai_store::{Note, StoreError};

/// Whoever asks for a change, as the audit log will name it.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The user that the token acts for.
    pub user_id: String,
    /// The token; `None` for the service itself.
    pub token_id: Option<TokenId>,
    /// What the token may do.
    pub role: Role,
    /// Where the request came from.
    pub address: String,
    /// The request's id.
    pub request_id: String,
}

impl Actor {
    /// The service itself, as at its first start.
    #[must_use]
    pub fn system() -> Self {
        let none = String::new;
        Self {
            user_id: "system".into(),
            token_id: None,
            role: Role::Operator,
            address: none(),
            request_id: none(),
        }
    }

    pub(crate) fn note(&self, action: &'static str, target: String, detail: String) -> Note {
        Note {
            user_id: self.user_id.clone(),
            token_id: self.token_id.map(|id| id.to_string()).unwrap_or_default(),
            action,
            target,
            address: self.address.clone(),
            request_id: self.request_id.clone(),
            detail,
        }
    }

    /// Refuses everybody else.
    pub(crate) fn only_operators(&self) -> Result<(), Declined> {
        if self.role == Role::Operator { Ok(()) } else { Err(Declined::Forbidden(Forbidden::Role)) }
    }

    /// Whether this actor may know of things that belong to `user_id`.
    pub(crate) fn sees(&self, user_id: &str) -> bool {
        match self.role {
            Role::Operator => true,
            Role::Member => self.user_id == user_id,
            Role::Verifier => false,
        }
    }
}

/// Why a use-case was not carried out. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum Declined {
    /// The store does not answer.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
    /// Too many look-ups of unknown things from one address, or altogether.
    #[error("too many look-ups")]
    TooManyLookups,
    /// The process is bound to another service token.
    #[error("the process is bound to another service token")]
    HolderTaken,
    /// There is no such thing, or the actor may not know of it.
    #[error("not found")]
    NotFound,
    /// The actor may not do this.
    #[error("forbidden")]
    Forbidden(Forbidden),
    /// The key is revoked, for good.
    #[error("the key is revoked")]
    KeyRevoked,
    /// The key was rotated before.
    #[error("the key is already rotating")]
    AlreadyRotating {
        /// The key that succeeds it.
        successor: KeyId,
    },
    /// The expiry does not lie ahead.
    #[error("the expiry is not in the future")]
    ExpiryPassed,
    /// Too many records of usage wait for being written.
    #[error("too much usage waits")]
    TooMuchUsage,
    /// A record lies too far ahead or back.
    #[error("record {index} lies too far ahead or back")]
    WrongInstant {
        /// Its place in the report, from 0.
        index: usize,
        /// What is wrong.
        why: WrongInstant,
    },
    /// A record names a key that does not exist, or that the reporter may not know of.
    #[error("record {index} names an unknown key")]
    UnknownKey {
        /// Its place in the report, from 0.
        index: usize,
    },
    /// A debit would pass the monthly limit.
    #[error("the monthly limit is reached")]
    PastMonthlyLimit {
        /// Predictions in a month.
        limit: i64,
        /// Those that are used.
        used: i64,
    },
    /// The plan is not configured, so its price is not known.
    #[error("the plan {plan} is not configured")]
    UnknownPlan {
        /// The plan.
        plan: String,
    },
    /// There is a model of this name already.
    #[error("there is a model of this name already")]
    ModelExists,
    /// The catalogue is full.
    #[error("there are too many models")]
    TooManyModels,
    /// The model has as many versions as a model can have.
    #[error("the model has too many versions")]
    TooManyVersions,
    /// Without this token nobody could manage the service.
    #[error("the last lasting operator token can't be revoked")]
    LastOperator,
}
