//! What is answered to a request that may not pass: the same in front of every service.

use std::net::IpAddr;

use hokusai_api::errors::FieldError;
use hokusai_core::allotment::Quota;
use hokusai_core::policy::Refusal;
use hokusai_core::verifier::KnownKey;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::verifier::{Decision, Unavailable};

/// An answer to a request that may not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Its status.
    pub status: StatusCode,
    /// What people are told.
    pub detail: String,
    /// The stable word for programs; without one, the body has only the detail.
    pub code: Option<&'static str>,
    /// When to try again, in seconds.
    pub retry_after: Option<u64>,
    /// The scopes of which one is needed.
    pub scopes: Vec<String>,
    /// Fields that are wrong.
    pub errors: Vec<FieldError>,
}

impl Denial {
    /// An answer that says what was wrong.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            code: Some(code),
            retry_after: None,
            scopes: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// No key at all.
    #[must_use]
    pub fn no_key() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "missing_key", "API key required")
    }

    /// Several keys that are not the same.
    #[must_use]
    pub fn ambiguous() -> Self {
        let detail = "Send one API key, not several";
        Self::new(StatusCode::BAD_REQUEST, "ambiguous_credentials", detail)
    }

    /// A key that is refused; `seen` is where the request came from.
    #[must_use]
    pub fn refused(refusal: Refusal, seen: Option<IpAddr>, scopes: Vec<String>) -> Self {
        if refusal == Refusal::InsufficientScope {
            let detail = "Insufficient permissions for this operation";
            let denial = Self::new(StatusCode::FORBIDDEN, refusal.code(), detail);
            return Self { scopes, ..denial };
        }
        let seen = seen.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        Self::new(StatusCode::UNAUTHORIZED, refusal.code(), refusal.text(&seen))
    }

    /// Nothing is left of the hour.
    #[must_use]
    pub fn limited(quota: Quota) -> Self {
        let denial = Self::new(StatusCode::TOO_MANY_REQUESTS, "", "Rate limit exceeded");
        // Deployed clients know this body as it is.
        Self { code: None, retry_after: Some(quota.retry_after_seconds()), ..denial }
    }

    /// The service would have to be asked, and can't be.
    #[must_use]
    pub fn unavailable(unavailable: Unavailable) -> Self {
        let denial =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", unavailable.to_string());
        Self { retry_after: Some(1), ..denial }
    }

    /// The key that was admitted and how its limit stands, or what is answered instead. `seen` is where the
    /// request came from; one of `scopes` was needed.
    ///
    /// # Errors
    /// The answer, if nothing was admitted.
    pub fn unless_admitted(
        decision: Result<Decision, Unavailable>,
        seen: Option<IpAddr>,
        scopes: impl FnOnce() -> Vec<String>,
    ) -> Result<(KnownKey, Quota), Self> {
        match decision {
            Ok(Decision::Admitted { key, quota }) => Ok((key, quota)),
            Ok(Decision::Refused(refusal)) => Err(Self::refused(refusal, seen, scopes())),
            Ok(Decision::Limited(quota)) => Err(Self::limited(quota)),
            Err(unavailable) => Err(Self::unavailable(unavailable)),
        }
    }

    /// The body, as JSON. Where one of several scopes would do, all are named.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("detail".into(), json!(self.detail));
        if let Some(code) = self.code {
            body.insert("code".into(), json!(code));
        }
        if let Some(scope) = self.scopes.first() {
            body.insert("required_scope".into(), json!(scope));
        }
        if self.scopes.len() > 1 {
            body.insert("accepted_scopes".into(), json!(self.scopes));
        }
        if !self.errors.is_empty() {
            body.insert("errors".into(), json!(self.errors));
        }
        Value::Object(body)
    }

    /// Whether the answer asks for a credential, by `WWW-Authenticate`.
    #[must_use]
    pub fn asks_for_a_key(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }
}
