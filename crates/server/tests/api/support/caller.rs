//! Whoever speaks to the service, with the credential that it shows.

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Answer, PATIENCE};

/// A client of the service.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) client: Client,
    base: String,
    pub(crate) token: Option<String>,
}

/// A key, with its text.
pub(crate) struct IssuedKey {
    pub(crate) id: String,
    pub(crate) text: String,
}

impl IssuedKey {
    /// The key in the answer that created it.
    pub(crate) fn of(created: &Value) -> Self {
        let text = |name: &str| created[name].as_str().unwrap().to_owned();
        Self { id: text("key_id"), text: text("api_key") }
    }

    pub(crate) fn path(&self) -> String {
        format!("/api/v1/keys/{}", self.id)
    }
}

impl Caller {
    pub(crate) fn of(base: String, token: Option<String>) -> Self {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { client, base, token }
    }

    pub(crate) fn with_token(&self, token: Option<String>) -> Self {
        Self { token, ..self.clone() }
    }

    /// The text of the credential.
    pub(crate) fn text(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    /// A request with this caller's credential, to be changed before it is sent.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::to(self.request(Method::POST, path).json(&body)).await
    }

    /// As `post`, with a body that is sent as it is written here.
    pub(crate) async fn post_text(&self, path: &str, body: impl Into<String>) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        Answer::to(request.body(body.into())).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        Answer::to(self.request(Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::DELETE, path)).await
    }

    /// A key with these settings; its name is given unless they do.
    pub(crate) async fn key(&self, settings: Value) -> IssuedKey {
        let mut wish = json!({"name": "A key"});
        wish.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        IssuedKey::of(&self.post("/api/v1/keys", wish).await.created())
    }

    /// Rotates a key as deployed clients do, with an empty body.
    pub(crate) async fn rotate(&self, key: &IssuedKey) -> Answer {
        let request = self.request(Method::POST, &format!("{}/rotate", key.path()));
        Answer::to(request.header("content-type", "application/json")).await
    }
}
