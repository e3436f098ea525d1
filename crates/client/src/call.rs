//! One call: what is sent, with which credential, and whether it may be sent again.

use reqwest::Method;
use serde::Serialize;

use crate::retry::Repeat;

/// The most that is read of an answer about one thing, in bytes.
const ONE: usize = 1024 * 1024;
/// The most that is read of a page of a list, in bytes: a thousand of the largest keys fit.
const MANY: usize = 16 * 1024 * 1024;

/// What the client's token is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// It is not shown: anybody may make this call.
    Nobody,
    /// The bearer of the call.
    Bearer,
    /// Beside the key that is asked about.
    Service,
}

/// A request, before it is known where the service is.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) credential: Credential,
    pub(crate) repeat: Repeat,
    /// The most that is read of the answer, in bytes.
    pub(crate) limit: usize,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, Repeat::Freely)
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, Repeat::Freely)
    }

    pub(crate) fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path, Repeat::Freely)
    }

    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path, Repeat::IfUnsent)
    }

    /// A page of a list.
    pub(crate) fn list(path: impl Into<String>, query: String) -> Self {
        Self { query: Some(query), limit: MANY, ..Self::get(path) }
    }

    pub(crate) fn body(self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("texts, numbers and lists can be written as JSON");
        Self { body: Some(body), ..self }
    }

    pub(crate) fn query(self, query: String) -> Self {
        Self { query: Some(query), ..self }
    }

    pub(crate) fn credential(self, credential: Credential) -> Self {
        Self { credential, ..self }
    }

    pub(crate) fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    fn new(method: Method, path: impl Into<String>, repeat: Repeat) -> Self {
        let credential = Credential::Bearer;
        Self { method, path: path.into(), query: None, body: None, credential, repeat, limit: ONE }
    }
}
