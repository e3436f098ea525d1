//! `hokusai completions`: what a shell needs to complete commands and flags.

use std::io::Write as _;

use clap_complete::{Shell, generate};

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, command: &mut clap::Command) -> Result<(), Failure> {
    // The generator panics if it can't write, so it writes to memory.
    let mut text = Vec::new();
    generate(args.shell, command, "hokusai", &mut text);
    Ok(std::io::stdout().write_all(&text)?)
}
