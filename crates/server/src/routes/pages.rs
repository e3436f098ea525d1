//! Pages of long lists: `limit`, `cursor`, and a `Link` header to the next one.

use axum::extract::FromRequestParts;
use axum::http::header::LINK;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri};
use serde_json::Value;

use crate::error::ApiError;
use crate::fields::{Parsed, unknown_field};
use crate::values::whole_number;

const MAX_LIMIT: i64 = 1000;

/// The query parameters of a request, each by its last value. Unknown ones are ignored, unless
/// [`Query::only`] refuses them.
pub(crate) struct Query {
    parameters: Vec<(String, String)>,
    uri: Uri,
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) before: Option<i64>,
    pub(crate) limit: i64,
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Self { parameters, uri: parts.uri.clone() })
    }
}

impl Query {
    /// A parameter's value as a field's value would be read.
    pub(crate) fn get<T>(
        &self,
        name: &str,
        parse: impl FnOnce(Value) -> Parsed<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some((_, text)) = self.parameters.iter().rfind(|(key, _)| key == name) else { return Ok(None) };
        parse(Value::String(text.clone())).map(Some).map_err(|message| ApiError::field(name, message))
    }

    /// Refuses parameters of other names.
    pub(crate) fn only(&self, known: &[&'static str]) -> Result<(), ApiError> {
        let unknown = self.parameters.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        let errors: Vec<_> = unknown.map(|(name, _)| unknown_field("parameter", name, known)).collect();
        if errors.is_empty() { Ok(()) } else { Err(ApiError::fields(errors)) }
    }

    /// Refuses a parameter that is given several times.
    pub(crate) fn once(&self, name: &'static str) -> Result<(), ApiError> {
        let count = self.parameters.iter().filter(|(key, _)| key == name).count();
        if count <= 1 { Ok(()) } else { Err(ApiError::field(name, "can be given once only")) }
    }

    pub(crate) fn page(&self) -> Result<Page, ApiError> {
        self.page_of(MAX_LIMIT)
    }

    /// How much of a list is asked for: `usual`, unless the request says otherwise.
    pub(crate) fn limit(&self, usual: i64) -> Result<i64, ApiError> {
        Ok(self.get("limit", number(1..=MAX_LIMIT))?.unwrap_or(usual))
    }

    pub(crate) fn page_of(&self, usual: i64) -> Result<Page, ApiError> {
        let limit = self.limit(usual)?;
        let before = self.get("cursor", number(0..=9_999_999_999_999_999))?;
        Ok(Page { before, limit })
    }

    /// The header that leads to what comes after `last`, if the page is full.
    pub(crate) fn next_page(&self, page: Page, shown: usize, last: Option<impl ToString>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let is_full = i64::try_from(shown).is_ok_and(|shown| shown == page.limit);
        if let (true, Some(last)) = (is_full, last) {
            let mut query = form_urlencoded::Serializer::new(String::new());
            let kept = self.parameters.iter().filter(|(name, _)| name != "cursor");
            query.extend_pairs(kept).append_pair("cursor", &last.to_string());
            let link = format!("<{}?{}>; rel=\"next\"", self.uri.path(), query.finish());
            if let Ok(value) = HeaderValue::from_str(&link) {
                headers.insert(LINK, value);
            }
        }
        headers
    }
}

/// A whole number written as text.
pub(crate) fn number(range: std::ops::RangeInclusive<i64>) -> impl FnOnce(Value) -> Parsed<i64> {
    move |value| {
        let number = value.as_str().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        whole_number(range)(number.and_then(|text| text.parse().ok()).map_or(Value::Null, |n: i64| n.into()))
    }
}

/// `true` or `false` written as text; Python's clients write `True`.
pub(crate) fn flag(value: Value) -> Parsed<bool> {
    match value {
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}
