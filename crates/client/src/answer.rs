//! An answer, read whole within its bound, and what it means.

use std::time::Duration;

use hokusai_api::errors::ErrorBody;
use hokusai_api::usage::RefusedDebit;
use hokusai_core::time::Timestamp;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Told};
use crate::retry::read_retry_after;

/// The longest text of somebody else's that an error repeats, in characters.
const LONGEST_TEXT: usize = 200;

/// A whole answer, of whichever status.
pub(crate) struct Answer {
    service: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Vec<u8>,
    pub(crate) retry_after: Option<Duration>,
}

/// A body that says what is wrong, and no more.
#[derive(Deserialize)]
struct Bare {
    detail: String,
}

/// Why the rest of an answer was not read.
pub(crate) enum Unread {
    TooLarge(Answer),
    Broken(reqwest::Error),
}

impl Answer {
    /// Reads at most `limit` bytes of the body.
    pub(crate) async fn read(
        mut response: Response,
        service: String,
        limit: usize,
        now: Timestamp,
    ) -> Result<Self, Unread> {
        let mut answer = Self {
            service,
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body: Vec::new(),
            retry_after: None,
        };
        answer.retry_after = answer.header(RETRY_AFTER.as_str()).and_then(|text| read_retry_after(text, now));
        while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
            if answer.body.len() + chunk.len() > limit {
                return Err(Unread::TooLarge(answer));
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    /// What was asked for, if this is it.
    pub(crate) fn read_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if !(200..300).contains(&self.status) {
            return Err(self.refusal());
        }
        self.parse().ok_or_else(|| self.not_ours(self.form()))
    }

    /// The body as JSON of a certain form.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Option<T> {
        // What serde says of another form may repeat a secret, so nobody hears it.
        serde_json::from_slice(&self.body).ok()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The error that this answer is.
    pub(crate) fn refusal(&self) -> Error {
        let retry_after = self.retry_after;
        if let (402, Some(RefusedDebit { detail })) = (self.status, self.parse()) {
            let (code, request_id) = (Some(detail.error), self.request_id());
            return Error::PastLimit(Told { status: self.status, code, detail: detail.message, request_id });
        }
        match (self.status, self.parse::<ErrorBody>()) {
            // Proxies answer these, too, in words of their own; they mean the same.
            (429, body) => Error::Limited { told: self.told_anyhow(body), retry_after },
            (502..=504, body) => Error::Unavailable { told: self.told_anyhow(body), retry_after },
            (300..=399, _) => self.not_ours(self.redirect()),
            (_, None) => self.not_ours(self.form()),
            (400 | 422, Some(body)) => Error::Invalid { errors: body.errors.clone(), told: self.told(body) },
            (401, Some(body)) => Error::Unauthorized(self.told(body)),
            (403, Some(body)) => Error::Forbidden(self.told(body)),
            (404, Some(body)) => Error::NotFound(self.told(body)),
            (409, Some(body)) => Error::Conflict(self.told(body)),
            (_, Some(body)) => Error::Other(self.told(body)),
        }
    }

    pub(crate) fn not_ours(&self, what: impl Into<String>) -> Error {
        Error::NotOurs {
            service: self.service.clone(),
            status: self.status,
            what: what.into(),
            request_id: self.request_id(),
        }
    }

    fn told(&self, body: ErrorBody) -> Told {
        let request_id = self.request_id();
        Told { status: self.status, code: Some(body.code), detail: body.detail, request_id }
    }

    fn told_anyhow(&self, body: Option<ErrorBody>) -> Told {
        body.map(|body| self.told(body)).unwrap_or_else(|| {
            let what = if self.status == 429 { "takes no more requests now" } else { "is not available" };
            // A key's used-up limit is told without a code.
            let detail = self.parse::<Bare>().map(|bare| shortened(&bare.detail));
            let detail = detail.unwrap_or_else(|| format!("{} {what} (HTTP {})", self.service, self.status));
            Told { status: self.status, code: None, detail, request_id: self.request_id() }
        })
    }

    fn request_id(&self) -> Option<String> {
        self.header("x-request-id").map(shortened)
    }

    fn redirect(&self) -> String {
        match self.header(LOCATION.as_str()) {
            Some(place) => format!("it points to {}", shortened(place)),
            None => "it points elsewhere".to_owned(),
        }
    }

    /// What kind of body this is, if it is not the one that was expected.
    fn form(&self) -> &'static str {
        let is_html = self.header(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("text/html"));
        match self.body.trim_ascii().first() {
            None => "the body is empty",
            Some(b'<') => "the body is a web page",
            Some(_) if is_html => "the body is a web page",
            Some(_) if self.parse::<serde::de::IgnoredAny>().is_none() => "the body is not JSON",
            Some(_) => "the body is JSON of another form",
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}
