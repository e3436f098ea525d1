//! The protocols of limits, revocation and outages, run through mishaps.
//!
//! One seed makes one history: of nodes, verifiers and keys, with crashes, sleeping machines, cut networks,
//! lost, late and doubled messages, clocks that are set, changed limits, rotations and revocations. The
//! verifiers are the real state machines of `hokusai_core`; the nodes and the store are models of the real
//! ones. After every step the promises are checked. The same seed gives the same history again, to the last
//! event.

mod admin;
mod checks;
mod mishaps;
mod node;
mod store;
mod verifier;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use hokusai_core::time::{HOUR, SECOND};

pub use checks::Counts;

use world::{Instant, World};

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed that repeats it.
    pub seed: u64,
    /// How many events there were.
    pub events: u64,
    /// What happened, in numbers.
    pub counts: Counts,
    /// Transactions of the store.
    pub statements: u64,
    /// The promise that was broken, and what happened just before.
    pub violation: Option<(String, Vec<String>)>,
}

/// Runs `runs` seeds from `first` on, as many at once as there are cores; not many more after one that broke
/// a promise.
///
/// # Panics
/// If a run does: then the simulator itself is wrong.
#[must_use]
pub fn run_many(first: u64, runs: u64, hours: u32) -> Vec<Report> {
    let next = AtomicU64::new(0);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let work = || {
        let mut reports = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= runs {
                return reports;
            }
            let report = run(first.wrapping_add(index), hours);
            if report.violation.is_some() {
                next.store(runs, Ordering::Relaxed);
            }
            reports.push(report);
        }
    };
    let mut reports: Vec<Report> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run does not panic")).collect()
    });
    reports.sort_by_key(|report| report.seed);
    reports
}

/// Lets so many hours pass in the world of this seed.
#[must_use]
pub fn run(seed: u64, hours: u32) -> Report {
    // A Wednesday, a few minutes before the hour.
    let start = Instant(1_764_057_300 * SECOND);
    let mut world = World::new(seed, start);
    let end = Instant(start.0 + i64::from(hours) * HOUR);
    world.calm_from = Instant(end.0 - 2 * HOUR - HOUR / 4);
    for index in 0..2 {
        let holder = world.new_holder();
        let (offset, forgets) = (world.between(0, HOUR), node::draw_forgets(&mut world));
        world.nodes.push(node::Node::new(holder, offset, 0, forgets));
        node::start(&mut world, index);
    }
    for gate in 0..3 {
        let process = verifier::new(&mut world, 0, std::collections::BTreeMap::new());
        world.gates.push(process);
        verifier::start(&mut world, gate);
    }
    admin::start(&mut world);
    mishaps::start(&mut world);
    world.run_until(end);
    world.settle_all();
    let violation =
        world.checks.violation.clone().map(|what| (what, world.history().cloned().collect::<Vec<_>>()));
    Report {
        seed,
        events: world.checks.events,
        counts: world.checks.counts,
        statements: world.store.statements,
        violation,
    }
}

impl World {
    /// All has come to rest: what was lent must be known.
    fn settle_all(&mut self) {
        let debts = std::mem::take(&mut self.store.debts);
        self.checks.settled(|id| {
            let of_account = debts.get(&(id.hour, id.account));
            of_account.and_then(|of_account| of_account.get(&id.debtor)).copied().unwrap_or(0)
        });
    }
}
