//! Second phase: find the key, and take it off. What goes on has no key in it, in whichever place it came.

use std::borrow::Cow;

use hokusai_client::credential::{Ambiguous, presented, take_off};
use hokusai_client::{Denial, Secret};
use http::header::REFERER;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

/// The parameter of a query that a key can come in.
const PARAMETER: &str = "api_key";

/// What is left of a query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    pub(crate) rest: Option<Cow<'a, str>>,
    pub(crate) had_key: bool,
}

/// The key of a request, and its query without it.
pub(crate) fn take<'a>(
    headers: &mut HeaderMap,
    query: Option<&'a str>,
) -> Result<(Secret, Query<'a>), Denial> {
    let pairs: Vec<&str> = query.into_iter().flat_map(|query| query.split('&')).collect();
    let in_query: Vec<Cow<'_, str>> = pairs.iter().copied().filter(|pair| is_key(pair)).map(value).collect();
    let key = presented(headers, in_query.iter().map(|key| &**key));
    let key = key.map_err(|Ambiguous| Denial::ambiguous())?.ok_or_else(Denial::no_key)?;
    take_off(headers);
    if headers.get_all(REFERER).iter().any(names_key) {
        headers.remove(REFERER);
    }
    if in_query.is_empty() {
        return Ok((key, Query { rest: query.map(Cow::Borrowed), had_key: false }));
    }
    let rest: Vec<&str> = pairs.into_iter().filter(|pair| !is_key(pair)).collect();
    let rest = (!rest.is_empty()).then(|| Cow::Owned(rest.join("&")));
    Ok((key, Query { rest, had_key: true }))
}

/// Whether a page that led here has a key in its own query.
fn names_key(page: &HeaderValue) -> bool {
    let page = String::from_utf8_lossy(page.as_bytes());
    page.split_once('?').is_some_and(|(_, query)| query.split('&').any(is_key))
}

fn is_key(pair: &str) -> bool {
    decoded(pair.split_once('=').map_or(pair, |(name, _)| name)) == PARAMETER
}

fn value(pair: &str) -> Cow<'_, str> {
    decoded(pair.split_once('=').map_or("", |(_, value)| value))
}

/// A `+` is a space in queries; neither is in a key, nor in the parameter's name.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query, a header, and what follows: the key and the rest of the query, or a status.
    type Case =
        (Option<&'static str>, Option<&'static str>, Result<(&'static str, Option<&'static str>), u16>);

    fn taken(query: Option<&str>, header: Option<&str>) -> Result<(String, Option<String>), u16> {
        let mut headers = HeaderMap::new();
        if let Some(key) = header {
            headers.insert("x-api-key", key.parse().unwrap());
        }
        let (key, query) = take(&mut headers, query).map_err(|denial| denial.status.as_u16())?;
        assert!(headers.is_empty());
        Ok((key.expose().to_owned(), query.rest.map(Cow::into_owned)))
    }

    #[test]
    fn a_page_that_led_here_is_not_named_with_its_key() {
        for (page, stays) in [
            ("https://h/p?api_key=k", false),
            ("https://h/p?a=1&api%5Fkey=k", false),
            ("https://h/p?api_keys=k", true),
            ("https://h/api_key", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-api-key", HeaderValue::from_static("k"));
            headers.append(REFERER, HeaderValue::from_static("https://h/"));
            headers.append(REFERER, HeaderValue::from_static(page));
            take(&mut headers, None).unwrap();
            assert_eq!(headers.contains_key(REFERER), stays, "{page}");
        }
    }

    #[test]
    fn a_key_in_the_query_is_found_and_taken_out() {
        let table: [Case; 14] = [
            (Some("api_key=k"), None, Ok(("k", None))),
            (Some("a=1&api_key=k&b=2"), None, Ok(("k", Some("a=1&b=2")))),
            (Some("a=1&&b"), Some("k"), Ok(("k", Some("a=1&&b")))),
            (Some(""), Some("k"), Ok(("k", Some("")))),
            (Some("api%5Fkey=%6b"), None, Ok(("k", None))),
            (Some("api_key=k&api_key=k"), None, Ok(("k", None))),
            (Some("api_key=k&api_key=l"), None, Err(400)),
            (Some("api_key=k"), Some("k"), Ok(("k", None))),
            (Some("api_key=k"), Some("l"), Err(400)),
            (Some("api_key="), Some("k"), Err(400)),
            (Some("api_key"), None, Ok(("", None))),
            (Some("API_KEY=k"), None, Err(401)),
            (Some("x=api_key=k"), None, Err(401)),
            (None, None, Err(401)),
        ];
        for (query, header, expected) in table {
            let expected = expected.map(|(key, rest)| (key.to_owned(), rest.map(str::to_owned)));
            assert_eq!(taken(query, header), expected, "{query:?} {header:?}");
        }
    }
}
