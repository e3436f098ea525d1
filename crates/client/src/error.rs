//! What went wrong with a call: a variant for each thing that a caller may do about it.

use std::fmt;
use std::time::Duration;

use hokusai_api::errors::FieldError;

/// Why a call did not succeed. A refused key is no error; see [`Validation`](crate::Validation).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made, so nothing was done.
    #[error("{service} can't be reached")]
    Unreachable {
        /// The service.
        service: String,
        /// What the system says.
        #[source]
        cause: Cause,
    },
    /// The answer took too long. What was asked for may have been done.
    #[error("{service} did not answer within {} s", .patience.as_secs_f64())]
    TimedOut {
        /// The service.
        service: String,
        /// How long one attempt may take.
        patience: Duration,
    },
    /// The connection broke before the whole answer was there. What was asked for may have been done.
    #[error("the connection to {service} broke before its answer was there")]
    Lost {
        /// The service.
        service: String,
        /// What broke.
        #[source]
        cause: Cause,
    },
    /// Something else is at this URL, or in front of the service.
    #[error("{service} answered {status}, but not as the Hokusai service would: {what}")]
    NotOurs {
        /// Where the service should be.
        service: String,
        /// The HTTP status.
        status: u16,
        /// What came instead.
        what: String,
        /// The request's id, if there is one.
        request_id: Option<String>,
    },
    /// The token is missing, unknown, expired or revoked.
    #[error("{0}")]
    Unauthorized(Told),
    /// The token does not allow this.
    #[error("{0}")]
    Forbidden(Told),
    /// There is no such thing, or none that this token may see.
    #[error("{0}")]
    NotFound(Told),
    /// The request can't be right, whoever sends it.
    #[error("{told}")]
    Invalid {
        /// What the service said.
        told: Told,
        /// Which fields are wrong, if it is about fields.
        errors: Vec<FieldError>,
    },
    /// What is the case does not allow this, such as changing a revoked key.
    #[error("{0}")]
    Conflict(Told),
    /// The debit would pass the monthly limit of a key whose plan allows no more. Nothing was taken.
    #[error("{0}")]
    PastLimit(Told),
    /// There were too many requests.
    #[error("{told}")]
    Limited {
        /// What the service said.
        told: Told,
        /// How long to wait.
        retry_after: Option<Duration>,
    },
    /// The service can't answer now.
    #[error("{told}")]
    Unavailable {
        /// What the service said.
        told: Told,
        /// How long to wait.
        retry_after: Option<Duration>,
    },
    /// Any other refusal.
    #[error("{0}")]
    Other(Told),
}

impl Error {
    /// What the service said, if it was the service.
    #[must_use]
    pub fn told(&self) -> Option<&Told> {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Lost { .. } | Self::NotOurs { .. } => {
                None
            }
            Self::Unauthorized(told)
            | Self::Forbidden(told)
            | Self::NotFound(told)
            | Self::Conflict(told)
            | Self::PastLimit(told)
            | Self::Other(told)
            | Self::Invalid { told, .. }
            | Self::Limited { told, .. }
            | Self::Unavailable { told, .. } => Some(told),
        }
    }

    /// The id under which the service's operator finds the request in the logs.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::NotOurs { request_id, .. } => request_id.as_deref(),
            other => other.told()?.request_id.as_deref(),
        }
    }
}

/// What the service said to a request that it refused. Shown, it is the detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The HTTP status.
    pub status: u16,
    /// What was wrong, for programs; `None` if something in front of the service answered.
    pub code: Option<String>,
    /// What was wrong, for people.
    pub detail: String,
    /// The request's id, if there is one.
    pub request_id: Option<String>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// What is beneath a failed connection. Shown, it is the innermost reason: the layers around it say
/// nothing that helps.
#[derive(Debug)]
pub struct Cause(reqwest::Error);

impl Cause {
    pub(crate) fn new(error: reqwest::Error) -> Self {
        Self(error.without_url())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut innermost: &dyn std::error::Error = &self.0;
        while let Some(inner) = innermost.source() {
            innermost = inner;
        }
        fmt::Display::fmt(innermost, f)
    }
}

impl std::error::Error for Cause {}
