//! `kill -9` under reports of usage: what was answered with 200 counts once.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::clock::{figure, now};
use crate::program::Process;
use crate::site::Site;
use crate::usage_ledger::Ledger;
use crate::usage_load::under_load;
use crate::usage_reports::{FIXED_LIMIT, Keys, serve};

const CRASHES: usize = 50;
/// The longest that a node lives, in milliseconds.
const LIVES_FOR: u64 = 400;

#[test]
fn what_was_answered_counts_once_after_fifty_crashes_on_sqlite() {
    crash_again_and_again("SQLite", &Site::on_sqlite(), 1);
}

#[test]
fn what_was_answered_counts_once_after_fifty_crashes_of_two_nodes_of_postgres() {
    crash_again_and_again("PostgreSQL", &Site::on_postgres(), 2);
}

fn crash_again_and_again(name: &str, site: &Site, nodes: usize) {
    let (began, seed) = (now(), rand::random());
    let mut rng = StdRng::seed_from_u64(seed);
    let mut running: Vec<Process> = (0..nodes).map(|_| serve(site).start()).collect();
    let keys = Keys::create(&running[0]);
    let book = under_load(&keys, addresses(&running), seed, |load| {
        for crash in 1..=CRASHES {
            thread::sleep(Duration::from_millis(rng.random_range(0..LIVES_FOR)));
            load.trouble.store(crash, Ordering::Relaxed);
            running.swap_remove(rng.random_range(0..running.len())).kill();
            running.push(serve(site).start());
            load.report_to(addresses(&running));
        }
    });
    for node in running {
        assert_eq!(node.stop().status, Some(0));
    }
    let hits = book.batches_cut_by.len();
    figure(&format!(
        "{name}: {CRASHES} crashes in {:?}, {hits} amid batches; {}",
        began.elapsed(),
        book.figures()
    ));
    let ledger = Ledger::of(site);
    ledger.assert_holds(&book.taken);
    let billed = ledger.predictions_by_month(keys.fixed_id());
    assert!(billed.iter().all(|predictions| *predictions <= FIXED_LIMIT), "{billed:?} of {FIXED_LIMIT}");
    assert!(book.taken.len() > 5000, "so few records prove little: {}", book.taken.len());
    assert!(hits > CRASHES / 2, "batches were under way at {hits} of {CRASHES} crashes only");
    assert!(book.refused > 0, "no debit was refused");
}

fn addresses(nodes: &[Process]) -> Vec<SocketAddr> {
    nodes.iter().map(|node| node.address).collect()
}
