//! `hokusai audit verify`: names the first entry that is not as it was written.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use hokusai_core::audit::AuditKey;

use super::{audit, key_file, seven_entries, told, verify};
use crate::databases;
use crate::program::Ended;
use crate::site::Site;
use crate::startup::refused;

/// All is well, with so many entries.
#[track_caller]
fn is_good(ended: &Ended, entries: u32) {
    assert_eq!(ended.status, Some(0), "{}", ended.output);
    assert!(ended.output.contains(&format!("Entries     {entries}\n")), "{}", ended.output);
}

/// It is not, and this is the first that is wrong.
#[track_caller]
fn is_bad(ended: &Ended, fault: &str, good: &str) {
    assert_eq!(ended.status, Some(1), "{}", ended.output);
    let error = ended.output.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    let told = error.strip_prefix("error: the audit log is not as it was written: ").unwrap_or(error);
    let (found, rest) = told.split_once("; ").unwrap_or((told, ""));
    // The time of an entry is chance.
    let found = match (found.find('('), found.find("Z, ")) {
        (Some(from), Some(to)) => format!("{}{}", &found[..=from], &found[to + 3..]),
        _ => found.to_owned(),
    };
    assert_eq!((found.as_str(), rest), (fault, good), "{}", ended.output);
    assert!(ended.output.contains("\nhint: "), "{}", ended.output);
}

/// What verifying says after `tampering` with seven entries on SQLite.
fn after(tampering: &'static str) -> Ended {
    let site = Site::on_sqlite();
    seven_entries(&site);
    is_good(&verify(&site, &[]), 7);
    site.execute(tampering);
    verify(&site, &[])
}

#[test]
fn an_untouched_log_is_good_on_both_databases() {
    for site in [Site::on_sqlite(), Site::on_postgres()] {
        seven_entries(&site);
        let ended = verify(&site, &[]);
        is_good(&ended, 7);
        let checkpoint = told(&site, &["checkpoint"]);
        assert!(ended.output.contains(&format!("Checkpoint  {checkpoint}")), "{}", ended.output);
        assert!(ended.output.contains("Only --checkpoint"), "{}", ended.output);
        let with_checkpoint = verify(&site, &["--checkpoint", checkpoint.trim()]);
        is_good(&with_checkpoint, 7);
        assert!(!with_checkpoint.output.contains("Only --checkpoint"), "{}", with_checkpoint.output);
    }
}

#[test]
fn a_changed_row_is_named() {
    let changed = "entry 3 (key.create) does not fit: it was changed, or what came before it was taken out";
    is_bad(
        &after("update audit set user_id = 'mallory' where number = 3"),
        changed,
        "entries 1 to 2 are good",
    );
    let site = Site::on_postgres();
    seven_entries(&site);
    site.execute("update audit set address = '192.0.2.1' where number in (3, 6)");
    is_bad(&verify(&site, &[]), changed, "entries 1 to 2 are good");
}

/// What verifying says after `tampering` with seven entries on each database.
fn after_on_both(tampering: &'static str) -> [Ended; 2] {
    [Site::on_sqlite(), Site::on_postgres()].map(|site| {
        seven_entries(&site);
        site.execute(tampering);
        verify(&site, &[])
    })
}

#[test]
fn a_row_is_named_whose_values_look_the_same_but_are_of_another_type() {
    for tampering in [
        "update audit set user_id = cast(user_id as blob) where number = 3",
        "update audit set at = at || 'x' where number = 3",
        "update audit set detail = cast(x'ff' as text) where number = 3",
    ] {
        is_bad(
            &after(tampering),
            "entry 3 (key.create) does not fit: it was changed, or what came before it was taken out",
            "entries 1 to 2 are good",
        );
    }
}

