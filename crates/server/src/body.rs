//! Reading a JSON body: bounded in size and time.

use std::time::Duration;

use axum::body::Body;
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
        self.0.ok_or_else(|| ApiError::unreadable_body("The body is empty; it must be a JSON object"))
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
        let (parts, body) = request.into_parts();
        if announced_length(&parts.headers).is_some_and(|length| length > limit) {
            return Err(ApiError::body_too_large(limit));
        }
        let bytes = tokio::time::timeout(PATIENCE, read(body, limit)).await;
        let bytes = bytes.map_err(|_| ApiError::body_too_slow())??;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        if !is_json(&parts.headers) {
            return Err(ApiError::not_json());
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(Some(object))),
            Ok(_) => Err(ApiError::unreadable_body("The body must be a JSON object")),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let detail = format!("The body is not JSON (line {line}, column {column})");
                Err(ApiError::unreadable_body(detail))
            }
        }
    }
}

async fn read(body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::body_too_large(limit)),
        Err(_) => Err(ApiError::unreadable_body("The body broke off")),
    }
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the body calls itself JSON, or nothing at all.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let Ok(text) = value.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}
