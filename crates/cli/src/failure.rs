//! What a failed command says, and its exit status: 0 done, 1 failed or refused, 2 wrong use, 3 the service
//! can't be reached, 4 not authorised.

use std::io::{self, Write as _};
use std::process::ExitCode;

use hokusai_api::errors::FieldError;
use hokusai_client::profile::ConfigError;
use hokusai_client::{BuildError, Error as ClientError};
use hokusai_store::OpenError;

use crate::output::{BAD, LABEL, painted, without_secrets};

/// A failed command: what failed, why, and the way out if there is one.
#[derive(Debug)]
pub(crate) struct Failure {
    what: anyhow::Error,
    hint: Option<String>,
    status: u8,
}

const FAILED: u8 = 1;
const WRONG_USE: u8 = 2;
const NOT_REACHABLE: u8 = 3;
const NOT_AUTHORISED: u8 = 4;

impl Failure {
    /// Something that was asked for wrongly; the same command can't succeed.
    pub(crate) fn wrong_use(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: anyhow::Error::msg(what.into()), hint: Some(hint.into()), status: WRONG_USE }
    }

    /// Something that can succeed once the hint was followed.
    pub(crate) fn with_hint(what: impl Into<anyhow::Error>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()), status: FAILED }
    }

    /// The same failure with another hint.
    pub(crate) fn with_way_out(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Something that needs a token or key which is not there.
    pub(crate) fn not_authorised(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: anyhow::Error::msg(what.into()), hint: Some(hint.into()), status: NOT_AUTHORISED }
    }

    /// A clear no: an invalid key, nothing found, a question answered with no.
    pub(crate) fn refused(what: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        Self { what: anyhow::Error::msg(what.into()), hint, status: FAILED }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(what: E) -> Self {
        let what = what.into();
        if let Some(error) = what.downcast_ref::<ClientError>() {
            let (status, hint) = client_hint(error);
            return Self { what, hint, status };
        }
        if let Some(error) = what.downcast_ref::<ConfigError>() {
            let status = if matches!(error, ConfigError::Wrong { .. }) { WRONG_USE } else { FAILED };
            let hint = Some(error.hint().to_owned());
            return Self { what, hint, status };
        }
        if let Some(error) = what.downcast_ref::<BuildError>() {
            let (status, hint) = build_hint(error);
            return Self { what, hint: Some(hint.to_owned()), status };
        }
        let hint = what.downcast_ref::<OpenError>().and_then(open_hint);
        Self { what, hint, status: FAILED }
    }
}

fn build_hint(error: &BuildError) -> (u8, &'static str) {
    match error {
        BuildError::Token => (WRONG_USE, "`hokusai auth config show` says where the token comes from"),
        BuildError::PlainHttp { .. } => {
            (WRONG_USE, "--allow-plain-http sends tokens all the same, as inside a network of your own")
        }
        BuildError::Transport(_) => {
            (FAILED, "check that this machine has CA certificates, or set SSL_CERT_FILE")
        }
    }
}

