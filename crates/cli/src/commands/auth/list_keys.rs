//! `hokusai auth list-keys`.

use std::io::{self, BufWriter, Write};

use comfy_table::Table;
use hokusai_api::keys::KeyInfo;
use hokusai_client::KeyQuery;

use crate::commands::auth::{Context, key_ids, key_values as values};
use crate::failure::Failure;
use crate::output::{self, BAD, Format, GOOD, ODD};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// table is for people, json for programs
    #[arg(long, value_enum, default_value = "table", hide_possible_values = true, value_name = "table|json")]
    format: Format,
    /// Only those that work now
    #[arg(long)]
    active: bool,
    /// Only those of this environment: production, test or development
    #[arg(long, value_name = "NAME", value_parser = values::environment)]
    environment: Option<String>,
    /// Only those for this service
    #[arg(long)]
    service: Option<String>,
    /// Only those of this user; for operators
    #[arg(long)]
    user: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let query = KeyQuery {
        service_id: args.service,
        environment: args.environment,
        user_id: args.user,
        active_only: args.active,
        ..KeyQuery::default()
    };
    let mut pages = context.admin()?.keys(&query);
    match args.format {
        Format::Json => {
            let mut out = BufWriter::new(io::stdout().lock());
            let mut first = true;
            // Nothing is printed before the service has answered: a refusal is no beginning of an array.
            let mut page = pages.next().await?;
            write!(out, "[")?;
            while let Some(keys) = page {
                print_json(&mut out, &keys, &mut first)?;
                out.flush()?;
                page = pages.next().await?;
            }
            writeln!(out, "{}]", if first { "" } else { "\n" })?;
            Ok(out.flush()?)
        }
        Format::Table => {
            let mut keys = Vec::new();
            while let Some(mut page) = pages.next().await? {
                keys.append(&mut page);
            }
            print_table(&keys, context)
        }
    }
}

/// Elements of an array, each on its line, as they come.
fn print_json(out: &mut impl Write, keys: &[KeyInfo], first: &mut bool) -> Result<(), Failure> {
    for key in keys {
        write!(out, "{}\n  {}", if *first { "" } else { "," }, serde_json::to_string(key)?)?;
        *first = false;
    }
    Ok(())
}

fn print_table(keys: &[KeyInfo], context: &Context) -> Result<(), Failure> {
    if keys.is_empty() {
        writeln!(
            anstream::stderr(),
            "There are no keys. `hokusai auth create-key --name NAME` creates one."
        )?;
        return Ok(());
    }
    let mut out = anstream::stdout().lock();
    output::print_table(&mut out, &table(keys, context))?;
    Ok(out.flush()?)
}

pub(crate) fn table(keys: &[KeyInfo], context: &Context) -> Table {
    let shortest = key_ids::shown_length(keys.iter().map(|key| key.key_id.as_str()));
    let mut table = output::table(["ID", "NAME", "KEY", "STATUS", "THIS HOUR", "EXPIRES", "LAST USED"]);
    output::hide_if_narrow(&mut table, &[2]);
    for key in keys {
        let ago = |time: &Option<String>| output::or_never(time.as_deref(), output::relative, context.now);
        let end =
            key.expires_at.as_deref().map(|end| output::end_style(end, context.now)).unwrap_or_default();
        table.add_row([
            key.key_id.chars().take(shortest).collect(),
            output::shown(&key.name),
            key.key_prefix.clone(),
            output::painted(&key.status, status_style(&key.status)),
            usage(key),
            output::painted(&ago(&key.expires_at), end),
            ago(&key.last_used_at),
        ]);
    }
    table
}

fn status_style(status: &str) -> anstyle::Style {
    match status {
        "active" => GOOD,
        "rotating" => ODD,
        _ => BAD,
    }
}

/// `12 / 1000`.
pub(crate) fn usage(key: &KeyInfo) -> String {
    format!("{} / {}", key.usage.requests_this_hour, key.rate_limit_per_hour)
}
