//! What verifiers and the service say to each other: processes that admit requests from memory.
//!
//! A place in the feed is written `epoch:revision`.

use serde::{Deserialize, Serialize};

use crate::validate::ValidatedKey;

/// What a verifier adds to a validation, to be vouched for a key for a while.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct VouchForKey {
    /// The key.
    pub api_key: String,
    /// The process that asks.
    pub holder: String,
    /// The number of this message; with it, the first unit of the key's account is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The longest that the answer will be used, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_ttl_ms: Option<u64>,
}

impl std::fmt::Debug for VouchForKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VouchForKey").field("holder", &self.holder).finish_non_exhaustive()
    }
}

/// The answer: what anybody is told of a key, and what a verifier needs besides. Of a refused key only the
/// place in the feed is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VouchedKey {
    /// What anybody is told.
    #[serde(flatten)]
    pub key: ValidatedKey,
    /// What its requests count against; shared with its rotation successor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Where it may be used from; empty: anywhere. The verifier judges it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_ips: Option<Vec<String>>,
    /// How long the answer may be used from when it was asked for, in milliseconds. Zero: the process is not
    /// in the register; it has to ask for changes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_for_ms: Option<u64>,
    /// The first unit, if the process has had none of this account in this hour.
    #[serde(default)]
    pub allotment: Option<Allotted>,
    /// Up to where the feed was applied by whoever judged.
    pub position: String,
}

/// A message about limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Allotments {
    /// The process that asks.
    pub holder: String,
    /// What it says of accounts: 1,000 at the most.
    #[serde(default)]
    pub items: Vec<AllotmentAsk>,
    /// What was admitted while nobody could be asked: 1,000 at the most.
    #[serde(default)]
    pub debt: Vec<DebtSlip>,
    /// Whether it admits nothing any longer.
    #[serde(default)]
    pub goodbye: bool,
}

/// What a process says of one account: it asks, gives back and reports in one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllotmentAsk {
    /// The account.
    pub account: String,
    /// The hour that `used` belongs to, in whole hours since 1970; null if there is none yet.
    pub hour: Option<i64>,
    /// Higher than in every earlier message of the process.
    pub seq: i64,
    /// Units spent in that hour.
    pub used: u32,
    /// Units wished for beyond those; zero gives back what is unspent.
    pub want: u32,
}

/// What was admitted while nobody could be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DebtSlip {
    /// Made by one process for its debts alone.
    pub id: String,
    /// The account.
    pub account: String,
    /// The hour that it was admitted in.
    pub hour: i64,
    /// All of it, what was settled before included.
    pub units: u32,
}

/// The answer to a message about limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllottedItems {
    /// To each item, in order; null where a newer message was heard before, or the account is not known.
    pub items: Vec<Option<Allotted>>,
}

/// What a process may spend of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Allotted {
    /// The hour, in whole hours since 1970.
    pub hour: i64,
    /// The message that is answered.
    pub seq: i64,
    /// Units it may spend in this hour in all, those already spent included.
    pub allotted: u32,
    /// Units it has spent in it, as far as is known.
    pub used: u32,
    /// Units beyond those that count as spent already: a request waits for them.
    pub awaited: u32,
    /// How long they may be spent from when they were asked for, in milliseconds.
    pub expires_in_ms: u64,
    /// The account's limit.
    pub limit: u32,
    /// Units that nobody has.
    pub remaining: u32,
    /// Processes that asked for this account lately, this one included.
    pub holders: u32,
    /// Whether others may have units that they don't use.
    pub reclaimable: bool,
    /// Whether the account has a key that works.
    pub living: bool,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangesPage {
    /// Up to where this goes; to ask from there acknowledges it.
    pub position: String,
    /// Whether the place that was asked from is not known: then all that is remembered has to be forgotten.
    pub reset: bool,
    /// What came after that place, oldest first.
    pub items: Vec<ChangeItem>,
    /// Accounts of which others need units.
    pub dry: Vec<String>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeItem {
    /// Its number.
    pub revision: i64,
    /// `create` for a new key, which nobody can know from before; else `change`.
    pub kind: String,
    /// The key; null for an admin token.
    pub key_id: Option<String>,
    /// What its requests count against.
    pub account: Option<String>,
}

/// Whether everybody who admits requests knows of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effective {
    /// Whether everybody does.
    pub everywhere: bool,
    /// Since before when, if everybody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Who does not, if not everybody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Vec<String>>,
    /// From when on they don't act on what was before either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_latest: Option<String>,
}