fn client_hint(error: &ClientError) -> (u8, Option<String>) {
    let wait = |retry_after: &Option<std::time::Duration>| {
        retry_after.map(|wait| format!("try again in {} s", wait.as_secs().max(1)))
    };
    match error {
        ClientError::Unreachable { .. } => {
            let hint = "check --auth-service-url or HOKUSAI_AUTH_SERVICE_URL, and that the service runs; \
                        `hokusai dev` starts one to try on this machine";
            (NOT_REACHABLE, Some(hint.to_owned()))
        }
        ClientError::TimedOut { .. } | ClientError::Lost { .. } => {
            let hint = "it may have been done all the same: look what there is before trying again";
            (NOT_REACHABLE, Some(hint.to_owned()))
        }
        ClientError::NotOurs { .. } => {
            let hint = "check that --auth-service-url or HOKUSAI_AUTH_SERVICE_URL names the Hokusai service";
            (NOT_REACHABLE, Some(hint.to_owned()))
        }
        ClientError::Unavailable { retry_after, .. } => (NOT_REACHABLE, wait(retry_after)),
        ClientError::Unauthorized(_) => {
            let hint = "check HOKUSAI_ADMIN_TOKEN, or run `hokusai auth config init`; \
                        `hokusai auth config show` says where the token comes from";
            (NOT_AUTHORISED, Some(hint.to_owned()))
        }
        ClientError::Forbidden(_) => {
            (NOT_AUTHORISED, Some("this needs the token of an operator, or of another user".to_owned()))
        }
        ClientError::NotFound(_) => {
            let hint = "`hokusai auth list-keys` shows the keys that there are, `hokusai auth admin-token list` the tokens";
            (FAILED, Some(hint.to_owned()))
        }
        ClientError::Invalid { .. } => (WRONG_USE, None),
        ClientError::Limited { retry_after, .. } => (FAILED, wait(retry_after)),
        ClientError::Conflict(_) | ClientError::PastLimit(_) | ClientError::Other(_) => (FAILED, None),
    }
}

fn open_hint(error: &OpenError) -> Option<String> {
    let hint = match error {
        OpenError::Url => "--database takes sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME",
        OpenError::Absent { .. } => "--database names the database; `hokusai serve` makes a new one",
        OpenError::OlderSchema { .. } => {
            "start this version of the service on it first, or run `hokusai migrate`"
        }
        OpenError::InUse { .. } => {
            "stop the other process first; to run several nodes, use PostgreSQL (--database postgres://…)"
        }
        OpenError::TransactionPooling => {
            "connect to PostgreSQL itself, or set pool_mode = session in the pooler"
        }
        OpenError::NewerSchema { .. } => "run the newer version of hokusai that last used this database",
        OpenError::AuditKey => {
            "use the audit key of the first start (--audit-key-file, or HOKUSAI_AUDIT_KEY); \
             every node of one database needs the same"
        }
        OpenError::Database(_) | OpenError::Store(_) => {
            "check that the database runs and --database names it"
        }
        OpenError::Unusable { .. } => "check that the directory exists and can be written to",
        OpenError::Migration(_) => return None,
    };
    Some(hint.to_owned())
}

/// Tells a person what went wrong, on standard error.
pub(crate) fn report(outcome: Result<(), Failure>) -> ExitCode {
    let Err(failure) = outcome else { return ExitCode::SUCCESS };
    if is_broken_pipe(&failure.what) {
        // Whoever reads has seen enough, as `head` does.
        return ExitCode::SUCCESS;
    }
    let mut stderr = anstream::stderr().lock();
    // There is nobody to tell if standard error is closed.
    let _ =
        writeln!(stderr, "{}: {}", painted("error", BAD), without_secrets(&format!("{:#}", failure.what)));
    if let Some(error) = failure.what.downcast_ref::<ClientError>() {
        let _ = tell_more(&mut stderr, error);
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(stderr, "{}: {}", painted("hint", LABEL), without_secrets(hint));
    }
    ExitCode::from(failure.status)
}

/// Tells what is wrong with the command line. What was given in a wrong place may be a secret.
pub(crate) fn report_usage(refusal: &clap::Error) -> ExitCode {
    // There is nobody to tell if standard error is closed.
    let _ = write!(anstream::stderr(), "{}", without_secrets(&refusal.render().ansi().to_string()));
    ExitCode::from(WRONG_USE)
}

/// Which fields were wrong, and under which id the service's operator finds the request.
fn tell_more(out: &mut impl io::Write, error: &ClientError) -> io::Result<()> {
    if let ClientError::Invalid { told, errors } = error {
        let is_news = |wrong: &&FieldError| !told.detail.contains(&wrong.message);
        for wrong in errors.iter().filter(is_news) {
            writeln!(out, "  {}: {}", wrong.field, wrong.message)?;
        }
    }
    match error.request_id() {
        Some(id) => writeln!(out, "request id: {id}"),
        None => Ok(()),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
