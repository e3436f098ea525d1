//! `hokusai auth billing`.

use std::io::Write as _;

use hokusai_client::{Bill, Month};

use crate::bar::gauge;
use crate::commands::auth::quiet_value::Quiet;
use crate::commands::auth::{Context, key_ids, months};
use crate::failure::Failure;
use crate::output::{self, Format};

/// Columns of the bar.
const COLUMNS: u16 = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The key's id, or the beginning of it
    #[arg(value_name = "KEY_ID", value_parser = Quiet(key_ids::read))]
    id: String,
    /// Which month (UTC), such as 2026-11 [default: the present one]
    #[arg(long, value_name = "MONTH", value_parser = months::read)]
    period: Option<Month>,
    /// table is for people, json for programs
    #[arg(long, value_enum, default_value = "table", hide_possible_values = true, value_name = "table|json")]
    format: Format,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let client = context.admin()?;
    let id = key_ids::whole(&args.id, &client).await?;
    let bill = client.billing(id, args.period).await?;
    let mut out = anstream::stdout().lock();
    if args.format == Format::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(&bill.billing)?)?;
        return Ok(out.flush()?);
    }
    output::print_facts(&mut out, &facts(&bill))?;
    out.flush()?;
    let note = "The bill of a rotated key goes on with its successor: it is the same for both.";
    Ok(writeln!(anstream::stderr(), "{note}")?)
}

fn facts(Bill { billing, overage }: &Bill) -> [(&'static str, String); 7] {
    [
        ("plan", billing.billing_plan.clone()),
        ("month", billing.period.clone()),
        ("predictions", predictions(billing.current_usage.predictions, billing.monthly_limit)),
        ("requests", billing.current_usage.requests.to_string()),
        ("compute time", output::duration(billing.current_usage.compute_ms)),
        ("overage", output::dollars(*overage)),
        ("next billing date", billing.next_billing_date.clone()),
    ]
}

/// `12 of 100  ██▍░░…`.
fn predictions(used: i64, limit: Option<i64>) -> String {
    let Some(limit) = limit else { return format!("{used} of any number") };
    let past = match used.saturating_sub(limit) {
        past @ 1.. => format!("  {past} past the limit"),
        _ => String::new(),
    };
    format!("{used} of {limit}  {}{past}", gauge(used, limit, COLUMNS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_are_told_beside_their_limit() {
        for (used, limit, told) in [
            (7, None, "7 of any number"),
            (0, Some(0), "0 of 0  ░░░░░░░░░░░░░░░░░░░░"),
            (1, Some(0), "1 of 0  ████████████████████  1 past the limit"),
            (25, Some(100), "25 of 100  █████░░░░░░░░░░░░░░░"),
            (100, Some(100), "100 of 100  ████████████████████"),
            (112, Some(100), "112 of 100  ████████████████████  12 past the limit"),
        ] {
            assert_eq!(predictions(used, limit), told);
        }
    }
}
