//! The binary `hokusai`: reads the command line and hands over to one command.

mod bar;
mod commands;
mod failure;
mod files;
mod gateway;
mod gateway_settings;
mod listening;
mod logs;
mod mlflow_server;
mod output;
mod profile;
mod service;
mod settings;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// API keys for machine-learning platforms: issue, validate, limit, rotate, revoke.
#[derive(Debug, Parser)]
#[command(name = "hokusai", version = version(), propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Manage API keys and admin tokens of a service
    Auth(Box<commands::auth::Args>),
    /// Try the service on this machine: nothing to configure
    Dev(commands::dev::Args),
    /// Run the service
    Serve(commands::serve::Args),
    /// Run the gateway: let requests with a good key through to the services behind it
    Gateway(Box<commands::gateway::Args>),
    /// Bring the database's schema up to date
    Migrate(commands::migrate::Args),
    /// Manage admin tokens directly in the database
    AdminToken(commands::admin_token::Args),
    /// Read and verify the audit log directly in the database
    Audit(Box<commands::audit::Args>),
    /// Check the figures of usage directly in the database, also while the service runs
    Usage(Box<commands::usage::Args>),
    /// Try the promises of limits and revocation in a simulated world of mishaps
    Sim(commands::sim::Args),
    /// Print a shell's completions
    Completions(commands::completions::Args),
}

fn version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("HOKUSAI_COMMIT"), ")")
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) if !help.use_stderr() => help.exit(),
        Err(refusal) => return failure::report_usage(&refusal),
    };
    let outcome = match cli.command {
        Command::Auth(args) => commands::auth::run(*args),
        Command::Dev(args) => commands::dev::run(&args),
        Command::Serve(args) => commands::serve::run(args),
        Command::Gateway(args) => commands::gateway::run(*args),
        Command::Migrate(args) => commands::migrate::run(args),
        Command::AdminToken(args) => commands::admin_token::run(args),
        Command::Audit(args) => commands::audit::run(*args),
        Command::Usage(args) => commands::usage::run(*args),
        Command::Sim(args) => commands::sim::run(&args),
        Command::Completions(args) => commands::completions::run(&args, &mut Cli::command()),
    };
    failure::report(outcome)
}
