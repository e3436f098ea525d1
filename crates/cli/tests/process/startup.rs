//! What is looked at before anything is served.

use std::fs;
use std::thread;

use crate::program::{Ended, Program};
use crate::site::Site;

#[test]
fn a_second_process_on_one_sqlite_file_is_refused() {
    let site = Site::on_sqlite();
    let node = site.start();
    refused(site.serve(), 1, "another process is using", "stop the other process first");
    let listing = Program::hokusai(site.directory()).args(["admin-token", "list", "--database"]);
    refused(listing.args([site.database()]), 1, "another process is using", "stop the other process first");
    let key = node.create_key(10);
    node.validate(&key).expect(200);
    node.kill();
    site.start().validate(&key).expect(200);
}

#[test]
fn nodes_that_start_at_once_on_an_empty_postgres_all_come_up() {
    for _ in 0..3 {
        let site = Site::on_postgres();
        let nodes: Vec<_> = thread::scope(|scope| {
            let starting: Vec<_> = (0..3).map(|_| scope.spawn(|| site.start())).collect();
            starting.into_iter().map(|node| node.join().unwrap()).collect()
        });
        let key = nodes[0].create_key(10);
        for node in &nodes {
            node.validate(&key).expect(200);
        }
    }
}

#[test]
fn a_newer_schema_is_refused_on_sqlite() {
    newer_schema_is_refused(&Site::on_sqlite());
}

#[test]
fn a_newer_schema_is_refused_on_postgres() {
    newer_schema_is_refused(&Site::on_postgres());
}

fn newer_schema_is_refused(site: &Site) {
    migrate(site);
    site.execute(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         select 9999, 'from the future', success, checksum, execution_time from _sqlx_migrations
         where version = 1",
    );
    refused(site.serve(), 1, "schema 9999, which is newer", "run the newer version");
}

#[test]
fn another_audit_key_is_refused() {
    for site in [Site::on_sqlite(), Site::on_postgres()] {
        migrate(&site);
        let other = site.serve().env("HOKUSAI_AUDIT_KEY", "another key that is long enough to be one");
        refused(other, 1, "audit key is not the one", "use the audit key of the first start");
        assert_eq!(site.start().stop().status, Some(0));
    }
}

#[test]
fn migrating_twice_changes_nothing() {
    for site in [Site::on_sqlite(), Site::on_postgres()] {
        migrate(&site);
        migrate(&site);
    }
}

#[test]
fn plain_text_on_an_open_address_needs_a_word() {
    let site = Site::on_sqlite();
    let open = || site.serve().args(["--listen", "0.0.0.0:0"]);
    refused(open(), 2, "plain text on 0.0.0.0:0", "--behind-tls-proxy");
    let node = open().args(["--behind-tls-proxy"]).start();
    assert!(node.address.ip().is_unspecified());
    assert_eq!(node.stop().status, Some(0));
}

#[test]
fn a_taken_port_is_named() {
    let (site, other) = (Site::on_sqlite(), Site::on_sqlite());
    let node = site.start();
    let taken = node.address.to_string();
    refused(other.serve().args(["--listen", &taken]), 1, &taken, "choose one with --listen");
}

#[test]
fn a_database_that_is_not_there_is_named_without_its_password() {
    let site = Site::on_sqlite();
    let nowhere = "postgres://somebody:hunter2hunter2@127.0.0.1:1/nothing";
    let ended = site.serve().env("HOKUSAI_DATABASE", nowhere).run();
    assert_eq!(ended.status, Some(1));
    assert!(ended.output.contains("the database can't be opened"), "{ended:?}");
    assert!(!ended.output.contains("hunter2"), "{ended:?}");
    refused(site.serve().env("HOKUSAI_DATABASE", "mysql://x/y"), 1, "neither sqlite://", "--database takes");
}

#[test]
fn files_that_belong_to_the_database_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::on_sqlite();
    let node = site.start();
    node.create_key(10);
    for entry in fs::read_dir(site.directory()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

fn migrate(site: &Site) {
    let ended = Program::hokusai(site.directory()).args(["migrate", "--database", &site.database()]).run();
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

/// The program ends with this status, says what is wrong and what to do.
pub(crate) fn refused(program: Program, status: i32, error: &str, hint: &str) -> Ended {
    let ended = program.run();
    assert_eq!(ended.status, Some(status), "{}", ended.output);
    let line = |start: &str, text: &str| {
        ended.output.lines().any(|line| line.starts_with(start) && line.contains(text))
    };
    assert!(line("error: ", error), "no error says {error:?}: {}", ended.output);
    assert!(line("hint: ", hint), "no hint says {hint:?}: {}", ended.output);
    ended
}