#[test]
fn a_row_whose_number_is_none_is_named() {
    let inserted = "an entry (key.create) was inserted or changed: its number is no whole number";
    for (tampering, good) in [
        (
            "insert into audit select 4.5, at, user_id, token_id, action, target, address, request_id, detail,
                seal from audit where number = 4",
            "entries 1 to 4 are good",
        ),
        (
            "insert into audit select 'x', at, user_id, token_id, action, target, address, request_id, detail,
                seal from audit where number = 4",
            "entries 1 to 7 are good",
        ),
    ] {
        let site = Site::on_sqlite();
        seven_entries(&site);
        site.execute(tampering);
        is_bad(&verify(&site, &[]), inserted, good);
        let export = || audit(&site, &["export", "--out", "log.jsonl"]);
        refused(export(), 1, "an entry whose number is no whole number", "run `hokusai audit verify`");
        assert!(!site.directory().join("log.jsonl").exists());
    }
}

#[test]
fn a_record_of_the_end_that_is_gone_or_is_none_is_told() {
    let gone = "the database's record of its end is gone, or can't be read";
    is_bad(&after("update authority set audit_number = 'x'"), gone, "entries 1 to 7 are good");
    for ended in after_on_both("delete from authority") {
        is_bad(&ended, gone, "entries 1 to 7 are good");
    }
    let site = Site::on_sqlite();
    seven_entries(&site);
    site.execute("delete from authority");
    refused(
        audit(&site, &["checkpoint"]),
        1,
        "record of the last entry is gone",
        "run `hokusai audit verify`",
    );
}

#[test]
fn what_is_found_on_sqlite_is_found_on_postgres_too() {
    for (tampering, fault) in [
        ("delete from audit where number = 3", "entry 3 is missing, though later ones are there"),
        (
            "update audit set number = -number where number >= 3;
             update audit set number = 1 - number where number < 0;
             insert into audit select 3, at, 'mallory', token_id, action, target, address, request_id,
                detail, seal from audit where number = 2;
             update authority set audit_number = 8",
            "entry 3 (key.create) was inserted: what belongs in its place is now entry 4",
        ),
        (
            "update audit set number = -3 where number = 3; update audit set number = 3 where number = 5;
             update audit set number = 5 where number = -3",
            "entry 3 (key.create) is out of order: it has changed places with entry 5",
        ),
    ] {
        for ended in after_on_both(tampering) {
            is_bad(&ended, fault, "entries 1 to 2 are good");
        }
    }
    let lowest = "entry -9223372036854775808 (key.create) was inserted: another has this number, or none can \
                  have it";
    for ended in after_on_both(
        "insert into audit select -9223372036854775807 - 1, at, user_id, token_id, action, target, address,
            request_id, detail, seal from audit where number = 2",
    ) {
        is_bad(&ended, lowest, "");
    }
}

#[test]
fn a_row_that_is_no_entry_any_more_is_named() {
    is_bad(
        &after("update audit set at = 'soon', seal = 5 where number = 7"),
        "entry 7 (key.revoke) does not fit: it was changed, or what came before it was taken out",
        "entries 1 to 6 are good",
    );
}

#[test]
fn a_dropped_row_is_named() {
    is_bad(
        &after("delete from audit where number = 4"),
        "entry 4 is missing, though later ones are there",
        "entries 1 to 3 are good",
    );
    is_bad(
        &after("delete from audit where number = 1"),
        "entry 1 is missing, though later ones are there",
        "",
    );
}

#[test]
fn a_dropped_row_is_named_though_the_others_moved_up() {
    is_bad(
        &after(
            "delete from audit where number = 4;
             update audit set number = -number where number > 4;
             update audit set number = -number - 1 where number < 0;
             update authority set audit_number = 6",
        ),
        "entry 4 (key.create) does not fit: it was changed, or what came before it was taken out",
        "entries 1 to 3 are good",
    );
}

#[test]
fn an_inserted_row_is_named() {
    is_bad(
        &after(
            "update audit set number = -number where number >= 3;
             update audit set number = 1 - number where number < 0;
             insert into audit select 3, at, 'mallory', token_id, action, target, address, request_id,
                detail, seal from audit where number = 2;
             update authority set audit_number = 8",
        ),
        "entry 3 (key.create) was inserted: what belongs in its place is now entry 4",
        "entries 1 to 2 are good",
    );
    is_bad(
        &after(
            "insert into audit select 8, at, 'mallory', token_id, action, target, address, request_id,
                detail, seal from audit where number = 2",
        ),
        "entry 8 (key.create) lies behind the end: the last change wrote entry 7",
        "entries 1 to 7 are good",
    );
    is_bad(
        &after(
            "insert into audit select 0, at, 'mallory', token_id, action, target, address, request_id,
                detail, seal from audit where number = 2",
        ),
        "entry 0 (key.create) was inserted: another has this number, or none can have it",
        "",
    );
}

