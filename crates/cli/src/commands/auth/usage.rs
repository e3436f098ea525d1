//! `hokusai auth usage`.

mod csv;
mod report;
mod table;

use std::io::{self, IsTerminal as _, Write as _};

use hokusai_client::{Month, UsageBy, UsageQuery};
use serde::Serialize;

use crate::commands::auth::quiet_value::Quiet;
use crate::commands::auth::usage::report::Report;
use crate::commands::auth::{Context, key_ids, months};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The key's id, or the beginning of it; left out: all keys that you may see, together
    #[arg(value_name = "KEY_ID", value_parser = Quiet(key_ids::read))]
    id: Option<String>,
    /// Which month (UTC), such as 2026-11 [default: the present one]
    #[arg(long, value_name = "MONTH", value_parser = months::read)]
    period: Option<Month>,
    /// What each line is about: a day, an endpoint (of one key only) or a service
    #[arg(
        long,
        value_enum,
        default_value = "day",
        hide_possible_values = true,
        value_name = "day|endpoint|service"
    )]
    by: By,
    /// Only keys of this user; for operators
    #[arg(long, conflicts_with = "id")]
    user: Option<String>,
    /// table is for people, json and csv for programs [default: table on a terminal, else csv]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "table|json|csv")]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Day,
    Endpoint,
    Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let default = if io::stdout().is_terminal() { Format::Table } else { Format::Csv };
    let format = args.format.unwrap_or(default);
    let by = match (args.by, &args.id) {
        (By::Endpoint, None) => {
            let hint = "name a key: `hokusai auth usage KEY_ID --by endpoint`; \
                        `hokusai auth list-keys` shows the ids";
            return Err(Failure::wrong_use("endpoints are told apart for one key only", hint));
        }
        (By::Endpoint, _) => UsageBy::Endpoint,
        (By::Day, _) => UsageBy::Day,
        (By::Service, _) => UsageBy::Service,
    };
    let client = context.admin()?;
    let present = Month::of(context.now);
    if let Some(id) = &args.id {
        let id = key_ids::whole(id, &client).await?;
        let stats = client.usage_stats(id, args.period, Some(by)).await?;
        let month = Month::parse(&stats.period).or(args.period).unwrap_or(present);
        return print(&stats, format, || Report::of_key(&stats, by), month, present);
    }
    let month = args.period.unwrap_or(present);
    let (first, last) = months::days(month);
    let of = UsageQuery { first: Some(first), last: Some(last), user_id: args.user, service_id: None };
    let usage = client.usage_by_date(&of).await?;
    print(&usage, format, || Report::of_all(&usage, month, by), month, present)
}

fn print(
    answer: &impl Serialize,
    format: Format,
    report: impl FnOnce() -> Report,
    month: Month,
    present: Month,
) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    if format == Format::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(answer)?)?;
        return Ok(out.flush()?);
    }
    let report = report();
    match format {
        Format::Csv => csv::write(&mut out, &report)?,
        _ if report.rows.is_empty() => {}
        _ => table::write(&mut out, &report)?,
    }
    out.flush()?;
    if report.rows.is_empty() {
        writeln!(anstream::stderr(), "{}", months::without_usage(month, present))?;
    }
    Ok(())
}
