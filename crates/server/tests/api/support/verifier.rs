//! A verifier: a process that admits requests from memory, and asks the service as such.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Answer, Caller, IssuedKey};

/// One process, with the service token that it shows.
pub(crate) struct Verifier {
    caller: Caller,
    service_token: Option<String>,
    pub(crate) holder: String,
}

impl Verifier {
    /// A new process with the token of `caller`; it shows it as a service token.
    pub(crate) fn of(caller: &Caller) -> Self {
        let holder = uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string();
        Self { caller: caller.with_token(None), service_token: caller.token.clone(), holder }
    }

    /// The same process with another caller's token.
    pub(crate) fn with_token_of(&self, caller: &Caller) -> Self {
        Self { holder: self.holder.clone(), ..Self::of(caller) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.caller.request(method, path);
        match &self.service_token {
            Some(token) => request.header("x-hokusai-service-token", token),
            None => request,
        }
    }

    /// Asks to be vouched for a key; `fields` go along.
    pub(crate) async fn vouch(&self, key: &IssuedKey, fields: Value) -> Answer {
        self.vouch_for(&key.text, fields).await
    }

    /// The same for any text.
    pub(crate) async fn vouch_for(&self, text: &str, fields: Value) -> Answer {
        let body = merged(json!({"api_key": text, "holder": self.holder}), fields);
        Answer::to(self.request(Method::POST, "/api/v1/keys/validate").json(&body)).await
    }

    /// Speaks of limits; `fields` are what it says.
    pub(crate) async fn say(&self, fields: Value) -> Answer {
        let body = merged(json!({"holder": self.holder}), fields);
        Answer::to(self.request(Method::POST, "/api/v1/allotments").json(&body)).await
    }

    /// Speaks of one account, and is answered.
    pub(crate) async fn allot(&self, item: Value) -> Value {
        self.say(json!({"items": [item]})).await.ok()["items"][0].clone()
    }

    /// Asks for changes; `query` is what follows the process.
    pub(crate) async fn changes(&self, query: &str) -> Answer {
        let path = format!("/api/v1/changes?holder={}{query}", self.holder);
        Answer::to(self.request(Method::GET, &path)).await
    }

    /// Asks for what came after a place, which acknowledges it, and does not wait.
    pub(crate) async fn after(&self, position: &str) -> Answer {
        self.changes(&format!("&wait_ms=0&position={position}")).await
    }

    /// Enters the register. Says where the feed stands.
    pub(crate) async fn enter(&self) -> String {
        position_of(&self.changes("").await.ok())
    }

    /// The account of a key.
    pub(crate) async fn account(&self, key: &IssuedKey) -> String {
        self.vouch(key, json!({})).await.ok()["account"].as_str().unwrap().to_owned()
    }
}

/// The place in the feed that an answer names.
pub(crate) fn position_of(answer: &Value) -> String {
    answer["position"].as_str().unwrap().to_owned()
}

fn merged(mut body: Value, fields: Value) -> Value {
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}
