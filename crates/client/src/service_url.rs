//! Where a service is. What is read here is an origin and the path that its API lies under, and holds no
//! credential.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// Why a text is not the URL of a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It does not say how to reach the service.
    #[error("the service's URL needs a scheme: {suggestion}")]
    NoScheme {
        /// What was probably meant.
        suggestion: String,
    },
    /// It names another protocol.
    #[error("the service's URL must begin with https:// (or http://), not {scheme}://")]
    NotHttp {
        /// The scheme that it has.
        scheme: String,
    },
    /// It holds a user name or a password; the service takes tokens.
    #[error("the service's URL must not hold a user name or a password; give the token by itself")]
    UserInfo,
    /// It has a query or a fragment, to which no path can be added.
    #[error("the service's URL must end with its path, without '?' or '#'")]
    Beyond,
    /// It is no URL at all.
    #[error("the service's URL can't be read: {why}")]
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
}

/// The URL of a service. Its path does not end with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceUrl(Url);

impl ServiceUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        let mut url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => url,
            Ok(url) if text.contains("://") => {
                return Err(UrlError::NotHttp { scheme: url.scheme().to_owned() });
            }
            // "localhost:8000" reads as a path on the scheme "localhost".
            Ok(_) => return Err(no_scheme(text)),
            Err(_) if !text.is_empty() && !text.contains("://") => return Err(no_scheme(text)),
            Err(error) => return Err(UrlError::Unreadable { why: error.to_string() }),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UrlError::Beyond);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The address of a resource: `path` begins with a slash.
    pub(crate) fn at(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url.set_query(query.filter(|query| !query.is_empty()));
        url
    }

    /// Whether everybody in between can read what is said.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Whether nobody is in between: the service is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.map_or(host == "localhost", |address| address.is_loopback())
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Whatever stands before an `@` may be a password, and is not repeated.
fn no_scheme(text: &str) -> UrlError {
    let place = text.rsplit('@').next().unwrap_or_default().trim_start_matches('/');
    UrlError::NoScheme { suggestion: format!("https://{place}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        ServiceUrl::parse(text).map(|url| url.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn a_path_is_kept_and_a_trailing_slash_is_not() {
        for (text, keys) in [
            ("https://auth.hokus.ai", "https://auth.hokus.ai/api/v1/keys"),
            ("https://auth.hokus.ai/", "https://auth.hokus.ai/api/v1/keys"),
            (" https://host:8443/auth/ ", "https://host:8443/auth/api/v1/keys"),
            ("http://[::1]:8000/a%20b//", "http://[::1]:8000/a%20b/api/v1/keys"),
        ] {
            assert_eq!(ServiceUrl::parse(text).unwrap().at("/api/v1/keys", None).as_str(), keys);
        }
    }

    #[test]
    fn a_service_is_shown_as_it_was_given() {
        assert_eq!(ServiceUrl::parse("https://host/").unwrap().to_string(), "https://host");
        assert_eq!(ServiceUrl::parse("https://host/auth/").unwrap().to_string(), "https://host/auth");
    }

    #[test]
    fn a_missing_scheme_is_suggested() {
        for (text, suggestion) in [
            ("auth.hokus.ai", "https://auth.hokus.ai"),
            ("localhost:8000", "https://localhost:8000"),
            ("127.0.0.1:8000/auth", "https://127.0.0.1:8000/auth"),
            ("//auth.hokus.ai", "https://auth.hokus.ai"),
        ] {
            assert_eq!(refusal(text), format!("the service's URL needs a scheme: {suggestion}"));
        }
    }

    #[test]
    fn what_is_no_url_of_a_service_is_refused_with_the_reason() {
        for (text, reason) in [
            ("ftp://host", "must begin with https:// (or http://), not ftp://"),
            ("https://host/?page=2", "without '?' or '#'"),
            ("https://host/#top", "without '?' or '#'"),
            ("https://user:password@host", "must not hold a user name or a password"),
            ("https://", "can't be read: empty host"),
            ("", "can't be read"),
            ("https://host:99999", "can't be read: invalid port number"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }

    #[test]
    fn no_refusal_repeats_a_password() {
        for text in ["https://user:password@host", "user:password@host", "https://user:password@host:x"] {
            assert!(!refusal(text).contains("password@"), "{}", refusal(text));
        }
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for (text, is_loopback) in [
            ("http://localhost:8000", true),
            ("http://127.0.0.9", true),
            ("http://[::1]", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example", false),
        ] {
            assert_eq!(ServiceUrl::parse(text).unwrap().is_loopback(), is_loopback, "{text}");
        }
    }
}
