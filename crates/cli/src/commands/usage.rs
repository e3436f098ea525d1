//! `hokusai usage`: the records of usage, directly in the database. Nothing is written there, and the service
//! may run.

mod reconcile;

use clap::Subcommand;

use crate::failure::Failure;

/// Check the figures of usage directly in the database, also while the service runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a month's records up once more, and say where the sums and bills differ from them
    Reconcile(reconcile::Args),
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Reconcile(args) => reconcile::run(args),
    }
}
