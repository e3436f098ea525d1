//! The client's own credential, as headers carry it. Neither header shows its value in `Debug`.

use hokusai_core::secret::Secret;
use reqwest::header::HeaderValue;

/// An admin token that a header can carry.
pub(crate) struct Token {
    /// For the `Authorization` header.
    pub(crate) bearer: HeaderValue,
    /// For a header that is made for tokens.
    pub(crate) bare: HeaderValue,
}

impl Token {
    /// `None` if the text is empty or no header can carry it.
    pub(crate) fn read(text: &Secret) -> Option<Self> {
        let text = text.expose();
        let header = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        // The service takes the text after `Bearer` without the blanks around it.
        let is_token = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && text.trim() == text;
        if text.is_empty() || !is_token {
            return None;
        }
        Some(Self { bearer: header(&format!("Bearer {text}"))?, bare: header(text)? })
    }
}
