//! Ids and names in paths: a text that is none names nothing.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use hokusai_core::id::{KeyId, TokenId};
use hokusai_core::model::ModelName;

use crate::error::ApiError;

/// The id in the path.
pub(crate) struct Id<T>(pub(crate) T);

/// What an id names.
pub(crate) trait Named: Sized {
    /// The kind of thing, for people.
    const NAME: &'static str;

    fn read(text: &str) -> Option<Self>;
}

impl Named for KeyId {
    const NAME: &'static str = "API key";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Named for TokenId {
    const NAME: &'static str = "Admin token";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Named for ModelName {
    const NAME: &'static str = "Model";

    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl<T: Named, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        let id = text.and_then(|Path(text)| T::read(&text));
        id.map(Self).ok_or_else(|| ApiError::not_found(T::NAME))
    }
}
