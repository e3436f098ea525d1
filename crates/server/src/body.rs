//! Reading a JSON body: bounded in size and time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::error::ApiError;

/// The largest body, in bytes.
pub(crate) const LIMIT: usize = 64 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body that is a JSON object; `None` if it is empty.
pub(crate) struct JsonObject(pub(crate) Option<Map<String, Value>>);

impl JsonObject {
    /// The object; an error if there is none.
    pub(crate) fn required(self) -> Result<Map<String, Value>, ApiError> {
        self.0.ok_or_else(no_body)
    }
}

impl<S: Sync> FromRequest<S> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        Self::up_to(LIMIT, request).await
    }
}

impl JsonObject {
    /// Reads a body of at most so many bytes.
    pub(crate) async fn up_to(limit: usize, request: Request) -> Result<Self, ApiError> {
        let bytes = json_text(limit, request).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(Some(object))),
            Ok(_) => Err(no_object()),
            Err(error) => Err(no_json(error.line(), error.column())),
        }
    }
}

/// Reads a body of at most so many bytes, which calls itself JSON or is empty.
pub(crate) async fn json_text(limit: usize, request: Request) -> Result<Bytes, ApiError> {
    let (parts, body) = request.into_parts();
    if announced_length(&parts.headers).is_some_and(|length| length > limit) {
        return Err(ApiError::body_too_large(limit));
    }
    let bytes = tokio::time::timeout(PATIENCE, read(body, limit)).await;
    let bytes = bytes.map_err(|_| ApiError::body_too_slow())??;
    if bytes.is_empty() || is_json(&parts.headers) { Ok(bytes) } else { Err(ApiError::not_json()) }
}

pub(crate) fn no_object() -> ApiError {
    ApiError::unreadable_body("The body must be a JSON object")
}

pub(crate) fn no_body() -> ApiError {
    ApiError::unreadable_body("The body is empty; it must be a JSON object")
}

/// The body breaks the rules of JSON at this place.
pub(crate) fn no_json(line: usize, column: usize) -> ApiError {
    ApiError::unreadable_body(format!("The body is not JSON (line {line}, column {column})"))
}

async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::body_too_large(limit)),
        Err(_) => Err(ApiError::unreadable_body("The body broke off")),
    }
}

/// How long the body says that it is.
pub(crate) fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the body calls itself JSON, or nothing at all.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let Ok(text) = value.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}