#[test]
fn rows_that_changed_places_are_named() {
    for swap in [
        "update audit set number = -3 where number = 3; update audit set number = 3 where number = 5;
         update audit set number = 5 where number = -3",
        "update audit set number = -3 where number = 3; update audit set number = 3 where number = 4;
         update audit set number = 4 where number = -3",
    ] {
        let other = if swap.contains('5') { 5 } else { 4 };
        is_bad(
            &after(swap),
            &format!("entry 3 (key.create) is out of order: it has changed places with entry {other}"),
            "entries 1 to 2 are good",
        );
    }
}

#[test]
fn a_cut_tail_is_named() {
    is_bad(
        &after("delete from audit where number > 5"),
        "the end is cut off: entry 6 is missing, and all later ones up to 7",
        "entries 1 to 5 are good",
    );
    is_bad(
        &after("delete from audit"),
        "the end is cut off: entry 1 is missing, and all later ones up to 7",
        "",
    );
}

#[test]
fn a_log_that_goes_on_behind_its_end_is_named() {
    is_bad(
        &after(
            "update authority set audit_number = 5, audit_seal = (select seal from audit where number = 5)",
        ),
        "entry 6 (key.create) lies behind the end: the last change wrote entry 5",
        "entries 1 to 5 are good",
    );
    is_bad(
        &after("update authority set audit_seal = (select seal from audit where number = 5)"),
        "entry 7 is not the end that the last change wrote",
        "entries 1 to 7 are good",
    );
}

#[test]
fn only_a_checkpoint_tells_of_a_tail_that_was_cut_with_care() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    let checkpoint = told(&site, &["checkpoint"]);
    site.execute(
        "delete from audit where number > 5;
         update authority set audit_number = 5, audit_seal = (select seal from audit where number = 5)",
    );
    is_good(&verify(&site, &[]), 5);
    let cut = "the end is cut off: entry 6 is missing, and the checkpoint's entry 7";
    is_bad(&verify(&site, &["--checkpoint", checkpoint.trim()]), cut, "entries 1 to 5 are good");
    // What came later neither fills the gap, nor does a later checkpoint hide it.
    let node = site.serve().env("HOKUSAI_AUDIT_KEY_FILE", key_file(&site)).start();
    for _ in 0..3 {
        node.create_key(10);
    }
    let file = site.directory().join("checkpoints");
    fs::write(&file, format!("{checkpoint}\n{}", told(&site, &["checkpoint"]))).unwrap();
    is_good(&verify(&site, &[]), 8);
    let ended = verify(&site, &["--checkpoint-file", file.to_str().unwrap()]);
    let other = "entry 7 (key.create) is not the one of the checkpoint: this log went another way";
    is_bad(&ended, other, "entries 1 to 7 are good");
}

#[test]
fn a_log_that_was_written_anew_without_the_key_fails_at_its_first_entry() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    site.execute("update audit set user_id = 'somebody else' where user_id = 'admin'");
    databases::seal_anew(&site.database(), &AuditKey::new("somebody's own key".repeat(2)).unwrap());
    let first = "entry 1 (token.create) does not fit: it was changed, or what came before it was taken out";
    let ended = verify(&site, &[]);
    is_bad(&ended, first, "");
    assert!(!ended.output.contains("names another audit key"), "{}", ended.output);
    site.execute("update authority set audit_key_fingerprint = x'00'");
    let ended = verify(&site, &[]);
    is_bad(&ended, first, "");
    assert!(ended.output.contains("names another audit key"), "{}", ended.output);
}

#[test]
fn a_fingerprint_that_was_replaced_is_told() {
    is_bad(
        &after("update authority set audit_key_fingerprint = x'00'"),
        "up to entry 7 all is sealed by this key, but the database names another",
        "entries 1 to 7 are good",
    );
}

