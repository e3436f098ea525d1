//! `hokusai auth list-keys`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::thread;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Desk;
use super::shell::Running;

#[test]
fn every_status_is_told_the_newest_key_first() {
    let desk = Desk::new();
    for name in ["Revoked", "Rotated"] {
        desk.key(name, &["--environment", "test"]);
    }
    desk.key("Expired", &["--expires-in-days", "10"]);
    let desk =
        desk.changed_by("update keys set expires_at = created_at - 259200000000 where name = 'Expired'");
    let listed = desk.auth(&["list-keys", "--format", "json"]).json();
    let id = |number: usize| listed[number]["key_id"].as_str().unwrap();
    assert_eq!(desk.auth(&["rotate-key", id(1)]).status, Some(0));
    assert_eq!(desk.auth(&["revoke-key", "--yes", id(2)]).status, Some(0));
    desk.key("Ends soon", &["--expires-in-days", "1", "--rate-limit", "10"]);
    assert_snapshot!(desk.auth(&["list-keys"]), @"
    --- stdout
    ID                                    NAME       KEY             STATUS    THIS HOUR  EXPIRES      LAST USED
    00000000-0000-7000-8000-000000000001  Ends soon  hk_live_ABC***  active    0 / 10     in 24 hours  never
    00000000-0000-7000-8000-000000000002  Rotated    hk_test_ABC***  active    0 / 1000   never        never
    00000000-0000-7000-8000-000000000003  Expired    hk_live_ABC***  expired   0 / 1000   3 days ago   never
    00000000-0000-7000-8000-000000000004  Rotated    hk_test_ABC***  rotating  0 / 1000   never        never
    00000000-0000-7000-8000-000000000005  Revoked    hk_test_ABC***  revoked   0 / 1000   never        never
    --- exit 0
    ");
}

#[test]
fn as_json_it_is_an_array_with_all_that_the_service_says() {
    let desk = Desk::new();
    desk.key("First", &["--metadata", "team=search"]);
    desk.key("Second", &["--environment", "development", "--expires-in-days", "30"]);
    let told = desk.auth(&["list-keys", "--format", "json"]);
    assert_eq!(told.json().as_array().unwrap().len(), 2);
    assert_snapshot!(told, @r#"
    --- stdout
    [
      {"id":"00000000-0000-7000-8000-000000000001","key_id":"00000000-0000-7000-8000-000000000001","name":"Second","key_prefix":"hk_dev_ABC***","user_id":"admin","service_id":"platform","scopes":["model:read","model:write","mlflow:access"],"environment":"development","is_active":true,"status":"active","rate_limit_per_hour":1000,"monthly_prediction_limit":null,"allowed_ips":[],"billing_plan":"free","metadata":{},"created_at":"TIME","expires_at":"TIME","last_used_at":null,"revoked_at":null,"rotated_from":null,"rotated_to":null,"usage":{"requests_this_hour":0,"remaining_this_hour":1000,"resets_at":"TIME"}},
      {"id":"00000000-0000-7000-8000-000000000002","key_id":"00000000-0000-7000-8000-000000000002","name":"First","key_prefix":"hk_live_ABC***","user_id":"admin","service_id":"platform","scopes":["model:read","model:write","mlflow:access"],"environment":"production","is_active":true,"status":"active","rate_limit_per_hour":1000,"monthly_prediction_limit":null,"allowed_ips":[],"billing_plan":"free","metadata":{"team":"search"},"created_at":"TIME","expires_at":null,"last_used_at":null,"revoked_at":null,"rotated_from":null,"rotated_to":null,"usage":{"requests_this_hour":0,"remaining_this_hour":1000,"resets_at":"TIME"}}
    ]
    --- exit 0
    "#);
}

#[test]
fn keys_can_be_left_out() {
    let desk = Desk::new();
    desk.key("test", &["--environment", "test"]);
    desk.key("prediction", &["--service", "prediction"]);
    desk.key("bob's", &["--user", "bob"]);
    let revoked = desk.key("revoked", &[]);
    desk.auth(&["revoke-key", "--yes", &revoked.id]);
    let listed = |flags: &[&str]| {
        let words = [&["list-keys", "--format", "json"], flags].concat();
        let keys = desk.auth(&words).json();
        let names = keys.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(listed(&[]), "revoked, bob's, prediction, test");
    assert_eq!(listed(&["--active"]), "bob's, prediction, test");
    assert_eq!(listed(&["--environment", "test"]), "test");
    assert_eq!(listed(&["--service", "prediction"]), "prediction");
    assert_eq!(listed(&["--user", "bob"]), "bob's");
    assert_eq!(listed(&["--user", "nobody", "--active"]), "");
}

#[test]
fn where_there_are_no_keys_a_person_hears_how_to_make_one_and_a_program_reads_an_empty_array() {
    let desk = Desk::new();
    assert_snapshot!(desk.auth(&["list-keys"]), @"
    --- stderr
    There are no keys. `hokusai auth create-key --name NAME` creates one.
    --- exit 0
    ");
    assert_snapshot!(desk.auth(&["list-keys", "--format", "json"]), @"
    --- stdout
    []
    --- exit 0
    ");
}

#[test]
fn a_refusal_is_no_beginning_of_an_array() {
    let desk = Desk::new();
    let stranger = desk.operator.with("HOKUSAI_ADMIN_TOKEN", "hka_unknown");
    let told = stranger.auth(&["list-keys", "--format", "json"]);
    assert_eq!((told.status, told.stdout.as_str()), (Some(4), ""));
}

#[test]
fn what_was_used_of_the_hour_is_shown() {
    let desk = Desk::new();
    let key = desk.key("Used", &["--rate-limit", "10"]);
    // If an hour ends in between, the next one does not.
    let shown = (0..2).any(|_| {
        assert_eq!((desk.verdict(&key.text), desk.verdict(&key.text)), ("valid".into(), "valid".into()));
        desk.auth(&["list-keys"]).stdout.contains("  2 / 10  ")
    });
    assert!(shown, "{:?}", desk.auth(&["list-keys"]));
}

#[test]
fn thousands_of_keys_are_one_array_and_whoever_reads_only_the_beginning_is_not_bothered() {
    let desk = Desk::new();
    thread::scope(|scope| {
        for worker in 0..8 {
            let node = &desk.node;
            scope.spawn(move || {
                for number in (worker..2500).step_by(8) {
                    let wish = json!({"name": format!("key {number}")});
                    node.as_operator("POST", "/api/v1/keys", &wish).expect(201);
                }
            });
        }
    });
    let told = desk.auth(&["list-keys", "--format", "json"]);
    assert_eq!((told.status, told.stderr.as_str()), (Some(0), ""));
    let listed = told.json();
    let mut numbers: Vec<u32> = listed.as_array().unwrap().iter().map(number).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..2500), "{} keys", numbers.len());
    assert_eq!(desk.auth(&["list-keys"]).stdout.lines().count(), 2501);

    for words in [&["list-keys", "--format", "json"][..], &["list-keys"]] {
        let mut child = desk.operator.command(words).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        // Once its first line is read, nobody is there for the others: far more than a pipe holds.
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told = Running::of(child).told();
        assert_eq!((told.status, told.stderr.as_str()), (Some(0), ""), "{words:?}");
        assert!(line == "[\n" || line.starts_with("ID "), "{line}");
    }
}

fn number(key: &Value) -> u32 {
    key["name"].as_str().unwrap().strip_prefix("key ").unwrap().parse().unwrap()
}
