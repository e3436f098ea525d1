//! Logs: to standard error, as text for people or as JSON for programs.

mod clock;
mod held;
mod text;

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;

use clap::ValueEnum;
use hokusai_gateway::{ACCESS, AccessLog};
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use held::Lines;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Libraries that would log headers, and so credentials, in detail: they never log more than this.
const BOUNDED: [&str; 6] = [
    "sqlx::postgres::notice=warn",
    "h2=info",
    "hyper=info",
    "hyper_util=info",
    "rustls=info",
    "tokio_rustls=info",
];

/// The log. What waits is written when it is dropped.
pub(crate) struct Logs {
    lines: Lines,
    is_plain: bool,
}

impl Logs {
    /// Where a gateway's lines about requests go: there is one for each, so plain text is written without detours.
    pub(crate) fn access_log(&self) -> Option<AccessLog> {
        self.is_plain.then(|| {
            if !tracing::enabled!(target: ACCESS, tracing::Level::INFO) {
                return AccessLog::to(|_| {});
            }
            let lines = self.lines.writer();
            AccessLog::to(move |access| lines.add(access))
        })
    }
}

/// How many bytes are written at once at the most.
fn at_once() -> usize {
    let stderr = io::stderr().as_fd().try_clone_to_owned();
    let is_file = stderr.and_then(|stderr| File::from(stderr).metadata()).is_ok_and(|about| about.is_file());
    if is_file { held::FILE } else { held::PIPE }
}

/// Starts logging, until what is returned is dropped. A filter that can't be read is an error.
pub(crate) fn start(filter: &str, format: LogFormat) -> anyhow::Result<Logs> {
    let mut filter = EnvFilter::builder().parse(filter)?;
    for bound in BOUNDED {
        filter = filter.add_directive(bound.parse()?);
    }
    let colored = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = Lines::to(io::stderr(), at_once());
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines.writer())
        .with_ansi(colored)
        // A log that can't be written is complained of on standard error, which panics if that is the log:
        // a full disk would end every request.
        .log_internal_errors(false);
    let started = match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(Logs { lines, is_plain: format == LogFormat::Text && !colored })
}
