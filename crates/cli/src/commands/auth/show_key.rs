//! `hokusai auth show-key`.

use std::io::Write as _;

use hokusai_api::keys::KeyInfo;

use crate::commands::auth::quiet_value::Quiet;
use crate::commands::auth::{Context, key_ids, list_keys};
use crate::failure::Failure;
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The key's id, or the beginning of it
    #[arg(value_name = "KEY_ID", value_parser = Quiet(key_ids::read))]
    id: String,
    /// table is for people, json for programs
    #[arg(long, value_enum, default_value = "table", hide_possible_values = true, value_name = "table|json")]
    format: Format,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let client = context.admin()?;
    let id = key_ids::whole(&args.id, &client).await?;
    print(&client.key(id).await?, args.format, context)
}

pub(crate) fn print(key: &KeyInfo, format: Format, context: &Context) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(key)?)?,
        Format::Table => output::print_facts(&mut out, &facts(key, context))?,
    }
    Ok(out.flush()?)
}

fn facts(key: &KeyInfo, context: &Context) -> Vec<(&'static str, String)> {
    let time = |time: &str| output::local(time, context.now);
    let or_any = |items: &[String]| if items.is_empty() { "any".to_owned() } else { items.join(", ") };
    let notes: Vec<String> = key.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let predictions = key.monthly_prediction_limit.map_or("any number".to_owned(), |most| most.to_string());
    let mut facts = vec![
        ("id", key.key_id.clone()),
        ("name", key.name.clone()),
        ("key", key.key_prefix.clone()),
        ("status", key.status.clone()),
        ("user", key.user_id.clone()),
        ("service", key.service_id.clone()),
        ("environment", key.environment.clone()),
        ("scopes", or_any(&key.scopes)),
        ("addresses", or_any(&key.allowed_ips)),
        (
            "this hour",
            format!(
                "{}, resets {}",
                list_keys::usage(key),
                output::relative(&key.usage.resets_at, context.now)
            ),
        ),
        ("predictions a month", predictions),
        ("billing plan", key.billing_plan.clone()),
        ("notes", notes.join(", ")),
        ("created", time(&key.created_at)),
        ("expires", output::or_never(key.expires_at.as_deref(), output::local, context.now)),
        ("last used", output::or_never(key.last_used_at.as_deref(), output::local, context.now)),
    ];
    let later = [
        ("revoked", key.revoked_at.as_deref().map(time)),
        ("rotated from", key.rotated_from.clone()),
        ("rotated to", key.rotated_to.clone()),
    ];
    facts.extend(later.into_iter().filter_map(|(name, value)| Some((name, value?))));
    facts
}
