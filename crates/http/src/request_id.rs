//! The id of a request.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: the caller's, if it is sane and no credential, else a new one.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the caller gave, if it can be taken over, else a new one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).filter(|value| value.to_str().is_ok_and(is_sane));
        Self(given.cloned().unwrap_or_else(|| {
            // None has to be greater than the one before, for which all threads would wait for one another.
            let id = uuid::Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext));
            let mut buffer = uuid::Uuid::encode_buffer();
            let text = id.hyphenated().encode_lower(&mut buffer);
            HeaderValue::from_str(text).expect("letters, digits and hyphens are a header's value")
        }))
    }

    /// The id as a header's value.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The id as text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.to_str().expect("an id has letters, digits and marks")
    }
}

fn is_sane(id: &str) -> bool {
    let is_credential = id.contains("hk_") || id.contains("hka_");
    !is_credential
        && (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}
