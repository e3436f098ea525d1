//! What went wrong, and which Python exception that is. All exceptions stand in `hokusai/errors.py`.

use std::time::Duration;

use hokusai_client::api::errors::FieldError;
use hokusai_client::profile::ConfigError;
use hokusai_client::{BuildError, Error, Told, UrlError, VerifierError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// Why a call did not succeed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The service or the gateway said so, or could not be asked.
    Client(Error),
    /// The URL is none.
    Url(UrlError),
    /// There is no client.
    Build(BuildError),
    /// The configuration is wrong.
    Config(ConfigError),
    /// There is no verifier.
    Verifier(VerifierError),
    /// What was asked for is no such thing: the field, and what is wrong with it.
    Field(&'static str, String),
    /// A page of a list leads nowhere.
    Circle,
    /// A key was refused.
    Refused { code: String, detail: String, status: u16 },
    /// A key's hour is used up.
    UsedUp { retry_after: Duration },
    /// The verifier was stopped.
    Stopped,
    /// No threads can be started.
    Threads(std::io::Error),
    /// An argument has another type than the question takes, which no type checker has seen.
    Misfit(serde_json::Error),
    /// A defect of this package.
    Broken,
}

/// What an exception is made of.
#[derive(Default)]
struct Raised {
    class: &'static str,
    message: String,
    code: Option<String>,
    status: Option<u16>,
    request_id: Option<String>,
    /// Seconds; only of those that can have it.
    retry_after: Option<Option<f64>>,
    errors: Vec<FieldError>,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl From<UrlError> for Fault {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

impl From<BuildError> for Fault {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Misfit(error)
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        let raised = Raised::of(&fault);
        Python::attach(|py| raised.into_error(py).unwrap_or_else(|error| error))
    }
}

impl Raised {
    fn of(fault: &Fault) -> Self {
        match fault {
            Fault::Client(error) => Self::of_client(error),
            Fault::Url(error) => Self::configuration(told_with_causes(error)),
            Fault::Build(BuildError::Token) => {
                let message =
                    "the key or token has characters that none has, such as a space or a line break";
                Self { code: Some("unusable_credential".into()), ..Self::new("AuthenticationError", message) }
            }
            Fault::Build(error @ BuildError::PlainHttp { .. }) => {
                Self::configuration(format!("{error}, or allow_plain_http=True inside a network of your own"))
            }
            Fault::Build(error @ BuildError::Transport(_)) => Self::configuration(told_with_causes(error)),
            Fault::Config(error) => {
                Self::configuration(format!("{}; {}", told_with_causes(error), error.hint()))
            }
            Fault::Verifier(error) => Self::configuration(told_with_causes(error)),
            Fault::Field(field, message) => Self {
                code: Some("invalid_argument".into()),
                errors: vec![FieldError { field: (*field).to_owned(), message: message.clone() }],
                ..Self::new("InvalidRequestError", format!("{field}: {message}"))
            },
            Fault::Circle => Self {
                code: Some("not_hokusai".into()),
                ..Self::new("UnexpectedAnswerError", "a page of the list leads to no other page")
            },
            Fault::Refused { code, detail, status } => {
                let class = if *status == 403 { "AuthorizationError" } else { "AuthenticationError" };
                Self { code: Some(code.clone()), status: Some(*status), ..Self::new(class, detail) }
            }
            Fault::UsedUp { retry_after } => Self {
                status: Some(429),
                retry_after: Some(Some(retry_after.as_secs_f64())),
                ..Self::new("RateLimitError", "Rate limit exceeded")
            },
            Fault::Stopped => Self::new("HokusaiAuthError", "the verifier was stopped"),
            Fault::Threads(error) => {
                Self::new("HokusaiAuthError", format!("no thread can be started: {error}"))
            }
            Fault::Misfit(error) => Self {
                code: Some("invalid_argument".into()),
                ..Self::new("InvalidRequestError", format!("an argument can't be right: {error}"))
            },
            Fault::Broken => {
                Self::new("HokusaiAuthError", "a defect in hokusai ended this call; please report it")
            }
        }
    }

    fn of_client(error: &Error) -> Self {
        let told = |class, told: &Told| Self {
            code: told.code.clone(),
            status: Some(told.status),
            request_id: told.request_id.clone(),
            ..Self::new(class, &told.detail)
        };
        let seconds = |wait: &Option<Duration>| Some(wait.map(|wait| wait.as_secs_f64()));
        match error {
            Error::Unreachable { .. } => Self::unavailable("unreachable", told_with_causes(error)),
            Error::TimedOut { .. } => Self::unavailable("timed_out", error),
            Error::Lost { .. } => Self::unavailable("connection_lost", told_with_causes(error)),
            Error::NotOurs { status, request_id, .. } => Self {
                code: Some("not_hokusai".into()),
                status: Some(*status),
                request_id: request_id.clone(),
                ..Self::new("UnexpectedAnswerError", error)
            },
            Error::Unauthorized(what) => told("AuthenticationError", what),
            Error::Forbidden(what) => told("AuthorizationError", what),
            Error::NotFound(what) => told("NotFoundError", what),
            Error::Invalid { told: what, errors } => {
                Self { errors: errors.clone(), ..told("InvalidRequestError", what) }
            }
            Error::Conflict(what) => told("ConflictError", what),
            Error::PastLimit(what) => told("MonthlyLimitError", what),
            Error::Limited { told: what, retry_after } => {
                Self { retry_after: seconds(retry_after), ..told("RateLimitError", what) }
            }
            Error::Unavailable { told: what, retry_after } => {
                Self { retry_after: seconds(retry_after), ..told("ServiceUnavailableError", what) }
            }
            Error::Other(what) => told("UnexpectedAnswerError", what),
        }
    }

    fn new(class: &'static str, message: impl ToString) -> Self {
        Self { class, message: message.to_string(), ..Self::default() }
    }

    fn configuration(message: String) -> Self {
        Self { code: Some("configuration".into()), ..Self::new("ConfigurationError", message) }
    }

    fn unavailable(code: &str, message: impl ToString) -> Self {
        let none = Some(None);
        Self { code: Some(code.into()), retry_after: none, ..Self::new("ServiceUnavailableError", message) }
    }

    fn into_error(self, py: Python<'_>) -> PyResult<PyErr> {
        static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
        let errors = ERRORS.get_or_try_init(py, || py.import("hokusai.errors").map(Bound::unbind))?;
        let named = PyDict::new(py);
        named.set_item("code", self.code)?;
        named.set_item("status", self.status)?;
        named.set_item("request_id", self.request_id)?;
        if let Some(seconds) = self.retry_after {
            named.set_item("retry_after", seconds)?;
        }
        if self.class == "InvalidRequestError" {
            let errors: Vec<_> = self.errors.into_iter().map(|wrong| (wrong.field, wrong.message)).collect();
            named.set_item("errors", errors)?;
        }
        let class = errors.bind(py).getattr(self.class)?;
        Ok(PyErr::from_value(class.call((self.message,), Some(&named))?))
    }
}

/// The error and what is beneath it, as people read it.
fn told_with_causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut beneath = error.source();
    while let Some(cause) = beneath {
        let cause_told = cause.to_string();
        if !told.ends_with(&cause_told) {
            told = format!("{told}: {cause_told}");
        }
        beneath = cause.source();
    }
    told
}
