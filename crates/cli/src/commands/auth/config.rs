//! `hokusai auth config`: the file that keeps tokens, keys and the service's URL.

mod init;
mod person;
mod show;

use std::io::{self, Write as _};

use clap::Subcommand;

use crate::failure::Failure;
use crate::profile::{self, ConnectionArgs};

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
    let environment = profile::environment()?;
    Ok(writeln!(io::stdout(), "{}", profile::file(&environment)?.path().display())?)
}

fn make_current(name: &str) -> Result<(), Failure> {
    let environment = profile::environment()?;
    let file = profile::file(&environment)?;
    let mut document = file.read()?;
    if !document.offers(name) {
        return Err(profile::no_profile(name, &document, file));
    }
    document.set_current(name);
    profile::write(file, &document)?;
    Ok(writeln!(io::stderr(), "{name} is the current profile now.")?)
}
