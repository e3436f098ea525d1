//! `hokusai auth config show`.

use std::io::Write as _;

use hokusai_client::profile::{Connection, Sourced, beginning};
use hokusai_core::secret::Secret;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::profile::ConnectionArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// table is for people, json for programs
    #[arg(long, value_enum, default_value = "table", hide_possible_values = true, value_name = "table|json")]
    format: Format,
}

/// A setting as it may be shown: of a secret, only the beginning.
#[derive(Serialize)]
struct Shown {
    value: String,
    source: String,
}

#[derive(Serialize)]
struct Settings {
    profile: Shown,
    auth_service_url: Shown,
    api_endpoint: Shown,
    admin_token: Option<Shown>,
    api_key: Option<Shown>,
}

pub(crate) fn run(args: &Args, connection: &ConnectionArgs) -> Result<(), Failure> {
    let settings = Settings::of(connection.resolve()?);
    let mut out = anstream::stdout().lock();
    match args.format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&settings)?)?,
        Format::Table => output::print_facts(&mut out, &settings.facts())?,
    }
    Ok(out.flush()?)
}

impl Settings {
    fn of(connection: Connection) -> Self {
        let plain =
            |setting: Sourced<String>| Shown { value: setting.value, source: setting.source.to_string() };
        let secret = |setting: Sourced<Secret>| Shown {
            value: beginning(&setting.value),
            source: setting.source.to_string(),
        };
        Self {
            profile: plain(connection.profile),
            auth_service_url: plain(connection.service_url),
            api_endpoint: plain(connection.api_endpoint),
            admin_token: connection.admin_token.map(secret),
            api_key: connection.api_key.map(secret),
        }
    }

    fn facts(&self) -> [(&'static str, String); 5] {
        let fact = |shown: &Shown| format!("{}  ({})", shown.value, shown.source);
        let or_none = |shown: &Option<Shown>| shown.as_ref().map_or("none".to_owned(), fact);
        [
            ("profile", fact(&self.profile)),
            ("auth_service_url", fact(&self.auth_service_url)),
            ("api_endpoint", fact(&self.api_endpoint)),
            ("admin_token", or_none(&self.admin_token)),
            ("api_key", or_none(&self.api_key)),
        ]
    }
}
