//! The key that a request bears.

use hokusai_core::secret::Secret;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};

/// The header that bears a key and nothing else.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A request bears several keys, and they are not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous;

/// The key that a request bears, as one place after the other is looked at. Several are taken if they are the same.
#[derive(Debug, Default)]
pub struct Presented(Option<Secret>);

impl Presented {
    /// Looks at an `Authorization` header. Credentials of other schemes than `Bearer` and `ApiKey` are none.
    ///
    /// # Errors
    /// [`Ambiguous`] if another key was found before.
    pub fn see_authorization(&mut self, value: &[u8]) -> Result<(), Ambiguous> {
        borne(value).map_or(Ok(()), |key| self.see(key))
    }

    /// Looks at an `X-API-Key` header.
    ///
    /// # Errors
    /// [`Ambiguous`] if another key was found before.
    pub fn see_api_key(&mut self, value: &[u8]) -> Result<(), Ambiguous> {
        let key = std::str::from_utf8(value).ok().filter(|key| key.is_ascii());
        self.see(key.unwrap_or_default())
    }

    /// Looks at what can only be a key.
    ///
    /// # Errors
    /// [`Ambiguous`] if another key was found before.
    pub fn see(&mut self, key: &str) -> Result<(), Ambiguous> {
        let key = key.trim();
        match &self.0 {
            None => self.0 = Some(Secret::new(key.to_owned())),
            Some(found) if found.expose() == key => {}
            Some(_) => return Err(Ambiguous),
        }
        Ok(())
    }

    /// The key, if there is one.
    #[must_use]
    pub fn key(self) -> Option<Secret> {
        self.0
    }
}

/// The key that a request bears as `Authorization: Bearer`, `Authorization: ApiKey` or `X-API-Key`, or among
/// `others`.
///
/// # Errors
/// [`Ambiguous`] if there are several that differ.
pub fn presented<'a>(
    headers: &'a HeaderMap,
    mut others: impl Iterator<Item = &'a str>,
) -> Result<Option<Secret>, Ambiguous> {
    let mut presented = Presented::default();
    let mut bearers = headers.get_all(AUTHORIZATION).iter();
    bearers.try_for_each(|value| presented.see_authorization(value.as_bytes()))?;
    let mut named = headers.get_all(API_KEY).iter();
    named.try_for_each(|value| presented.see_api_key(value.as_bytes()))?;
    others.try_for_each(|key| presented.see(key))?;
    Ok(presented.key())
}

/// Takes the keys off. Credentials of other schemes stay.
pub fn take_off(headers: &mut HeaderMap) {
    headers.remove(API_KEY);
    let has_key =
        |headers: &HeaderMap| headers.get_all(AUTHORIZATION).iter().any(|value| is_key(value.as_bytes()));
    if has_key(headers) {
        let kept: Vec<_> = headers.get_all(AUTHORIZATION).iter().cloned().collect();
        headers.remove(AUTHORIZATION);
        for value in kept.into_iter().filter(|value| !is_key(value.as_bytes())) {
            headers.append(AUTHORIZATION, value);
        }
    }
}

/// Whether this value of an `Authorization` header bears a key, or stands where one belongs.
#[must_use]
pub fn is_key(authorization: &[u8]) -> bool {
    borne(authorization).is_some()
}

/// The key in an `Authorization` header of one of our schemes. One that is no text is no key of ours, but
/// stands where a key belongs.
fn borne(value: &[u8]) -> Option<&str> {
    let scheme_ends = value.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(value.len());
    let (scheme, key) = value.split_at(scheme_ends);
    let is_ours = scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"apikey");
    is_ours.then(|| std::str::from_utf8(key).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Line = (&'static str, &'static str);
    /// Headers, keys from elsewhere, and what is found.
    type Case = (&'static [Line], &'static [&'static str], Result<Option<&'static str>, Ambiguous>);

    fn headers(lines: &[Line]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_key_is_found_in_each_place_and_several_must_agree() {
        let table: [Case; 13] = [
            (&[], &[], Ok(None)),
            (&[("authorization", "Bearer a")], &[], Ok(Some("a"))),
            (&[("authorization", "bEARER   a ")], &[], Ok(Some("a"))),
            (&[("authorization", "ApiKey a")], &[], Ok(Some("a"))),
            (&[("authorization", "Bearer")], &[], Ok(Some(""))),
            (&[("authorization", "Basic a")], &[], Ok(None)),
            (&[("x-api-key", " a ")], &[], Ok(Some("a"))),
            (&[("x-api-key", "a\u{a0}")], &[], Ok(Some(""))),
            (&[], &["a"], Ok(Some("a"))),
            (&[("authorization", "Bearer a"), ("x-api-key", "a")], &["a"], Ok(Some("a"))),
            (&[("authorization", "Bearer a"), ("x-api-key", "b")], &[], Err(Ambiguous)),
            (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], &[], Err(Ambiguous)),
            (&[("x-api-key", "a")], &["b"], Err(Ambiguous)),
        ];
        for (lines, others, expected) in table {
            let found = presented(&headers(lines), others.iter().copied());
            let found = found.as_ref().map(|key| key.as_ref().map(Secret::expose));
            assert_eq!(found, expected.as_ref().copied(), "{lines:?} {others:?}");
        }
    }

    #[test]
    fn keys_are_taken_off_and_other_credentials_stay() {
        let mut headers =
            headers(&[("authorization", "Bearer a"), ("authorization", "Basic b"), ("x-api-key", "a")]);
        take_off(&mut headers);
        assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Basic b"]);
        assert!(!headers.contains_key("x-api-key"));
    }
}
