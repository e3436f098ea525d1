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
        let checkpoint = head.and_then(|head| {
            let seal = head.seal.as_slice().try_into().ok()?;
            Some(Checkpoint { number: head.number, seal })
        });
        let checkpoint = checkpoint.ok_or_else(|| {
            let error = "the database's record of the last entry is gone, or can't be read";
            Failure::refused(error, "run `hokusai audit verify`")
        })?;
        writeln!(std::io::stdout(), "{checkpoint}")?;
        writeln!(
            std::io::stderr(),
            "Keep this where nobody can change it who can change the database. With it,\n\
             `hokusai audit verify --checkpoint` finds out whether the log was cut off."
        )?;
        Ok(())
    })
}
