//! The use-cases of the service: validate a key, issue, rotate, change and revoke keys, manage tokens, keep
//! the catalogue of models.
//!
//! A validation of a known key with units at hand touches no database and holds no lock across an await.
//! What it needs is in memory: the key (`key_cache.rs`), units of its limit (`allotments.rs`), and the certainty that neither is
//! out of date (`feed.rs`). Rules come from `core`, rows from `store`; only `clock.rs` asks for the time.

mod alerts;
mod allotments;
mod audit;
mod clock;
mod engine;
mod feed;
mod jobs;
mod key_cache;
mod keys;
mod lookups;
mod models;
mod refusal;
mod refused_calls;
mod reports;
mod tokens;
mod usage;
mod validate;
mod validations;
mod verifiers;

pub use alerts::{AlertThresholds, MOST_ALERTS};
pub use allotments::{Charge, ChargeKind};
pub use clock::{Clock, ManualClock};
pub use engine::{Engine, EngineOptions};
pub use jobs::Jobs;
pub use keys::{Expiry, Issued, KeyPatch, KeyWish, Rotated};
pub use models::{ModelWish, VersionWish};
pub use refusal::{Actor, Declined};
pub use reports::Source;
pub use tokens::{IssuedToken, TokenWish};
pub use usage::Taken;
pub use validate::{Validation, Verdict};
pub use verifiers::{Changes, Effect, GoodKey, LONGEST_VALIDITY, VerifierId, Vouched};
