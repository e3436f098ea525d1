//! `hokusai usage reconcile`: the sums and bills are what the records add up to, and it is told where not.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;

use crate::program::{Ended, Process, Program};
use crate::site::{Site, text_of};
use crate::usage_reports::{Keys, serve};

fn reconcile(site: &Site, args: &[&str]) -> Ended {
    Program::hokusai(site.directory())
        .args(["usage", "reconcile", "--billing-plans", "free=0.001,fixed"])
        .args(args)
        .env("HOKUSAI_DATABASE", site.database())
        .run()
}

/// Some hundred records of four keys, by chance, and 1,012 predictions of one that may have a thousand.
fn report_some(node: &Process) -> String {
    let keys = Keys::create(node);
    let mut rng = StdRng::seed_from_u64(7);
    for number in 0..20 {
        let answer = node.send(keys.report(&number.to_string(), &mut rng).request());
        assert!([200, 402].contains(&answer.status), "{}", answer.body);
    }
    let wish = json!({"name": "over", "monthly_prediction_limit": 1000});
    let key = node.as_operator("POST", "/api/v1/keys", &wish).expect(201);
    let record = json!({"service_id": "platform", "endpoint": "/", "status_code": 200, "response_time_ms": 5,
        "predictions_count": 1012});
    node.as_operator("POST", &format!("/api/v1/usage/{}", text_of(&key["key_id"])), &record).expect(200);
    text_of(&key["key_id"])
}

#[test]
fn sums_and_bills_differ_from_the_records_nowhere_while_the_service_runs() {
    for site in [Site::on_sqlite(), Site::on_postgres()] {
        let node = serve(&site).start();
        report_some(&node);
        let ended = reconcile(&site, &[]);
        assert_eq!(ended.status, Some(0), "{}", ended.output);
        let told: Vec<String> =
            ended.output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in ["overage by records $0.012000", "overage as billed $0.012000", "differences nowhere"] {
            assert!(told.iter().any(|told| told == line), "{line}\n{}", ended.output);
        }
        assert!(!told.iter().any(|line| line == "records 0"), "{}", ended.output);
        assert_eq!(node.stop().status, Some(0));
    }
}

#[test]
fn a_sum_or_record_that_somebody_changed_is_named() {
    for site in [Site::on_sqlite(), Site::on_postgres()] {
        let node = serve(&site).start();
        let key = report_some(&node);
        assert_eq!(node.stop().status, Some(0));
        for (table, change, back) in [
            (
                "usage_hours",
                "update usage_hours set requests = requests + 1",
                "update usage_hours set requests = requests - 1",
            ),
            (
                "usage_endpoints",
                "update usage_endpoints set errors = errors + 1",
                "update usage_endpoints set errors = errors - 1",
            ),
            (
                "usage_days",
                "update usage_days set compute_ms = compute_ms + 1",
                "update usage_days set compute_ms = compute_ms - 1",
            ),
            (
                "usage_months",
                "update usage_months set predictions = predictions + 1",
                "update usage_months set predictions = predictions - 1",
            ),
        ] {
            site.execute(change);
            let ended = reconcile(&site, &[]);
            assert_eq!(ended.status, Some(1), "{table}\n{}", ended.output);
            assert!(ended.output.contains(table), "{}", ended.output);
            site.execute(back);
            assert_eq!(reconcile(&site, &[]).status, Some(0), "{table}");
        }
        site.execute("delete from usage_records where predictions = 1012");
        let ended = reconcile(&site, &[]);
        assert_eq!(ended.status, Some(1), "{}", ended.output);
        assert!(ended.output.contains(&key) && ended.output.contains("$0.000000"), "{}", ended.output);
    }
}

#[test]
fn a_month_that_is_none_is_refused_and_a_plan_without_a_price_is_told() {
    let site = Site::on_sqlite();
    let node = serve(&site).start();
    report_some(&node);
    assert_eq!(node.stop().status, Some(0));
    let ended = reconcile(&site, &["--period", "2025-13"]);
    assert_eq!(ended.status, Some(2), "{}", ended.output);
    assert!(ended.output.contains("must be a month such as 2026-11"), "{}", ended.output);
    let ended = reconcile(&site, &["--period", "2025-01"]);
    assert_eq!(ended.status, Some(0), "{}", ended.output);
    let unpriced = Program::hokusai(site.directory())
        .args(["usage", "reconcile", "--billing-plans", "free=0.001"])
        .env("HOKUSAI_DATABASE", site.database())
        .run();
    assert_eq!(unpriced.status, Some(0), "{}", unpriced.output);
    for told in ["1 account by the plan fixed: not configured here", "$0.012000", "nowhere"] {
        assert!(unpriced.output.contains(told), "{told}\n{}", unpriced.output);
    }
}
