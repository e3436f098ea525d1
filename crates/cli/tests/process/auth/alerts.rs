//! `hokusai auth alerts`.

use std::time::Duration;

use insta::assert_snapshot;

use super::Desk;
use crate::clock::eventually;

/// How long it may take until a validation is counted.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn where_all_is_well_there_is_nothing_to_look_at() {
    let desk = Desk::new();
    desk.key("Lasts", &[]);
    assert_snapshot!(desk.auth(&["alerts"]), @"
    --- stderr
    There is nothing to look at.
    --- exit 0
    ");
    assert_snapshot!(desk.auth(&["alerts", "--fail", "--format", "json"]), @r#"
    --- stdout
    {
      "alerts": [],
      "truncated": false
    }
    --- exit 0
    "#);
}

#[test]
fn a_key_that_expires_soon_is_listed_and_told_to_a_cron_job_by_the_status() {
    let desk = Desk::new();
    desk.key("Ends soon", &["--expires-in-days", "1"]);
    desk.key("Bob's", &["--expires-in-days", "3", "--user", "bob"]);
    desk.key("Lasts", &["--expires-in-days", "15"]);
    assert_snapshot!(desk.auth(&["alerts"]), @"
    --- stdout
    ALERT         ID                                    NAME       USER   WHEN         WHAT
    expires_soon  00000000-0000-7000-8000-000000000001  Ends soon  admin  in 24 hours  expires
    expires_soon  00000000-0000-7000-8000-000000000002  Bob's      bob    in 3 days    expires
    --- exit 0
    ");
    assert_snapshot!(desk.auth(&["alerts", "--fail"]), @"
    --- stdout
    ALERT         ID                                    NAME       USER   WHEN         WHAT
    expires_soon  00000000-0000-7000-8000-000000000001  Ends soon  admin  in 24 hours  expires
    expires_soon  00000000-0000-7000-8000-000000000002  Bob's      bob    in 3 days    expires
    --- stderr
    error: 2 alerts
    --- exit 1
    ");
    let bob = desk.somebody("bob", "member");
    let told = bob.auth(&["alerts", "--format", "json"]).json();
    assert_eq!((told["alerts"].as_array().unwrap().len(), &told["alerts"][0]["name"]), (1, &"Bob's".into()));
    assert_eq!(told["truncated"], false);
}

#[test]
fn keys_that_are_refused_often_or_used_after_their_rotation_are_listed() {
    let desk = Desk::configured(&[("HOKUSAI_ALERT_REFUSALS", "2"), ("HOKUSAI_ALERT_LIMIT_HITS", "1")]);
    let wrong = desk.key("Wrong place", &["--allowed-ip", "203.0.113.7"]);
    let rotated = desk.key("Rotated", &[]);
    let limited = desk.key("Limited", &["--rate-limit", "10"]);
    desk.auth(&["rotate-key", &rotated.id]);
    // If an hour ends in between, the next one does not.
    for _ in 0..24 {
        desk.verdict(&limited.text);
    }
    for _ in 0..4 {
        assert_eq!(desk.verdict(&wrong.text), "ip_not_allowed");
    }
    assert_eq!(desk.verdict(&rotated.text), "valid");
    let lines = eventually(PATIENCE, "three alerts", || {
        let told = desk.auth(&["alerts"]).stdout;
        let lines: Vec<String> = told.lines().skip(1).map(str::to_owned).collect();
        (lines.len() == 3).then_some(lines)
    });
    for (kind, name, what) in [
        ("used_in_grace", "Rotated", "ends; still used"),
        ("many_refusals", "Wrong place", "refusals"),
        ("many_limit_hits", "Limited", "limit hits"),
    ] {
        let line = lines.iter().find(|line| line.starts_with(kind)).unwrap_or_else(|| panic!("{lines:?}"));
        assert!(line.contains(name) && line.ends_with(what), "{line}");
    }
}
