//! `hokusai audit checkpoint`.

use std::io::Write as _;

use hokusai_core::audit::Checkpoint;

use crate::commands::audit::with_store;
use crate::failure::Failure;
use crate::settings::SettingsArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    with_store(&args.settings.resolve()?, async |store| {
        let head = store.audit_head().await?;
        let seal = head.seal.as_slice().try_into().map_err(|_| {
            Failure::refused("the database holds no seal of the last entry", "run `hokusai audit verify`")
        })?;
        writeln!(std::io::stdout(), "{}", Checkpoint { number: head.number, seal })?;
        writeln!(
            std::io::stderr(),
            "Keep this where nobody can change it who can change the database. With it,\n\
             `hokusai audit verify --checkpoint` finds out whether the log was cut off."
        )?;
        Ok(())
    })
}
