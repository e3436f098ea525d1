//! `hokusai auth rotate-key --all`: broken off wherever, it goes on, and no new key is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Desk;
use super::shell::Shell;
use crate::clock::eventually;
use crate::site::text_of;

const FILE: &str = "new-keys";
const ALL: [&str; 5] = ["rotate-key", "--all", "--save", FILE, "--yes"];

#[test]
fn every_active_key_has_a_successor_in_a_private_file() {
    let desk = Desk::new();
    desk.key("First", &[]);
    desk.key("Second", &["--environment", "test"]);
    let revoked = desk.key("Revoked", &[]);
    desk.auth(&["revoke-key", "--yes", &revoked.id]);
    assert_snapshot!(desk.auth(&ALL), @"
    --- stderr
    ID                                    NAME    KEY             STATUS  THIS HOUR  EXPIRES  LAST USED
    00000000-0000-7000-8000-000000000001  First   hk_live_ABC***  active  0 / 1000   never    never
    00000000-0000-7000-8000-000000000002  Second  hk_test_ABC***  active  0 / 1000   never    never
    The new keys go to new-keys.
    Rotated 2 keys; what is new is in new-keys.
    --- exit 0
    ");
    let file = desk.operator.file(FILE);
    assert_eq!(mode(&file), 0o600);
    let saved = saved(&desk.operator);
    let facts = saved.iter().map(|key| (text_of(&key["name"]), text_of(&key["environment"])));
    assert_eq!(
        facts.collect::<Vec<_>>(),
        [("First".into(), "production".into()), ("Second".into(), "test".into())]
    );
    are_the_only_active_ones(&desk, &saved);
    assert_snapshot!(desk.auth(&ALL), @"
    --- stderr
    There is nothing to rotate; new-keys has 2 keys.
    --- exit 0
    ");
    assert_eq!(self::saved(&desk.operator), saved);
}

#[test]
fn the_environment_and_the_grace_can_be_chosen() {
    let desk = Desk::new();
    let (live, test) = (desk.key("Live", &[]), desk.key("Test", &["--environment", "test"]));
    let told = desk.auth(&[&ALL[..], &["--environment", "test", "--grace-hours", "0"]].concat());
    assert_eq!(told.status, Some(0), "{told}");
    assert_eq!((desk.verdict(&live.text), desk.verdict(&test.text)), ("valid".into(), "revoked".into()));
    let saved = saved(&desk.operator);
    assert_eq!(saved.len(), 1);
    assert_eq!(saved[0]["rotated_from"], *test.id);
}

#[test]
fn where_nobody_can_answer_it_takes_a_flag() {
    let desk = Desk::new();
    let key = desk.key("Kept", &[]);
    assert_snapshot!(desk.auth(&ALL[..4]), @"
    --- stderr
    ID                                    NAME  KEY             STATUS  THIS HOUR  EXPIRES  LAST USED
    00000000-0000-7000-8000-000000000001  Kept  hk_live_ABC***  active  0 / 1000   never    never
    The new keys go to new-keys.
    error: this asks first, and nobody is there to answer
    hint: add --yes to go on without being asked
    --- exit 2
    ");
    assert_eq!(status(&desk, &key.id), "active");
}

#[test]
fn a_no_in_a_terminal_changes_nothing_and_a_yes_does() {
    let desk = Desk::new();
    let key = desk.key("Asked", &[]);
    for (answer, ends, becomes) in [("n", 1, "active"), ("y", 0, "rotating")] {
        let mut terminal = desk.terminal(&ALL[..4]);
        terminal.waits_at("Rotate 1 key? [y/N] ");
        terminal.types(answer);
        let (exit, seen) = terminal.ended();
        assert_eq!((exit, status(&desk, &key.id).as_str()), (Some(ends), becomes), "{seen}");
    }
    are_the_only_active_ones(&desk, &saved(&desk.operator));
}

#[test]
fn killed_in_the_midst_it_goes_on_with_what_is_left() {
    let desk = Desk::new();
    create_many(&desk, 300);
    let running = desk.operator.start(&ALL);
    eventually(Duration::from_secs(30), "the first saved keys", || {
        let text = fs::read_to_string(desk.operator.file(FILE)).ok()?;
        (text.lines().count() >= 5).then_some(())
    });
    assert_eq!(running.kill().status, None);
    let file = desk.operator.file(FILE);
    assert_eq!(mode(&file), 0o600);
    let before = saved(&desk.operator);
    assert!((5..300).contains(&before.len()), "{} keys were saved before the end", before.len());
    // The answer to the last request was lost on its way, and half a line is on disk.
    lose_a_successor(&desk, &before);
    let half = r#"{"key_id":"01a2050d-a331-7d37-ac37-9bd0115fd1f3","name":"key 7","environm"#;
    fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(half.as_bytes()).unwrap();

    let told = desk.auth(&ALL);
    assert_eq!((told.status, told.stdout.as_str()), (Some(0), ""), "{told}");
    let after = saved(&desk.operator);
    assert_eq!(after[..before.len()], before, "what was saved stays");
    assert_eq!(after.len(), 300);
    are_the_only_active_ones(&desk, &after);
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_file_that_was_cut_off_anywhere_is_gone_on_with() {
    let desk = Desk::new();
    create_many(&desk, 3);
    assert_eq!(desk.auth(&ALL).status, Some(0));
    let file = desk.operator.file(FILE);
    let length = |text: &str| text.lines().last().unwrap().len();
    // Before the line break, within the key, and within its predecessor's id.
    for cut in [1, 20, 100] {
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, &text[..text.len() - cut]).unwrap();
        let told = desk.auth(&ALL);
        assert_eq!(told.status, Some(0), "{cut}: {told}");
        let saved = saved(&desk.operator);
        assert_eq!(saved.len(), 3, "{cut}");
        are_the_only_active_ones(&desk, &saved);
        desk.key("Another", &[]);
        assert_eq!(desk.auth(&ALL).status, Some(0));
        assert_eq!(self::saved(&desk.operator).len(), 4);
        // For the next round, three again.
        let text = fs::read_to_string(&file).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        desk.auth(&["revoke-key", "--yes", last["key_id"].as_str().unwrap()]);
        fs::write(&file, &text[..text.len() - length(&text) - 1]).unwrap();
    }
}

#[test]
fn a_file_that_others_could_read_becomes_private_before_a_key_is_in_it() {
    let desk = Desk::new();
    desk.key("First", &[]);
    let file = desk.operator.file(FILE);
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(desk.auth(&ALL).status, Some(0));
    assert_eq!((mode(&file), saved(&desk.operator).len()), (0o600, 1));
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let desk = Desk::new();
    let key = desk.key("Kept", &[]);
    let file = desk.operator.file(FILE);
    for text in ["a diary\n", "a diary", "\n\n{}\n", "123"] {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let told = desk.auth(&ALL);
        assert_eq!(told.status, Some(2), "{text}: {told}");
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), mode(&file)), (text, 0o644));
    }
    assert_snapshot!(desk.auth(&ALL), @"
    --- stderr
    error: line 1 of new-keys is not a saved key
    hint: name a file that does not exist yet
    --- exit 2
    ");
    assert_snapshot!(desk.auth(&["rotate-key", "--all", "--yes", "--save", "/dev/null"]), @"
    --- stderr
    error: /dev/null is no file that could keep keys
    hint: name a file that does not exist yet
    --- exit 2
    ");
    assert_snapshot!(desk.auth(&["rotate-key", "--all", "--yes", "--save", "missing/file"]), @"
    --- stderr
    error: can't open missing/file: No such file or directory (os error 2)
    --- exit 1
    ");
    assert_eq!(status(&desk, &key.id), "active");
}

fn create_many(desk: &Desk, many: usize) {
    for number in 0..many {
        let wish = json!({"name": format!("key {number}")});
        desk.node.as_operator("POST", "/api/v1/keys", &wish).expect(201);
    }
}

/// The keys in the file, without those that were cut off.
fn saved(shell: &Shell) -> Vec<Value> {
    let text = fs::read_to_string(shell.file(FILE)).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Rotates a key whose successor nobody has, as a killed command leaves it behind.
fn lose_a_successor(desk: &Desk, saved: &[Value]) {
    let saved: BTreeSet<&str> = saved.iter().map(|key| key["key_id"].as_str().unwrap()).collect();
    let keys = desk.auth(&["list-keys", "--format", "json"]).json();
    let mut keys = keys.as_array().unwrap().iter();
    let open = keys.find(|key| key["status"] == "active" && !saved.contains(key["key_id"].as_str().unwrap()));
    let path = format!("/api/v1/keys/{}/rotate", open.unwrap()["key_id"].as_str().unwrap());
    desk.node.as_operator("POST", &path, &json!({})).expect(200);
}

/// Of each key that there ever was, exactly one successor is active; it is saved, and works.
fn are_the_only_active_ones(desk: &Desk, saved: &[Value]) {
    let keys = desk.auth(&["list-keys", "--format", "json"]).json();
    let ids_of = |keys: &[Value]| keys.iter().map(|key| text_of(&key["key_id"])).collect::<BTreeSet<_>>();
    let active: Vec<Value> =
        keys.as_array().unwrap().iter().filter(|key| key["status"] == "active").cloned().collect();
    assert_eq!(ids_of(&active), ids_of(saved));
    assert_eq!(ids_of(saved).len(), saved.len(), "a key is saved twice");
    let mut by_name = BTreeMap::<String, usize>::new();
    for key in &active {
        *by_name.entry(text_of(&key["name"])).or_default() += 1;
    }
    assert!(by_name.values().all(|many| *many == 1), "{by_name:?}");
    for key in saved {
        assert_eq!(desk.verdict(key["api_key"].as_str().unwrap()), "valid", "{key}");
    }
}

fn status(desk: &Desk, id: &str) -> String {
    text_of(&desk.auth(&["show-key", id, "--format", "json"]).json()["status"])
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
