//! Long lists, page by page. Of a link to the next page only the query is taken, so that no link can lead
//! the token away from the service.

use std::marker::PhantomData;

use hokusai_api::admin_tokens::TokenInfo;
use hokusai_api::keys::KeyInfo;
use reqwest::header::{HeaderMap, LINK};
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// Keys, page by page.
pub type KeyPages = Pages<KeyInfo>;
/// Admin tokens, page by page.
pub type TokenPages = Pages<TokenInfo>;

/// A list, page by page. Nothing is asked for before the first [`Pages::next`].
#[derive(Debug)]
#[must_use]
pub struct Pages<T> {
    client: Client,
    path: &'static str,
    /// What leads to the next page; `None` after the last.
    query: Option<String>,
    item: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Pages<T> {
    pub(crate) fn new(client: Client, path: &'static str, query: String) -> Self {
        Self { client, path, query: Some(query), item: PhantomData }
    }

    /// The next page, which is not empty; `None` after the last. After an error, the same page can be asked
    /// for again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, Error> {
        let Some(query) = &self.query else { return Ok(None) };
        let answer = self.client.send(&Call::list(self.path, query.clone())).await?;
        let page: Vec<T> = answer.read_as()?;
        let next = next_query(&answer.headers);
        if next.as_ref() == Some(query) {
            return Err(answer.not_ours("this page says that it comes after itself"));
        }
        self.query = next.filter(|_| !page.is_empty());
        Ok((!page.is_empty()).then_some(page))
    }
}

/// A query of these parameters, without those that are left out.
pub(crate) fn query<const N: usize>(parameters: [(&str, Option<&str>); N]) -> String {
    let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish()
}

/// The query of the `Link` to the next page.
fn next_query(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let target =
        values.flat_map(links).find_map(|(target, parameters)| is_next(parameters).then_some(target));
    let (_, query) = target?.split_once('?')?;
    Some(query.split('#').next().unwrap_or_default().to_owned())
}

/// The links in a header, each with its parameters.
fn links(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split('<').skip(1).filter_map(|link| link.split_once('>'))
}

fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && relations.any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn next_of(links: &[&'static str]) -> Option<String> {
        let values = links.iter().map(|link| (LINK, HeaderValue::from_static(link)));
        next_query(&values.collect())
    }

    #[test]
    fn only_the_query_of_the_next_page_is_taken() {
        for link in [
            "</api/v1/keys?limit=2&cursor=5>; rel=\"next\"",
            "<https://elsewhere.example/other?limit=2&cursor=5#top>; rel=next",
            "</api/v1/keys?cursor=9>; rel=\"prev\", </api/v1/keys?limit=2&cursor=5>; title=\"a, b\"; rel=\"last NEXT\"",
        ] {
            assert_eq!(next_of(&[link]).as_deref(), Some("limit=2&cursor=5"), "{link}");
        }
        let separate = ["</keys?cursor=9>; rel=\"prev\"", "</keys?cursor=5>; rel=\"next\""];
        assert_eq!(next_of(&separate).as_deref(), Some("cursor=5"));
    }

    #[test]
    fn what_is_no_link_to_a_next_page_leads_nowhere() {
        for link in ["</keys?cursor=5>; rel=\"prev\"", "</keys?cursor=5>", "</keys>; rel=next", "next", "<"] {
            assert_eq!(next_of(&[link]), None, "{link}");
        }
        assert_eq!(next_of(&[]), None);
    }

    #[test]
    fn a_value_in_a_query_stays_one_value() {
        let query = query([("user_id", Some("a&b=ü c")), ("service_id", None), ("limit", Some("2"))]);
        assert_eq!(query, "user_id=a%26b%3D%C3%BC+c&limit=2");
    }
}
