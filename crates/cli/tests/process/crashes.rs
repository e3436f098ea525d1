//! `kill -9` in the middle of it: never more than the limit in an hour.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::clock::figure;
use crate::program::Process;
use crate::site::{NewKey, Site, validation};
use crate::tally::{Tally, gather, until_dry};

const CRASHES: usize = 20;
const THREADS: usize = 4;
/// Set to repeat the moments of an earlier run.
const SEED: &str = "HOKUSAI_TEST_SEED";

#[test]
fn crashes_never_admit_more_than_the_limit_on_sqlite() {
    crash_again_and_again("SQLite", &Site::on_sqlite(), 1);
}

#[test]
fn crashes_never_admit_more_than_the_limit_on_two_nodes_of_postgres() {
    crash_again_and_again("PostgreSQL", &Site::on_postgres(), 2);
}

fn crash_again_and_again(name: &str, site: &Site, nodes: usize) {
    let seed = seed();
    figure(&format!("{name}: crashes at the moments of {SEED}={seed}"));
    let mut rng = StdRng::seed_from_u64(seed);
    let mut running: Vec<Process> = (0..nodes).map(|_| site.start()).collect();
    let (mut admitted, mut promised) = (0, 0);
    for _ in 0..CRASHES {
        let limit = [10, 100, 400][rng.random_range(0..3)];
        let key = running[0].create_key(limit);
        let mut tally = interrupted(&mut running, &key, &mut rng, limit);
        running.push(site.start());
        let addresses: Vec<SocketAddr> = running.iter().map(|node| node.address).collect();
        tally.add(until_dry(&addresses, &key, THREADS));
        assert!(tally.most_in_an_hour() <= limit, "seed {seed}, limit {limit}: {tally:?}");
        if tally.is_of_one_hour() {
            // What the dead node held is lost: a share of the limit, and what was on the way.
            let lost = limit - tally.admitted();
            assert!(lost <= limit / 20 + 2 * THREADS as u32, "seed {seed}, limit {limit}: {tally:?}");
            (admitted, promised) = (admitted + tally.admitted(), promised + limit);
        }
    }
    figure(&format!("{name}: {CRASHES} crashes; {admitted} of {promised} units were seen to be used"));
}

/// Validates from several threads, and kills a node after a random number of admissions and a moment more.
fn interrupted(running: &mut Vec<Process>, key: &NewKey, rng: &mut StdRng, limit: u32) -> Tally {
    let addresses: Vec<SocketAddr> = running.iter().map(|node| node.address).collect();
    let victim = running.swap_remove(rng.random_range(0..running.len()));
    let after = rng.random_range(0..limit);
    let moment = Duration::from_micros(rng.random_range(0..3000));
    let admitted = AtomicU32::new(0);
    let mut victim = Some(victim);
    let mut sum = Tally::default();
    std::thread::scope(|scope| {
        let hammering = scope.spawn(|| {
            gather(THREADS, |number, tally| {
                while tally.limited == 0 && tally.lost == 0 {
                    match validation(key).try_send(addresses[number % addresses.len()]) {
                        Ok(answer) => {
                            tally.count(&answer);
                            admitted.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(_) => tally.lost += 1,
                    }
                }
            })
        });
        while admitted.load(Ordering::Relaxed) < after && !hammering.is_finished() {
            std::thread::yield_now();
        }
        std::thread::sleep(moment);
        victim.take().expect("only one is killed").kill();
        sum = hammering.join().unwrap();
    });
    sum
}

fn seed() -> u64 {
    match std::env::var_os(SEED) {
        Some(seed) => seed.to_str().and_then(|seed| seed.parse().ok()).expect("a seed is a number"),
        None => rand::random(),
    }
}
