//! `hokusai auth validate`.

use std::io::{Read as _, Write as _};

use hokusai_api::validate::{ValidateKey, ValidatedKey};
use hokusai_client::{Quota, Secret, Validation};
use serde_json::json;

use crate::commands::auth::{Context, key_values as values};
use crate::failure::Failure;
use crate::output::{self, Format, GOOD};
use crate::profile;

/// The most that is read of standard input, in bytes; no key is nearly as long.
const LONGEST: u64 = 4096;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The key; `-` reads it from standard input [default: HOKUSAI_API_KEY, or the profile's]
    ///
    /// Other users of this machine can see a key on a command line while the command runs, and the shell
    /// keeps it in its history. A variable, the profile or standard input keep it to yourself.
    #[arg(long)]
    key: Option<String>,
    /// Service that it should be good for
    #[arg(long)]
    service: Option<String>,
    /// Scope that it should have
    #[arg(long, value_parser = values::scope)]
    scope: Option<String>,
    /// Address that it should be good from [default: the one that the service sees]
    #[arg(long, value_name = "ADDRESS")]
    client_ip: Option<String>,
    /// table is for people, json for programs
    #[arg(long, value_enum, default_value = "table", hide_possible_values = true, value_name = "table|json")]
    format: Format,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let key = match args.key.as_deref() {
        Some("-") => from_stdin()?,
        Some(text) => Secret::new(text.to_owned()),
        None => profile::api_key(&context.connection)?.clone(),
    };
    if key.expose().is_empty() {
        return Err(Failure::not_authorised(
            "the key is empty",
            "set HOKUSAI_API_KEY, or write it to standard input and give --key -",
        ));
    }
    let question = ValidateKey {
        service_id: args.service,
        required_scope: args.scope,
        client_ip: args.client_ip,
        ..ValidateKey::default()
    };
    let validation = context.anybody()?.validate(&key, &question).await?;
    if args.format == Format::Json {
        print_json(&validation)?;
    }
    match validation {
        Validation::Valid { key, quota } if args.format == Format::Table => print(&key, quota, context),
        Validation::Valid { .. } => Ok(()),
        Validation::Refused { code, detail } => Err(refused(&code, &detail, &key)),
        Validation::Limited { retry_after } => {
            let minutes = retry_after.as_secs().div_ceil(60);
            let hint = format!(
                "the limit resets on the hour, in {minutes} min; `hokusai auth list-keys` shows the usage"
            );
            Err(Failure::refused("Rate limit exceeded", hint))
        }
    }
}

fn from_stdin() -> Result<Secret, Failure> {
    let mut text = String::new();
    std::io::stdin().take(LONGEST).read_to_string(&mut text)?;
    Ok(Secret::new(text.trim().to_owned()))
}

fn print(key: &ValidatedKey, quota: Quota, context: &Context) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let scopes = key.scopes.as_deref().unwrap_or_default();
    let resets_at = hokusai_api::time::write(quota.resets_at.0);
    writeln!(out, "{}", output::painted("The key is valid.", GOOD))?;
    let facts = [
        ("id", text(&key.key_id)),
        ("user", text(&key.user_id)),
        ("service", text(&key.service_id)),
        ("environment", text(&key.environment)),
        ("scopes", if scopes.is_empty() { "any".to_owned() } else { scopes.join(", ") }),
        (
            "left this hour",
            format!(
                "{} of {}, resets {}",
                quota.remaining,
                quota.limit,
                output::relative(&resets_at, context.now)
            ),
        ),
        ("expires", output::or_never(key.expires_at.as_deref(), output::local, context.now)),
    ];
    output::print_facts(&mut out, &facts)?;
    Ok(out.flush()?)
}

fn print_json(validation: &Validation) -> Result<(), Failure> {
    let value = match validation {
        Validation::Valid { key, .. } => serde_json::to_value(key)?,
        Validation::Refused { code, detail } => json!({"is_valid": false, "code": code, "detail": detail}),
        Validation::Limited { retry_after } => {
            json!({"is_valid": false, "code": "rate_limited", "detail": "Rate limit exceeded", "retry_after_seconds": retry_after.as_secs()})
        }
    };
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&value)?)?)
}

fn refused(code: &str, detail: &str, key: &Secret) -> Failure {
    let hint = match code {
        "invalid_key" if !key.expose().starts_with("hk_") => {
            "keys begin with hk_live_, hk_test_ or hk_dev_; those of the earlier local authentication no \
             longer work: see docs/migration.md"
        }
        "invalid_key" => {
            "check that it was copied whole; `hokusai auth list-keys` shows the keys that there are"
        }
        "expired" => "`hokusai auth update-key KEY_ID --expires-in-days 30` brings it back",
        "revoked" => "`hokusai auth create-key --name NAME` creates another",
        "ip_not_allowed" => "`hokusai auth update-key KEY_ID --allowed-ip ADDRESS` sets the addresses",
        "insufficient_scope" => "`hokusai auth update-key KEY_ID --scope SCOPE` sets the scopes",
        _ => "",
    };
    Failure::refused(detail.to_owned(), hint)
}
