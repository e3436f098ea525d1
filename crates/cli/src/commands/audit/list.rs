//! `hokusai audit list`.

use std::io::Write;
use std::net::IpAddr;

use comfy_table::Table;
use hokusai_api::audit::{AuditEntry, RefusedCalls};
use hokusai_core::address::counted_as;
use hokusai_core::refused_calls::OTHER;
use hokusai_core::time::Timestamp;
use hokusai_engine::Clock;
use hokusai_server::{audit_entry, refused_calls};
use hokusai_store::{AuditFilter, RefusedFilter};

use crate::commands::audit::{read_time, with_store};
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::SettingsArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// table is for people, json for programs
    #[arg(long, value_enum, default_value = "table", hide_possible_values = true, value_name = "table|json")]
    format: Format,
    /// How often calls were refused, by minute, address and code
    #[arg(long, conflicts_with_all = ["user", "action", "target"])]
    refused: bool,
    /// Only what this user did; system is the service itself
    #[arg(long)]
    user: Option<String>,
    /// Only this action, such as key.revoke
    #[arg(long)]
    action: Option<String>,
    /// Only what was done to the key or token of this id, or to the model NAME as model:NAME
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// Only from this client address
    #[arg(long, value_parser = read_address)]
    address: Option<String>,
    /// Only from this time on, such as 2026-03-04T10:30:00Z
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    since: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    until: Option<Timestamp>,
    /// At most so many
    #[arg(long, value_name = "N", default_value = "50")]
    #[arg(value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let Args { format, refused, user, action, target, address, since, until, limit, settings } = args;
    with_store(&settings.resolve()?, async |store| {
        if refused {
            let address = address.map(counted_address);
            let filter = RefusedFilter { address, since, until, after: None, limit };
            let sums = store.list_refused_calls(&filter).await?;
            let shown: Vec<RefusedCalls> = sums.iter().map(refused_calls).collect();
            return print(format, &shown, refused_table, "No call was refused.");
        }
        let user_id = user;
        let filter = AuditFilter { user_id, action, target, address, since, until, before: None, limit };
        let entries = store.list_audit(&filter).await?;
        let shown: Vec<AuditEntry> = entries.iter().map(audit_entry).collect();
        print(format, &shown, table, "There are no such entries.")
    })
}

fn print<T: serde::Serialize>(
    format: Format,
    shown: &[T],
    table: fn(&[T]) -> Table,
    nothing: &str,
) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match format {
        Format::Json => output::print_json_lines(&mut out, shown)?,
        Format::Table if shown.is_empty() => writeln!(anstream::stderr(), "{nothing}")?,
        Format::Table => output::print_table(&mut out, &table(shown))?,
    }
    Ok(out.flush()?)
}

fn table(entries: &[AuditEntry]) -> Table {
    let now = Clock::system().now();
    let mut table = output::table(["NUMBER", "WHEN", "USER", "ACTION", "TARGET", "FROM"]);
    output::hide_if_narrow(&mut table, &[5]);
    for entry in entries {
        table.add_row([
            entry.number.to_string(),
            output::stamp(&entry.at, now),
            output::shown(&entry.user_id),
            output::shown(&entry.action),
            output::shown(&entry.target),
            output::shown(entry.address.as_deref().unwrap_or("-")),
        ]);
    }
    table
}

fn refused_table(sums: &[RefusedCalls]) -> Table {
    let now = Clock::system().now();
    let mut table = output::table(["MINUTE", "FROM", "CODE", "CALLS"]);
    for sum in sums {
        table.add_row([
            output::stamp(&sum.minute, now),
            output::shown(&sum.address),
            output::shown(&sum.code),
            sum.count.to_string(),
        ]);
    }
    table
}

/// What a sum has in place of this address.
fn counted_address(address: String) -> String {
    address.parse().map_or(address, |address| counted_as(address).to_string())
}

fn read_address(text: &str) -> Result<String, String> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_canonical().to_string()),
        Err(_) if text == OTHER => Ok(OTHER.to_owned()),
        Err(_) => Err(format!("must be an IP address, or {OTHER} with --refused")),
    }
}
