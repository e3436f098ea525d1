//! The client itself: one service, one credential, and the way that every call takes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Unread};
use crate::builder::Builder;
use crate::call::{Call, Credential};
use crate::clock;
use crate::error::{Cause, Error};
use crate::retry::{Repeat, Setback, pause};
use crate::service_url::{ServiceUrl, UrlError};
use crate::token::Token;

const SERVICE_TOKEN: &str = "x-hokusai-service-token";
const JSON: &str = "application/json";

/// A client of one service. Clones share its connections.
#[derive(Clone)]
pub struct Client(Arc<Wire>);

/// Which program the service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its version.
    pub version: String,
    /// The commit that it was built from.
    pub commit: String,
}

#[derive(Deserialize)]
struct Readiness {
    status: String,
}

/// What every call needs.
pub(crate) struct Wire {
    pub(crate) http: reqwest::Client,
    pub(crate) service: ServiceUrl,
    pub(crate) token: Option<Token>,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
}

impl Client {
    /// Begins a client of the service at this URL, such as `https://auth.hokus.ai`. A path is kept:
    /// `https://host/auth` has its keys at `https://host/auth/api/v1/keys`.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn builder(service_url: &str) -> Result<Builder, UrlError> {
        Builder::new(service_url)
    }

    /// Which program the service is. Anybody may ask.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn version(&self) -> Result<Version, Error> {
        self.send(&Call::get("/version").credential(Credential::Nobody)).await?.read_as()
    }

    /// Whether the service is ready: it reaches its database. Anybody may ask.
    ///
    /// # Errors
    /// See [`Error`]; an answer that says "not ready" is none.
    pub async fn ready(&self) -> Result<bool, Error> {
        // Whoever asks this wants to know how it is now, not how it is after some patience.
        let call = Call::get("/ready").credential(Credential::Nobody).repeat(Repeat::IfUnsent);
        let answer = self.send(&call).await?;
        let readiness = answer.parse::<Readiness>();
        match (answer.status, readiness.as_ref().map(|readiness| readiness.status.as_str())) {
            (200, Some("ready")) => Ok(true),
            (503, Some("not ready")) => Ok(false),
            (200, _) => Err(answer.not_ours("the body does not say whether it is ready")),
            _ => Err(answer.refusal()),
        }
    }

    pub(crate) fn over(wire: Wire) -> Self {
        Self(Arc::new(wire))
    }

    /// The answer, of whichever status, after as many attempts as are allowed and do no harm.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let mut made = 0;
        loop {
            let outcome = self.0.attempt(call).await;
            let Some(setback) = setback(&outcome) else { return outcome };
            let Some(pause) = pause(call.repeat, setback, made, self.0.retries, clock::chance()) else {
                return outcome;
            };
            clock::pass(pause).await;
            made += 1;
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("service", &self.0.service.to_string()).finish_non_exhaustive()
    }
}

impl Wire {
    async fn attempt(&self, call: &Call) -> Result<Answer, Error> {
        let response = self.request(call).send().await.map_err(|error| self.failure(error))?;
        let answer = Answer::read(response, self.service.to_string(), call.limit, clock::now()).await;
        answer.map_err(|unread| match unread {
            Unread::TooLarge(answer) => {
                let limit = call.limit / (1024 * 1024);
                answer.not_ours(format!("the body is larger than {limit} MiB"))
            }
            Unread::Broken(error) => self.failure(error),
        })
    }

    fn request(&self, call: &Call) -> reqwest::RequestBuilder {
        let url = self.service.at(&call.path, call.query.as_deref());
        let mut request = self.http.request(call.method.clone(), url).header(ACCEPT, JSON);
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, JSON).body(body.clone());
        }
        match (call.credential, &self.token) {
            (Credential::Nobody, _) | (_, None) => request,
            (Credential::Bearer, Some(token)) => request.header(AUTHORIZATION, token.bearer.clone()),
            (Credential::Service, Some(token)) => request.header(SERVICE_TOKEN, token.bare.clone()),
        }
    }

    fn failure(&self, error: reqwest::Error) -> Error {
        let service = self.service.to_string();
        // A connection that took too long to make is both.
        if error.is_connect() {
            Error::Unreachable { service, cause: Cause::new(error) }
        } else if error.is_timeout() {
            Error::TimedOut { service, patience: self.timeout }
        } else {
            Error::Lost { service, cause: Cause::new(error) }
        }
    }
}

/// What may pass if the call is made again.
fn setback(outcome: &Result<Answer, Error>) -> Option<Setback> {
    match outcome {
        Ok(answer) => Setback::of_status(answer.status, answer.retry_after),
        Err(Error::Unreachable { .. }) => Some(Setback::Unsent),
        Err(Error::TimedOut { .. } | Error::Lost { .. }) => Some(Setback::Lost),
        Err(_) => None,
    }
}
