//! Two hundred days of mishaps, and no promise is broken.

use hokusai_sim::{Counts, run, run_many};

const SEEDS: u64 = 200;
const HOURS: u32 = 24;

#[test]
fn two_hundred_days_of_mishaps_break_no_promise() {
    let reports = run_many(0, SEEDS, HOURS);
    let broken: Vec<String> = reports
        .iter()
        .filter_map(|report| {
            report.violation.as_ref().map(|(what, _)| format!("seed {}: {what}", report.seed))
        })
        .collect();
    assert_eq!(broken, Vec::<String>::new());
    // What did not happen was not tried.
    let total = |count: fn(&Counts) -> u64| reports.iter().map(|report| count(&report.counts)).sum::<u64>();
    for (what, count) in [
        ("admitted", total(|counts| counts.admitted)),
        ("lent", total(|counts| counts.lent)),
        ("refused", total(|counts| counts.refused)),
        ("limited", total(|counts| counts.limited)),
        ("unreachable", total(|counts| counts.unreachable)),
        ("revoked everywhere", total(|counts| counts.prompt)),
        ("revoked up to a time", total(|counts| counts.bounded)),
    ] {
        assert!(count > 1000, "{what}: {count}");
    }
}

#[test]
fn a_seed_repeats_its_history() {
    let (first, again) = (run(7, 3), run(7, 3));
    assert_eq!((first.events, first.counts), (again.events, again.counts));
    assert_ne!(first.events, run(8, 3).events);
}
