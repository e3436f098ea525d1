//! Reading the log takes nothing, makes nothing, and says what it misses.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::{audit, key_file, seven_entries, told};
use crate::program::Program;
use crate::site::Site;
use crate::startup::refused;

fn files(site: &Site) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(site.directory()).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn reading_changes_no_file() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    let before = files(&site);
    for args in [&["list"][..], &["list", "--refused"], &["verify"], &["export"], &["checkpoint"]] {
        told(&site, args);
        assert!(files(&site) == before, "{args:?} leaves something behind");
    }
}

#[test]
fn a_missing_audit_key_is_not_made() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    fs::remove_file(key_file(&site)).unwrap();
    refused(audit(&site, &["verify"]), 1, "there is no audit key in", "--audit-key-file");
    assert!(!key_file(&site).exists());
    // Whoever does not verify needs no key.
    assert!(told(&site, &["checkpoint"]).starts_with("7:"));
}

#[test]
fn a_missing_database_is_not_made() {
    let site = Site::on_sqlite();
    for args in [&["list"][..], &["export"], &["checkpoint"]] {
        refused(audit(&site, args), 1, "there is no database at", "--database names");
    }
    assert!(files(&site).is_empty());
}

#[test]
fn a_schema_of_another_version_is_refused() {
    for site in [Site::on_sqlite(), Site::on_postgres()] {
        seven_entries(&site);
        site.execute("delete from _sqlx_migrations where version > 5");
        refused(audit(&site, &["list"]), 1, "schema 5, which is older", "hokusai migrate");
        site.execute(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             select 9999, 'from the future', success, checksum, execution_time from _sqlx_migrations
             where version = 1",
        );
        refused(audit(&site, &["list"]), 1, "schema 9999, which is newer", "run the newer version");
    }
}

#[test]
fn settings_come_from_a_file_as_for_the_service() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    fs::write(site.directory().join("hokusai.toml"), format!("database = \"{}\"", site.database())).unwrap();
    let verify = Program::hokusai(site.directory()).args(["audit", "verify", "--config", "hokusai.toml"]);
    assert_eq!(verify.run().status, Some(0));
}
