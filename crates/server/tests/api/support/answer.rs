//! An answer as a caller sees it, and as a snapshot shows it.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use super::Contract;

/// The headers that every answer carries, with their values.
const FRAME: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];
/// Headers that say nothing about the service.
const TRANSPORT: [&str; 4] = ["date", "content-length", "connection", "transfer-encoding"];

/// A whole answer. Shown, it leaves out what every answer has, and what is chance.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// Sends a request. Whatever is answered has to be framed and documented.
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = Self { status, headers, body: response.text().await.unwrap() };
        answer.check_frame();
        Contract::served().check(method.as_str(), &path, status.as_u16());
        answer
    }

    /// The header's text; empty if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("this is not JSON: {self:?}"))
    }

    /// The body of a 200.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self}");
        self.json()
    }

    /// The body of a 201.
    #[track_caller]
    pub(crate) fn created(self) -> Value {
        assert_eq!(self.status, 201, "{self}");
        self.json()
    }

    /// The status and the word for programs, such as `401 revoked`.
    pub(crate) fn brief(&self) -> String {
        let code = serde_json::from_str::<Value>(&self.body)
            .ok()
            .and_then(|body| body.get("code").and_then(Value::as_str).map(|code| format!(" {code}")));
        format!("{}{}", self.status.as_u16(), code.unwrap_or_default())
    }

    /// The status and the sentence for people.
    pub(crate) fn detail(&self) -> String {
        let body = self.json();
        format!("{} {}", self.status.as_u16(), body["detail"].as_str().unwrap_or_default())
    }

    /// As it is shown, with `[name]` instead of a text that changes from time to time.
    pub(crate) fn without(&self, text: &str, name: &str) -> String {
        self.to_string().replace(text, &format!("[{name}]"))
    }

    fn check_frame(&self) {
        for (name, value) in FRAME {
            assert_eq!(self.header(name), value, "{name} in {self:?}");
        }
        let id = self.header("x-request-id");
        assert!(!id.is_empty() && id.len() <= 64, "x-request-id in {self:?}");
    }

    fn is_telling(&self, name: &str, value: &str) -> bool {
        let is_usual = name == "content-type" && value == "application/json";
        let is_framing = name == "x-request-id" || FRAME.iter().any(|(framing, _)| *framing == name);
        !is_usual && !is_framing && !TRANSPORT.contains(&name)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}\n", self.status);
        for (name, value) in &self.headers {
            let value = value.to_str().unwrap();
            if self.is_telling(name.as_str(), value) {
                text.push_str(&format!("{name}: {value}\n"));
            }
        }
        text.push_str(&pretty(&self.body));
        f.write_str(&redacted(&text))
    }
}

/// JSON with its fields in alphabetical order; other text as it is.
fn pretty(body: &str) -> String {
    match serde_json::from_str::<Value>(body) {
        Ok(value) => serde_json::to_string_pretty(&sorted(value)).unwrap(),
        Err(_) => body.to_owned(),
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> =
                fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// Ids become `[id 1]`, `[id 2]` in the order in which they first occur; secrets lose what is chance.
fn redacted(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-*".contains(c);
    let mut ids = Vec::new();
    let mut shown = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        shown.push_str(&redacted_word(word, &mut ids));
        let between = after.find(is_word).unwrap_or(after.len());
        shown.push_str(&after[..between]);
        rest = &after[between..];
    }
    shown
}

fn redacted_word(word: &str, ids: &mut Vec<String>) -> String {
    if word.len() == 36 && word.parse::<uuid::Uuid>().is_ok() {
        let known = ids.iter().position(|id| id == word);
        let place = known.unwrap_or_else(|| {
            ids.push(word.to_owned());
            ids.len() - 1
        });
        return format!("[id {}]", place + 1);
    }
    let prefixes = ["hk_live_", "hk_test_", "hk_dev_", "hka_"];
    match prefixes.iter().find_map(|prefix| Some((prefix, word.strip_prefix(prefix)?))) {
        Some((prefix, secret)) if secret.len() == 32 => format!("{prefix}[32 characters]"),
        Some((prefix, shown)) if shown.len() == 6 && shown.ends_with("***") => format!("{prefix}[3]***"),
        _ => word.to_owned(),
    }
}
