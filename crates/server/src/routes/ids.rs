//! Ids in paths: a text that is no id names nothing.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use hokusai_core::id::{KeyId, TokenId};

use crate::error::ApiError;

/// The id in the path.
pub(crate) struct Id<T>(pub(crate) T);

/// What an id names, for people.
pub(crate) trait Named {
    const NAME: &'static str;
}

impl Named for KeyId {
    const NAME: &'static str = "API key";
}

impl Named for TokenId {
    const NAME: &'static str = "Admin token";
}

impl<T: FromStr + Named, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        let id = text.and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| ApiError::not_found(T::NAME))
    }
}
