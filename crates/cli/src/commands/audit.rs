//! `hokusai audit`: the audit log, read directly in the database. Nothing is written there, and the service
//! may run.

mod checkpoint;
mod export;
mod list;
mod verify;

use clap::Subcommand;
use hokusai_core::time::Timestamp;
use hokusai_store::Store;

use crate::failure::Failure;
use crate::service;
use crate::settings::Settings;

/// Entries that are read in one statement, so that nobody waits long and memory stays small.
const ENTRIES_AT_ONCE: i64 = 1000;

/// Read and verify the audit log directly in the database, also while the service runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what was done, newest first; or what was refused
    List(list::Args),
    /// Find out whether any entry was changed, dropped, inserted or moved
    Verify(verify::Args),
    /// Write entries as JSON, one a line, oldest first
    Export(export::Args),
    /// Print how far the log goes, to be kept elsewhere for `verify`
    Checkpoint(checkpoint::Args),
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::List(args) => list::run(args),
        Action::Verify(args) => verify::run(args),
        Action::Export(args) => export::run(args),
        Action::Checkpoint(args) => checkpoint::run(args),
    }
}

/// Carries `work` out on the store that the settings name, opened for reading only.
fn with_store(
    settings: &Settings,
    work: impl AsyncFnOnce(&Store) -> Result<(), Failure>,
) -> Result<(), Failure> {
    service::block_on(async {
        let store = service::open_to_read(settings).await?;
        let outcome = work(&store).await;
        store.close().await;
        outcome
    })
}

fn read_time(text: &str) -> Result<Timestamp, String> {
    let at = hokusai_api::time::read(text).map(Timestamp);
    at.ok_or_else(|| "must be an RFC 3339 time with zone, such as 2026-03-04T10:30:00Z".to_owned())
}
