//! `hokusai auth alerts`.

use std::io::Write as _;

use comfy_table::Table;
use hokusai_api::alerts::{Alert, Alerts};

use crate::commands::auth::{Context, key_ids};
use crate::failure::Failure;
use crate::output::{self, Format, ODD};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// table is for people, json for programs
    #[arg(long, value_enum, default_value = "table", hide_possible_values = true, value_name = "table|json")]
    format: Format,
    /// End with status 1 if there is any
    #[arg(long)]
    fail: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let told = context.admin()?.alerts().await?;
    match args.format {
        Format::Json => {
            let mut out = anstream::stdout().lock();
            writeln!(out, "{}", serde_json::to_string_pretty(&told)?)?;
            out.flush()?;
        }
        Format::Table => print(&told, context)?,
    }
    if args.fail && !told.alerts.is_empty() {
        let count = output::counted(i64::try_from(told.alerts.len()).unwrap_or(i64::MAX), "alert");
        return Err(Failure::refused(count, ""));
    }
    Ok(())
}

fn print(told: &Alerts, context: &Context) -> Result<(), Failure> {
    if told.alerts.is_empty() {
        writeln!(anstream::stderr(), "There is nothing to look at.")?;
        return Ok(());
    }
    let mut out = anstream::stdout().lock();
    output::print_table(&mut out, &table(&told.alerts, context))?;
    out.flush()?;
    if told.truncated {
        writeln!(anstream::stderr(), "There are more: a thousand of each kind are shown.")?;
    }
    Ok(())
}

fn table(alerts: &[Alert], context: &Context) -> Table {
    let length = key_ids::shown_length(alerts.iter().map(|alert| alert.key_id.as_str()));
    let mut table = output::table(["ALERT", "ID", "NAME", "USER", "WHEN", "WHAT"]);
    for alert in alerts {
        table.add_row([
            output::painted(&output::shown(&alert.kind), ODD),
            alert.key_id.chars().take(length).collect(),
            output::shown(&alert.name),
            output::shown(&alert.user_id),
            output::relative(&alert.at, context.now),
            what(alert),
        ]);
    }
    table
}

/// The message, as short as a table wants it; whole where the kind is not known here.
fn what(alert: &Alert) -> String {
    match alert.kind.as_str() {
        "expires_soon" => "expires".to_owned(),
        "used_in_grace" => "ends; still used".to_owned(),
        "many_refusals" => output::counted(alert.count, "refusal"),
        "many_limit_hits" => output::counted(alert.count, "limit hit"),
        _ => output::shown(&alert.message),
    }
}
