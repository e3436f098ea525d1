//! `hokusai auth`: API keys and admin tokens of a service, over the network.

mod admin_token;
mod alerts;
mod billing;
mod config;
mod create_key;
mod key_ids;
mod key_values;
mod list_keys;
mod months;
mod prompt;
mod quiet_value;
mod revoke_key;
mod rotate_all;
mod rotate_key;
mod saved_keys;
mod show_key;
mod update_key;
mod usage;
mod validate;
mod whoami;

use clap::Subcommand;
use hokusai_client::profile::Connection;
use hokusai_client::{Builder, Client};
use hokusai_core::time::Timestamp;
use hokusai_engine::Clock;

use crate::failure::Failure;
use crate::profile::{self, ConnectionArgs};
use crate::service;

/// Create, list, change, rotate, revoke and validate API keys, and see what they are used for
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    color: colorchoice_clap::Color,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a key and print it, this once
    CreateKey(create_key::Args),
    /// List keys, with what they used in this hour
    ListKeys(list_keys::Args),
    /// Show a key's settings
    ShowKey(show_key::Args),
    /// Change a key's settings, at once
    UpdateKey(update_key::Args),
    /// Replace a key by a new one; the old one works for another 24 hours
    RotateKey(rotate_key::Args),
    /// End keys, at once and for good
    RevokeKey(revoke_key::Args),
    /// Say whether a key works
    Validate(validate::Args),
    /// Show what a key, or all keys, were used for in a month
    Usage(usage::Args),
    /// Show a key's bill for a month
    Billing(billing::Args),
    /// List keys that somebody should look at
    Alerts(alerts::Args),
    /// Say whose the admin token is, and what it may do
    Whoami(whoami::Args),
    /// Manage admin tokens
    AdminToken(admin_token::Args),
    /// Keep tokens, keys and the service's URL in a file
    Config(config::Args),
}

/// What every command is given: the service, and who asks.
pub(crate) struct Context {
    pub(crate) connection: Connection,
    pub(crate) now: Timestamp,
    allow_plain_http: bool,
}

impl Context {
    /// The service, asked with the admin token.
    pub(crate) fn admin(&self) -> Result<Client, Failure> {
        let token = profile::admin_token(&self.connection)?.clone();
        Ok(self.builder()?.token(token).build()?)
    }

    /// The service, asked without one.
    pub(crate) fn anybody(&self) -> Result<Client, Failure> {
        Ok(self.builder()?.build()?)
    }

    fn builder(&self) -> Result<Builder, Failure> {
        let builder = Client::builder(&self.connection.service_url.value)?;
        Ok(if self.allow_plain_http { builder.allow_plain_http() } else { builder })
    }
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    args.color.write_global();
    if let Action::Config(config) = args.action {
        return service::block_on(config::run(config, &args.connection));
    }
    let (connection, allow_plain_http) = (args.connection.resolve()?, args.connection.allow_plain_http);
    let context = Context { connection, now: Clock::system().now(), allow_plain_http };
    service::block_on(async {
        match args.action {
            Action::CreateKey(args) => create_key::run(args, &context).await,
            Action::ListKeys(args) => list_keys::run(args, &context).await,
            Action::ShowKey(args) => show_key::run(args, &context).await,
            Action::UpdateKey(args) => update_key::run(args, &context).await,
            Action::RotateKey(args) => rotate_key::run(args, &context).await,
            Action::RevokeKey(args) => revoke_key::run(args, &context).await,
            Action::Validate(args) => validate::run(args, &context).await,
            Action::Usage(args) => usage::run(args, &context).await,
            Action::Billing(args) => billing::run(args, &context).await,
            Action::Alerts(args) => alerts::run(args, &context).await,
            Action::Whoami(args) => whoami::run(args, &context).await,
            Action::AdminToken(args) => admin_token::run(args, &context).await,
            Action::Config(_) => Ok(()),
        }
    })
}
