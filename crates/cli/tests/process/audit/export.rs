//! `hokusai audit export`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::{audit, seven_entries, told};
use crate::site::Site;
use crate::startup::refused;

fn numbers(lines: &str) -> Vec<i64> {
    let entries = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.map(|entry| entry["number"].as_i64().unwrap()).collect()
}

#[test]
fn entries_are_written_oldest_first_one_a_line() {
    for site in [Site::on_sqlite(), Site::on_postgres()] {
        seven_entries(&site);
        let lines = told(&site, &["export"]);
        assert_eq!(numbers(&lines), [1, 2, 3, 4, 5, 6, 7]);
        let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        let checkpoint = format!("7:{}\n", last["seal"].as_str().unwrap());
        assert_eq!(checkpoint, told(&site, &["checkpoint"]));
        let fields: Vec<&str> = last.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields.len(), 11, "{fields:?}");
        let at = last["at"].as_str().unwrap();
        assert_eq!(numbers(&told(&site, &["export", "--since", at])), [7]);
        assert_eq!(numbers(&told(&site, &["export", "--until", at])), [1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn a_file_is_new_and_for_its_owner_alone() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    let file = site.directory().join("log.jsonl");
    let export = || audit(&site, &["export", "--out", "log.jsonl"]);
    let ended = export().run_apart();
    assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(0), &b""[..]));
    assert_eq!(ended.stderr, b"Wrote 7 entries to log.jsonl.\n");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&file).unwrap(), told(&site, &["export"]));
    fs::write(&file, "precious").unwrap();
    refused(export(), 1, "can't make log.jsonl", "must not exist yet");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn an_export_that_fails_leaves_no_half_of_it() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    site.execute("drop table audit");
    let ended = audit(&site, &["export", "--out", "log.jsonl"]).run();
    assert_eq!(ended.status, Some(1), "{}", ended.output);
    assert!(!site.directory().join("log.jsonl").exists());
}
