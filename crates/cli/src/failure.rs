//! What a failed command says, and its exit status: 0 done, 1 failed, 2 wrong use.

use std::io::{self, Write as _};
use std::process::ExitCode;

use hokusai_store::OpenError;

/// A failed command: what failed, why, and the way out if there is one.
#[derive(Debug)]
pub(crate) struct Failure {
    what: anyhow::Error,
    hint: Option<String>,
    status: u8,
}

impl Failure {
    /// Something that was asked for wrongly; the same command can't succeed.
    pub(crate) fn wrong_use(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: anyhow::Error::msg(what.into()), hint: Some(hint.into()), status: 2 }
    }

    /// Something that can succeed once the hint was followed.
    pub(crate) fn with_hint(what: impl Into<anyhow::Error>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()), status: 1 }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(what: E) -> Self {
        let what = what.into();
        let hint = what.downcast_ref::<OpenError>().and_then(open_hint);
        Self { what, hint, status: 1 }
    }
}

fn open_hint(error: &OpenError) -> Option<String> {
    let hint = match error {
        OpenError::Url => "--database takes sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME",
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
    let mut stderr = io::stderr().lock();
    // There is nobody to tell if standard error is closed.
    let _ = writeln!(stderr, "error: {:#}", failure.what);
    if let Some(hint) = &failure.hint {
        let _ = writeln!(stderr, "hint: {hint}");
    }
    ExitCode::from(failure.status)
}
