//! Errors as statuses: the one place that maps what went wrong to what HTTP says. A refused key is not an
//! error; `routes/validate.rs` answers it.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hokusai_api::errors::{ErrorBody, FieldError};
use hokusai_core::grant::Forbidden;
use hokusai_core::model::{MAX_MODELS, MAX_VERSIONS};
use hokusai_engine::Declined;

/// Refusals that are counted: for want of a good admin token, or of rights.
const COUNTED: [&str; 4] =
    ["invalid_admin_token", "forbidden", "service_token_required", "service_token_refused"];

/// Goes with an answer that is to be counted among the refused calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedRefusal(pub(crate) &'static str);

/// A refused request.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: ErrorBody,
}

impl ApiError {
    fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self { status, body: ErrorBody { detail: detail.into(), code: code.to_owned(), errors: Vec::new() } }
    }

    /// Whether the fault is the service's own, and passes.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    pub(crate) fn no_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing at this path; /docs lists what there is",
        )
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} not found"))
    }

    pub(crate) fn wrong_method() -> Self {
        let detail = "This path does not take this method; the Allow header lists those that it takes";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    pub(crate) fn unreadable_body(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unreadable_body", why)
    }

    pub(crate) fn body_too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "The body did not arrive in time")
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let detail = format!("The body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    pub(crate) fn not_json() -> Self {
        let detail = "The body must be JSON, with Content-Type: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    pub(crate) fn foreign_host() -> Self {
        let detail = "This service answers only to its own host name";
        Self::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail)
    }

    /// Wrong fields; the detail names the first.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => "The request is not valid".to_owned(),
            [only] => format!("{}: {}", only.field, only.message),
            [first, rest @ ..] => format!("{}: {} (and {} more)", first.field, first.message, rest.len()),
        };
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail);
        error.body.errors = errors;
        error
    }

    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    pub(crate) fn ambiguous_credentials() -> Self {
        let detail = "Send one Authorization header, not several";
        Self::new(StatusCode::BAD_REQUEST, "ambiguous_credentials", detail)
    }

    pub(crate) fn missing_key() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "missing_key", "No API key provided")
    }

    pub(crate) fn invalid_admin_token(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_admin_token", detail)
    }

    pub(crate) fn refused_key(code: &str, detail: String) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    pub(crate) fn service_token_required() -> Self {
        let detail = "A dry run needs an admin or service token in X-Hokusai-Service-Token";
        Self::new(StatusCode::FORBIDDEN, "service_token_required", detail)
    }

    /// Only a verifier may ask this.
    pub(crate) fn verifier_token_required() -> Self {
        let detail = "A service token is needed in X-Hokusai-Service-Token";
        Self::new(StatusCode::FORBIDDEN, "service_token_required", detail)
    }

    pub(crate) fn service_token_refused() -> Self {
        let detail = "The token in X-Hokusai-Service-Token is unknown, expired or revoked";
        Self::new(StatusCode::FORBIDDEN, "service_token_refused", detail)
    }

    pub(crate) fn forbidden(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(crate) fn store_unavailable() -> Self {
        let detail = "The service can't reach its database; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail)
    }

    fn too_many_lookups() -> Self {
        let detail = "Too many unknown keys or tokens from this address; try again in a second";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_lookups", detail)
    }

    /// Nobody may report usage without a credential from here.
    pub(crate) fn usage_credential_required() -> Self {
        let detail = "Usage is reported with an admin token, a service token in X-Hokusai-Service-Token, or the \
                      key itself; without one only from the networks that are configured as trusted";
        Self::new(StatusCode::UNAUTHORIZED, "credential_required", detail)
    }

    pub(crate) fn too_much_usage() -> Self {
        let detail =
            "More usage is being reported than can be written now; nothing of this was taken: send it again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "usage_backlog", detail)
    }

    fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }
}

impl From<Declined> for ApiError {
    fn from(declined: Declined) -> Self {
        match declined {
            Declined::Store(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
                Self::store_unavailable()
            }
            Declined::TooManyLookups => Self::too_many_lookups(),
            Declined::HolderTaken => Self::conflict(
                "holder_taken",
                "This process id is bound to another service token; make a new one at every start",
            ),
            Declined::NotFound => Self::not_found("This"),
            Declined::Forbidden(what) => Self::forbidden(why_forbidden(what)),
            Declined::KeyRevoked => Self::conflict("key_revoked", "The key is revoked; create a new one"),
            Declined::AlreadyRotating { successor } => Self::conflict(
                "already_rotating",
                format!("The key was already rotated; its successor is {successor}: rotate that one"),
            ),
            Declined::ExpiryPassed => Self::field("expires_at", "must lie in the future"),
            Declined::TooMuchUsage => Self::too_much_usage(),
            Declined::WrongInstant { why, .. } => Self::field("occurred_at", why.to_string()),
            Declined::UnknownKey { .. } => Self::not_found("API key"),
            Declined::PastMonthlyLimit { limit, .. } => {
                let detail = format!("The monthly limit of {limit} predictions is reached");
                Self::new(StatusCode::PAYMENT_REQUIRED, "monthly_limit_exceeded", detail)
            }
            Declined::UnknownPlan { plan } => Self::conflict(
                "unknown_plan",
                format!(
                    "The plan {plan} is not among the configured billing plans, so its price is not known"
                ),
            ),
            Declined::ModelExists => Self::conflict(
                "model_exists",
                "There is a model of this name already; add a version to it, or choose another name",
            ),
            Declined::TooManyModels => Self::conflict(
                "too_many_models",
                format!("The catalogue has {MAX_MODELS} models, and takes no more"),
            ),
            Declined::TooManyVersions => Self::conflict(
                "too_many_versions",
                format!("The model has {MAX_VERSIONS} versions, and takes no more; create another model"),
            ),
            Declined::LastOperator => Self::conflict(
                "last_operator",
                "This is the last operator token without an expiry; create another one first",
            ),
        }
    }
}

fn why_forbidden(what: Forbidden) -> &'static str {
    match what {
        Forbidden::Scope => "Only an operator may give a key the scopes '*', 'admin…' or '…:admin'",
        Forbidden::RateLimit => "Only an operator may give a key this many requests an hour",
        Forbidden::BillingPlan => "Only an operator may choose a billing plan",
        Forbidden::MonthlyLimit => "Only an operator may set a monthly prediction limit",
        Forbidden::User => "Only an operator may create keys for another user",
        Forbidden::Role => "This token's role does not allow this",
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let counted = COUNTED.into_iter().find(|code| *code == self.body.code);
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(code) = counted {
            response.extensions_mut().insert(CountedRefusal(code));
        }
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
