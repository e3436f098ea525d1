//! `hokusai migrate`: brings the database's schema up to date, without serving.

use std::io::Write as _;

use hokusai_engine::Clock;

use crate::failure::Failure;
use crate::service;
use crate::settings::SettingsArgs;

/// Bring the database's schema up to date. `serve` does so by itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let settings = args.settings.resolve()?;
    service::block_on(async {
        let store = service::open_store(&settings, &Clock::system()).await?;
        store.close().await;
        writeln!(std::io::stderr(), "The schema is up to date.")?;
        Ok(())
    })
}
