//! `hokusai sim`: the promises of limits, revocation and outages, tried in a simulated world of mishaps.

use std::io::Write as _;

use hokusai_sim::{Counts, Report, run_many};

use crate::failure::Failure;

/// Try the promises of limits, revocation and outages in a simulated world: verifiers, nodes and a store
/// with crashes, cut networks, lost, late and doubled messages, sleeping machines and clocks that are set.
/// A seed always gives the same history.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The seed of the first history
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// How many hours pass in each
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(4..=8760))]
    hours: u32,
    /// How many histories to run, each by the seed after the one before
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    runs: u64,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let reports = run_many(args.seed, args.runs, args.hours);
    let broken = reports.iter().find_map(|report| Some((report, report.violation.as_ref()?)));
    if let Some((report, (what, history))) = broken {
        return Err(tell_broken(args, report, what, history)?);
    }
    let mut out = std::io::stdout().lock();
    let days = u64::from(args.hours) * args.runs;
    writeln!(out, "No promise was broken in {days} hours.")?;
    let sum = |figure: fn(&Counts) -> u64| reports.iter().map(|report| figure(&report.counts)).sum::<u64>();
    for (figure, what) in [
        (reports.iter().map(|report| report.events).sum(), "events"),
        (sum(|counts| counts.admitted), "requests admitted"),
        (sum(|counts| counts.lent), "requests admitted as debt, in outages"),
        (sum(|counts| counts.limited), "requests over the limit"),
        (sum(|counts| counts.refused), "requests with a key that is refused"),
        (sum(|counts| counts.unreachable), "requests that could not be decided"),
        (sum(|counts| counts.prompt), "revocations known everywhere at once"),
        (sum(|counts| counts.bounded), "revocations known everywhere by a stated time"),
    ] {
        writeln!(out, "{figure:>12}  {what}")?;
    }
    out.flush()?;
    Ok(())
}

fn tell_broken(args: &Args, report: &Report, what: &str, history: &[String]) -> std::io::Result<Failure> {
    let mut notes = std::io::stderr().lock();
    for line in history {
        writeln!(notes, "{line}")?;
    }
    let hint = format!("`hokusai sim --seed {} --hours {}` repeats it", report.seed, args.hours);
    Ok(Failure::refused(format!("seed {}: {what}", report.seed), hint))
}
