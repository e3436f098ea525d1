//! `hokusai usage reconcile`.

use std::collections::BTreeMap;
use std::io::Write as _;

use hokusai_core::billing::{Money, MonthlyUsage, Plans};
use hokusai_core::calendar::Month;
use hokusai_core::usage::Totals;
use hokusai_engine::Clock;
use hokusai_store::{Difference, Reconciliation};

use crate::failure::Failure;
use crate::output;
use crate::service;
use crate::settings::SettingsArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which month (UTC), such as 2026-11 [default: the present one]
    #[arg(long, value_name = "MONTH", value_parser = read_month)]
    period: Option<Month>,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let month = args.period.unwrap_or_else(|| Month::of(Clock::system().now()));
    let settings = args.settings.resolve()?;
    let plans = service::plans(&settings)?;
    service::block_on(async {
        let store = service::open_to_read(&settings).await?;
        let outcome = store.reconcile_usage(month).await;
        store.close().await;
        report(month, &outcome?, &plans)
    })
}

fn report(month: Month, found: &Reconciliation, plans: &Plans) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let records = match found.kept_since {
        None => found.records.to_string(),
        Some(since) => format!(
            "{}, kept since {}; before, the hourly sums stand for them",
            found.records,
            hokusai_api::time::write(since.0)
        ),
    };
    let mut facts = vec![
        ("month", month.to_string()),
        ("records", records),
        ("accounts", found.accounts.len().to_string()),
        ("overage by records", overage(found, plans, |account| account.from_records)),
        ("overage as billed", overage(found, plans, |account| account.billed)),
        (
            "differences",
            if found.difference_count == 0 { "nowhere".into() } else { found.difference_count.to_string() },
        ),
    ];
    if let Some(unpriced) = unpriced(found, plans) {
        facts.insert(5, ("no price", unpriced));
    }
    output::print_facts(&mut out, &facts)?;
    if found.difference_count == 0 {
        return Ok(out.flush()?);
    }
    let mut table = output::table(["TABLE", "ROW", "BY RECORDS", "IN TABLE"]);
    for Difference { table: name, row, from_records, in_table } in &found.differences {
        table.add_row([(*name).to_owned(), output::shown(row), told(*from_records), told(*in_table)]);
    }
    output::print_table(&mut out, &table)?;
    out.flush()?;
    let what = anyhow::anyhow!("{} sums are not what the records add up to", found.difference_count);
    Err(Failure::with_hint(
        what,
        "somebody changed the database by hand, or this is a fault: please report it",
    ))
}

/// What all accounts together pay for predictions past their limits, as far as their plans have a price.
fn overage(
    found: &Reconciliation,
    plans: &Plans,
    usage: fn(&hokusai_store::ReconciledAccount) -> MonthlyUsage,
) -> String {
    let mut sum = Money::ZERO;
    for account in &found.accounts {
        let terms = &account.terms;
        let Some(plan) = plans.get(&terms.plan) else { continue };
        sum = Money(
            sum.0.saturating_add(plan.overage(usage(account).predictions, terms.monthly_prediction_limit).0),
        );
    }
    format!("${sum}")
}

/// Accounts by plans that are not configured: such a plan was retired, or the settings are not the service's.
fn unpriced(found: &Reconciliation, plans: &Plans) -> Option<String> {
    let mut accounts: BTreeMap<&str, i64> = BTreeMap::new();
    for account in found.accounts.iter().filter(|account| plans.get(&account.terms.plan).is_none()) {
        *accounts.entry(&account.terms.plan).or_default() += 1;
    }
    let told = accounts
        .iter()
        .map(|(plan, accounts)| format!("{} by the plan {plan}", output::counted(*accounts, "account")));
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| format!("{}: not configured here", told.join(", ")))
}

fn told(sum: Totals) -> String {
    let Totals { requests, errors, predictions, compute_ms, response_micros } = sum;
    format!(
        "{requests} requests, {errors} errors, {predictions} predictions, {compute_ms} ms, {response_micros} µs"
    )
}

fn read_month(text: &str) -> Result<Month, String> {
    Month::parse(text).ok_or_else(|| "must be a month such as 2026-11".to_owned())
}
