//! `hokusai auth config`: the file that keeps tokens, keys and the service's URL.

mod init;
mod person;
mod show;

use std::io::{self, Write as _};

use clap::Subcommand;

use crate::failure::Failure;
use crate::profile::{ConnectionArgs, Environment, no_profile};

/// Keep tokens, keys and the service's URL in a file
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a profile: asks on a terminal, else takes flags and variables
    Init(init::Args),
    /// Show the settings in effect, and where each comes from
    Show(show::Args),
    /// Print where the file is
    Path,
    /// Make a profile the current one: it is used when nothing else names one
    Use {
        /// The profile
        #[arg(value_name = "NAME")]
        profile: String,
    },
}

pub(crate) async fn run(args: Args, connection: &ConnectionArgs) -> Result<(), Failure> {
    match args.action {
        Action::Init(args) => init::run(args, connection).await,
        Action::Show(args) => show::run(&args, connection),
        Action::Path => path(),
        Action::Use { profile } => make_current(&profile),
    }
}

fn path() -> Result<(), Failure> {
    let environment = Environment::of_process()?;
    Ok(writeln!(io::stdout(), "{}", environment.file()?.path().display())?)
}

fn make_current(profile: &str) -> Result<(), Failure> {
    let environment = Environment::of_process()?;
    let file = environment.file()?;
    let mut document = file.read()?;
    if !document.offers(profile) {
        return Err(no_profile(profile, None, &document, file.shown()));
    }
    document.set_current(profile);
    file.write(&document)?;
    Ok(writeln!(io::stderr(), "{profile} is the current profile now.")?)
}
