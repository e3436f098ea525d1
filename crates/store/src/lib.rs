//! The memory of the service: SQLite or PostgreSQL behind one [`Store`], chosen by the URL's scheme.
//!
//! Only this crate names SQL. Every method is a whole operation, atomic by itself; no transaction leaks
//! out. Operations are written once and compiled for both databases (see `database.rs`); where the two
//! need different SQL, the two texts stand side by side.

mod alerts;
mod allotments;
mod audit;
mod bell;
mod billing;
mod change;
mod database;
mod error;
mod feed;
mod holders;
mod keys;
mod migrations;
mod models;
mod open;
mod postgres;
mod refused_calls;
mod sqlite;
mod tokens;
mod usage;
mod validations;

pub use alerts::{Alert, AlertFilter, AlertKind};
pub use allotments::AccountAsk;
pub use audit::{AuditFilter, AuditStretch};
pub use bell::Bell;
pub use billing::AccountUsage;
pub use change::{About, Note, Standing, Writes};
pub use database::Store;
pub use error::StoreError;
pub use feed::FeedPage;
pub use holders::{MOST_PENDING, PendingHolder, SeenHolder};
pub use keys::{FoundKey, Key, KeyFilter, ListedKey, NewKey};
pub use models::{Model, ModelFilter, ModelVersion, VersionFilter};
pub use open::{NowFn, OpenError, ReadOptions, StoreOptions, sqlite_path};
pub use refused_calls::RefusedFilter;
pub use tokens::{NewToken, Token, TokenFilter};
pub use usage::{
    Difference, GroupBy, ReconciledAccount, Reconciliation, Recorded, Report, Reporter, ServiceDay,
    UsageGroup,
};
pub use validations::{HourOfKey, KeyCounts};