#[test]
fn a_wrong_key_is_told_from_a_damaged_log() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    let wrong =
        audit(&site, &["verify"]).env("HOKUSAI_AUDIT_KEY", "not the key that it was, but long enough");
    refused(wrong, 1, "entry 1", "if this is not the key of the first start, use that one");
    let short = audit(&site, &["verify"]).env("HOKUSAI_AUDIT_KEY", "short");
    refused(short, 2, "shorter than 32 bytes", "openssl rand");
}

#[test]
fn a_log_is_good_while_the_service_writes() {
    for site in [Site::on_sqlite(), Site::on_postgres()] {
        let node = site.serve().env("HOKUSAI_AUDIT_KEY_FILE", key_file(&site)).start();
        let is_over = AtomicBool::new(false);
        let written = thread::scope(|scope| {
            let writing = scope.spawn(|| {
                let mut written = 0;
                while !is_over.load(Ordering::Relaxed) {
                    node.create_key(10);
                    written += 1;
                }
                written
            });
            for _ in 0..10 {
                let ended = verify(&site, &[]);
                assert_eq!(ended.status, Some(0), "{}", ended.output);
            }
            is_over.store(true, Ordering::Relaxed);
            writing.join().unwrap()
        });
        assert!(written > 10, "{written}");
        is_good(&verify(&site, &[]), written + 1);
        node.create_key(10);
    }
}

#[test]
fn a_long_log_is_walked_to_its_end() {
    let site = Site::on_sqlite();
    let node = site.start();
    for _ in 0..1100 {
        node.create_key(10);
    }
    is_good(&verify(&site, &[]), 1101);
    site.execute("update audit set detail = '{}' where number = 1100");
    let fault = "entry 1100 (key.create) does not fit: it was changed, or what came before it was taken out";
    is_bad(&verify(&site, &[]), fault, "entries 1 to 1099 are good");
}

#[test]
fn the_service_logs_checkpoints_that_verify_takes() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    let ended = site.start().stop();
    let line = ended.output.lines().find(|line| line.contains("\"audit checkpoint\"")).unwrap();
    let logged: serde_json::Value = serde_json::from_str(line).unwrap();
    let checkpoint = format!("{}:{}", logged["number"], logged["seal"].as_str().unwrap());
    assert_eq!((logged["level"].as_str(), &checkpoint[..2]), (Some("INFO"), "7:"));
    assert_eq!(format!("{checkpoint}\n"), told(&site, &["checkpoint"]));
    is_good(&verify(&site, &["--checkpoint", &checkpoint]), 7);
}

#[test]
fn a_checkpoint_of_no_entry_binds_nothing_and_is_checked() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    let nothing = format!("0:{}", "0".repeat(64));
    let ended = verify(&site, &["--checkpoint", &nothing]);
    is_good(&ended, 7);
    assert!(ended.output.contains("Only --checkpoint"), "{}", ended.output);
    is_bad(
        &verify(&site, &["--checkpoint", &nothing.replace(":0", ":1")]),
        "the checkpoint of no entry has not the seal with which every log begins",
        "",
    );
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    let ended = verify(&site, &["--checkpoint", "7"]);
    assert_eq!(ended.status, Some(2), "{}", ended.output);
    assert!(ended.output.contains("a checkpoint is NUMBER:SEAL"), "{}", ended.output);
    let file = site.directory().join("checkpoints");
    let from_file = || audit(&site, &["verify", "--checkpoint-file", "checkpoints"]);
    refused_without_hint(&from_file().run(), "can't read checkpoints");
    fs::write(&file, "\n").unwrap();
    refused(from_file(), 2, "there is no checkpoint in checkpoints", "`hokusai audit checkpoint` prints");
    fs::write(&file, format!("{}\n7:seven\n", told(&site, &["checkpoint"]))).unwrap();
    refused(from_file(), 2, "checkpoints, line 3: a checkpoint is", "`hokusai audit checkpoint` prints");
}

fn refused_without_hint(ended: &Ended, error: &str) {
    assert_eq!(ended.status, Some(1), "{}", ended.output);
    assert!(ended.output.contains(error), "{}", ended.output);
}
