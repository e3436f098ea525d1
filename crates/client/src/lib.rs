//! The client of the service's management API: keys, validation, usage, alerts and admin tokens, as typed
//! calls.
//!
//! A [`Client`] knows one service. It is cheap to clone, and keeps its connections between calls. Every
//! wait has an end, every answer is bounded in size, and the credential goes to that one service only: no
//! redirect is followed. What went wrong is an [`Error`] with a variant for each thing that a caller may
//! do about it; a refused key is no error, but a [`Validation`].
//!
//! A call is repeated only if it does no harm (see [`Builder::retries`]): no key is created or rotated
//! twice, no unit is spent twice, and no use is counted twice.
//!
//! ```no_run
//! use hokusai_client::api::keys::CreateKey;
//! use hokusai_client::api::validate::ValidateKey;
//! use hokusai_client::{Client, KeyQuery, Secret, Validation};
//!
//! # async fn example(token: Secret) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("https://auth.hokus.ai")?.token(token).build()?;
//!
//! let wish = CreateKey { name: "Nightly training".into(), ..CreateKey::default() };
//! let created = client.create_key(&wish).await?;
//!
//! let question = ValidateKey { required_scope: Some("model:read".into()), ..ValidateKey::default() };
//! match client.validate(&Secret::new(created.api_key), &question).await? {
//!     Validation::Valid { quota, .. } => println!("{} requests are left", quota.remaining),
//!     Validation::Refused { detail, .. } => println!("refused: {detail}"),
//!     Validation::Limited { retry_after } => println!("none is left for {retry_after:?}"),
//! }
//!
//! let mut pages = client.keys(&KeyQuery { active_only: true, ..KeyQuery::default() });
//! while let Some(page) = pages.next().await? {
//!     for key in page {
//!         println!("{} {}", key.key_id, key.name);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod admin_tokens;
mod alerts;
mod answer;
mod audit;
mod builder;
mod call;
mod client;
mod clock;
pub mod credential;
mod denial;
mod error;
mod keys;
mod layer;
mod models;
mod money;
mod pages;
pub mod profile;
mod retry;
mod service_url;
mod token;
mod usage;
mod validate;
mod validations;
mod verifier;
mod verifiers;

pub use hokusai_api as api;
pub use hokusai_core::allotment::Quota as HourlyQuota;
pub use hokusai_core::billing::Money;
pub use hokusai_core::calendar::{Day, Month};
pub use hokusai_core::id::{KeyId, TokenId};
pub use hokusai_core::model::{self, ModelName, ModelType, Tag};
pub use hokusai_core::policy::{Attempt, ClientAddress, Demand, KeyFacts, Refusal};
pub use hokusai_core::scope::Scope;
pub use hokusai_core::secret::Secret;
pub use hokusai_core::time::Timestamp;
pub use hokusai_core::verifier::KnownKey;

pub use audit::{AuditQuery, RefusedCallQuery};
pub use builder::{BuildError, Builder};
pub use client::{Client, Version};
pub use clock::Stopwatch;
pub use denial::Denial;
pub use error::{Cause, Error, Told};
pub use keys::KeyQuery;
pub use layer::{AdmittedKey, RequireKey, WithKey};
pub use models::{ModelQuery, ModelVersionQuery, Platform};
pub use pages::{KeyPages, Pages, TokenPages};
pub use service_url::UrlError;
pub use usage::{Bill, UsageBy, UsageQuery};
pub use validate::{Quota, Validation};
pub use verifier::{
    Decision, JournalError, ReportMetrics, Served, Unavailable, Verifier, VerifierBuilder, VerifierError,
    VerifierMetrics,
};
