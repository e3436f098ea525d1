//! Validation: whether a key may be used for something. Asking costs one unit of the key's hour.

use std::str::FromStr;
use std::time::Duration;

use hokusai_api::validate::{ValidateKey, ValidatedKey};
use hokusai_core::secret::Secret;
use hokusai_core::time::{SECOND, Timestamp};
use serde::Deserialize;

use crate::answer::Answer;
use crate::call::{Call, Credential};
use crate::client::Client;
use crate::error::Error;

/// What the service says of a key.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub enum Validation {
    /// It may be used.
    Valid {
        /// The key.
        key: ValidatedKey,
        /// What is left of its hour.
        quota: Quota,
    },
    /// It may not be used.
    Refused {
        /// Why, for programs, such as `expired`.
        code: String,
        /// Why, for people.
        detail: String,
    },
    /// It may be used, but not in this hour.
    Limited {
        /// How long the hour lasts.
        retry_after: Duration,
    },
}

/// An hour's limit, and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests an hour.
    pub limit: u32,
    /// Requests that are left.
    pub remaining: u32,
    /// When the next hour begins.
    pub resets_at: Timestamp,
}

/// The body of a used-up limit, which has no code.
#[derive(Deserialize)]
struct UsedUp {
    #[serde(rename = "detail")]
    _detail: String,
}

impl Client {
    /// Whether this key may be used for what `question` says; the question's own key is not looked at. The
    /// client's token is shown only for a dry run, which costs nothing and needs one.
    ///
    /// # Errors
    /// See [`Error`]. An error says nothing of the key.
    pub async fn validate(&self, key: &Secret, question: &ValidateKey) -> Result<Validation, Error> {
        // A body, unlike a header, can carry any text that somebody took for a key.
        let question = ValidateKey { api_key: Some(key.expose().to_owned()), ..question.clone() };
        let is_dry = question.dry_run == Some(true);
        let credential = if is_dry { Credential::Service } else { Credential::Nobody };
        let call = Call::post("/api/v1/keys/validate").body(&question).credential(credential);
        verdict(&self.send(&call).await?)
    }
}

fn verdict(answer: &Answer) -> Result<Validation, Error> {
    match (answer.status, answer.parse::<ValidatedKey>()) {
        (200, Some(key)) if key.is_valid => {
            let quota =
                quota(answer).ok_or_else(|| answer.not_ours("the headers of the limit are missing"))?;
            Ok(Validation::Valid { key, quota })
        }
        (401, Some(ValidatedKey { is_valid: false, code: Some(code), detail: Some(detail), .. })) => {
            Ok(Validation::Refused { code, detail })
        }
        (200, _) => Err(answer.not_ours("the body does not say that the key is valid")),
        (429, _) => limited(answer).ok_or_else(|| answer.refusal()),
        _ => Err(answer.refusal()),
    }
}

/// A proxy that takes no more requests says nothing of the key, and does not say it in this form.
fn limited(answer: &Answer) -> Option<Validation> {
    let UsedUp { .. } = answer.parse()?;
    answer.retry_after.map(|retry_after| Validation::Limited { retry_after })
}

fn quota(answer: &Answer) -> Option<Quota> {
    let resets_at: i64 = number(answer, "x-ratelimit-reset")?;
    Some(Quota {
        limit: number(answer, "x-ratelimit-limit")?,
        remaining: number(answer, "x-ratelimit-remaining")?,
        resets_at: Timestamp(resets_at.checked_mul(SECOND)?),
    })
}

fn number<T: FromStr>(answer: &Answer, header: &str) -> Option<T> {
    answer.header(header)?.trim().parse().ok()
}
