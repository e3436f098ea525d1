//! A disk that takes nothing: the service says 503, and recovers by itself.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::clock::eventually;
use crate::http::Request;
use crate::program::{Process, Program};
use crate::site::{OPERATOR, Site};
use crate::startup::refused;

const A_WHILE: Duration = Duration::from_secs(15);

/// The system lets no file of the process grow, which is what a full disk is to it.
#[test]
fn a_full_disk_gives_503_and_room_ends_it() {
    let site = Site::on_sqlite();
    // Without the signal, a write past the bound is an error like any other.
    let node = Program::other("sh", site.directory())
        .args(["-c", "trap '' XFSZ; exec \"$0\" serve", env!("CARGO_BIN_EXE_hokusai")])
        .env("HOKUSAI_LISTEN", "127.0.0.1:0")
        .env("HOKUSAI_DATABASE", site.database())
        .env("HOKUSAI_LOG_FORMAT", "json")
        .env("HOKUSAI_BOOTSTRAP_ADMIN_TOKEN", OPERATOR)
        .start();
    let (key, other) = (node.create_key(1000), node.create_key(1000));
    node.validate(&key).expect(200);

    bound_files(&node, Some(1));
    let refused = node.as_operator("POST", "/api/v1/keys", &json!({"name": "too much"}));
    assert_eq!((refused.status, refused.code()), (503, "store_unavailable"));
    let unspent = node.validate(&other);
    assert_eq!((unspent.status, unspent.code()), (503, "store_unavailable"));
    node.send(Request::new("GET", "/health")).expect(200);

    bound_files(&node, None);
    eventually(A_WHILE, "recovery", || (node.validate(&other).status == 200).then_some(()));
    let listed = node.send(Request::new("GET", "/api/v1/keys").bearer(OPERATOR)).expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 2, "what was refused is not there");
    let newest = node.create_key(1000);
    node.validate(&newest).expect(200);
    assert_eq!(node.stop().status, Some(0));
    let again = site.start();
    again.validate(&newest).expect(200);
}

#[test]
fn a_database_file_that_was_moved_away_gives_503_until_it_is_back() {
    let site = Site::on_sqlite();
    let node = site.start();
    let key = node.create_key(1000);
    node.validate(&key).expect(200);
    let (file, away) = (site.directory().join("hokusai.db"), site.directory().join("elsewhere.db"));
    fs::rename(&file, &away).unwrap();
    let refused = node.as_operator("POST", "/api/v1/keys", &json!({"name": "nowhere"}));
    assert_eq!((refused.status, refused.code()), (503, "store_unavailable"));
    fs::rename(&away, &file).unwrap();
    eventually(A_WHILE, "recovery", || (node.validate(&key).status == 200).then_some(()));
    node.create_key(1000);
}

#[test]
fn a_place_that_takes_no_files_is_refused_at_the_start() {
    let site = Site::on_sqlite();
    let nowhere = || site.serve().env("HOKUSAI_DATABASE", "sqlite:///proc/hokusai.db");
    refused(nowhere(), 1, "can't write /proc/hokusai.audit-key", "--audit-key-file");
    let with_key = nowhere().env("HOKUSAI_AUDIT_KEY", "a key that is long enough to be one of those");
    refused(with_key, 1, "can't use /proc/hokusai.db", "can be written to");
}

fn bound_files(node: &Process, most: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(node.id()).unwrap());
    let bound = Rlimit { current: most, maximum: None };
    prlimit(pid, Resource::Fsize, bound).unwrap();
}
