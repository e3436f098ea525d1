//! Reports of usage while the database is away or the disk is full: 503 in time, and each counts once
//! afterwards.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::clock::{eventually, figure, now};
use crate::databases;
use crate::http::Request;
use crate::program::{Process, Program};
use crate::proxy::{Line, Proxy};
use crate::site::{OPERATOR, Site};
use crate::usage_ledger::Ledger;
use crate::usage_load::{ANSWERS_WITHIN, Book, Load, under_load};
use crate::usage_reports::{Keys, serve};

/// How soon reports are taken again.
const RECOVERS_WITHIN: Duration = Duration::from_secs(15);
const TERMINATIONS: usize = 20;
/// Of the connections of services to this database; the tests' own have no name.
const TERMINATE: &str = "select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'hokusai'";

#[test]
fn reports_get_503_in_time_while_the_database_is_away_and_count_once_afterwards() {
    let site = Site::on_postgres();
    let server = databases::server();
    let place = format!("{}:{}", server.get_host(), server.get_port());
    let proxy = Proxy::to(place.parse().unwrap());
    let url = site.database().replace(&place, &proxy.address.to_string());
    let node = serve(&site).env("HOKUSAI_DATABASE", url).start();
    let keys = Keys::create(&node);
    let book = under_load(&keys, vec![node.address], rand::random(), |load| {
        for line in [Line::Refused, Line::Dead, Line::Refused, Line::Dead] {
            some_are_answered(load);
            proxy.set(line);
            // Longer than a node vouches for what it knows.
            thread::sleep(Duration::from_secs(6));
            node.send(Request::new("GET", "/health")).expect(200);
            proxy.set(Line::Whole);
            let mended = now();
            some_are_answered(load);
            figure(&format!("{line:?} line: reports are taken again after {:?}", mended.elapsed()));
        }
    });
    all_count_once("an outage", &site, node, &book);
    assert!(book.put_off > 0, "no report met an outage");
}

#[test]
fn reports_count_once_though_connections_are_terminated() {
    let site = Site::on_postgres();
    let node = serve(&site).start();
    let keys = Keys::create(&node);
    let book = under_load(&keys, vec![node.address], rand::random(), |load| {
        for _ in 0..TERMINATIONS {
            some_are_answered(load);
            site.execute(TERMINATE);
        }
        some_are_answered(load);
    });
    all_count_once("terminated connections", &site, node, &book);
    assert!(book.put_off > 0, "no report was under way at any termination");
}

#[test]
fn reports_get_503_while_the_disk_is_full_and_count_once_afterwards() {
    let site = Site::on_sqlite();
    let node = bounded(&site);
    let keys = Keys::create(&node);
    let book = under_load(&keys, vec![node.address], rand::random(), |load| {
        for bound in [1, 300_000, 1, 1_000_000] {
            some_are_answered(load);
            bound_files(&node, Some(bound));
            thread::sleep(Duration::from_secs(2));
            node.send(Request::new("GET", "/health")).expect(200);
            bound_files(&node, None);
            let room = now();
            some_are_answered(load);
            figure(&format!("files of {bound} bytes: reports are taken again after {:?}", room.elapsed()));
        }
    });
    all_count_once("a full disk", &site, node, &book);
    assert!(book.put_off > 0, "no report met a full disk");
}

/// A batch that fits in no more than half counts for nothing, until there is room for all of it.
#[test]
fn a_batch_that_the_disk_has_no_room_for_leaves_nothing_behind() {
    let site = Site::on_sqlite();
    let node = bounded(&site);
    let keys = Keys::create(&node);
    let report = keys.batch("large", 5000, &mut StdRng::seed_from_u64(1));
    bound_files(&node, Some(600_000));
    for _ in 0..3 {
        let asked = now();
        let refused = report.request().send(node.address);
        assert_eq!((refused.status, refused.code()), (503, "store_unavailable"));
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert!(asked.elapsed() < ANSWERS_WITHIN, "the answer took {:?}", asked.elapsed());
    }
    Ledger::of(&site).assert_holds(&[].into());
    bound_files(&node, None);
    let told = eventually(RECOVERS_WITHIN, "recovery", || {
        let answer = report.request().send(node.address);
        (answer.status == 200).then_some(answer.body)
    });
    assert_eq!((&told["recorded"], &told["duplicates"]), (&5000.into(), &0.into()));
    let again = report.request().send(node.address).expect(200);
    assert_eq!((&again["recorded"], &again["duplicates"]), (&0.into(), &5000.into()));
    Ledger::of(&site).assert_holds(&report.records.into_iter().collect());
}

/// The node is fine in the end, and what it answered with 200 is what the database holds.
fn all_count_once(trouble: &str, site: &Site, node: Process, book: &Book) {
    figure(&format!("{trouble}: {}", book.figures()));
    assert_eq!(node.stop().status, Some(0));
    Ledger::of(site).assert_holds(&book.taken);
    assert!(book.taken.len() > 1000, "so few records prove little: {}", book.taken.len());
    assert_eq!(book.cut_off, 0, "every report is answered");
    assert!(book.longest < ANSWERS_WITHIN, "an answer took {:?}", book.longest);
}

/// Waits until some more reports were answered with 200, each from its beginning.
fn some_are_answered(load: &Load<'_>) {
    let wanted = load.answered.load(Ordering::Relaxed) + 20;
    eventually(RECOVERS_WITHIN, "that reports are taken", || {
        (load.answered.load(Ordering::Relaxed) >= wanted).then_some(())
    });
}

/// A service whose files can be bounded: without the signal, a write past the bound is an error like any
/// other.
fn bounded(site: &Site) -> Process {
    Program::other("sh", site.directory())
        .args(["-c", "trap '' XFSZ; exec \"$0\" serve", env!("CARGO_BIN_EXE_hokusai")])
        .env("HOKUSAI_LISTEN", "127.0.0.1:0")
        .env("HOKUSAI_DATABASE", site.database())
        .env("HOKUSAI_LOG_FORMAT", "json")
        .env("HOKUSAI_BILLING_PLANS", "free=0.001,fixed")
        .env("HOKUSAI_BOOTSTRAP_ADMIN_TOKEN", OPERATOR)
        .start()
}

fn bound_files(node: &Process, most: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(node.id()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: most, maximum: None }).unwrap();
}
