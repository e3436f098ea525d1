//! A key revoked at one node is refused at the other.

use std::time::Duration;

use serde_json::json;

use crate::clock::{eventually, figure, now, percentiles};
use crate::http::Answer;
use crate::program::Process;
use crate::site::{NewKey, OPERATOR, Site, validation};

const REVOCATIONS: usize = 100;

#[test]
fn a_revoked_key_is_refused_at_the_other_node_within_a_second() {
    let site = Site::on_postgres();
    revoke_again_and_again("with LISTEN", &site.start(), &site.start());
}

#[test]
fn a_revoked_key_is_refused_within_a_second_by_a_node_that_only_polls() {
    let site = Site::on_postgres();
    let polling = || site.serve().args(["--database-listen", "false"]).start();
    revoke_again_and_again("polling", &polling(), &polling());
}

#[test]
fn a_node_that_is_asleep_while_a_key_is_revoked_refuses_it_when_it_wakes() {
    use rustix::process::{Pid, Signal, kill_process};
    let site = Site::on_postgres();
    let (one, sleeper) = (site.start(), site.start());
    let key = one.create_key(100_000);
    // It holds the key and units of it when it falls asleep.
    for _ in 0..100 {
        sleeper.validate(&key).expect(200);
    }
    let pid = Pid::from_raw(i32::try_from(sleeper.id()).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    one.revoke(&key);
    std::thread::sleep(Duration::from_secs(6));
    kill_process(pid, Signal::CONT).unwrap();
    for _ in 0..20 {
        assert_eq!(sleeper.validate(&key).status, 401);
    }
}

/// Spends nothing, and so asks the store about nothing: what refuses the key is the feed of changes alone.
fn look(node: &Process, key: &NewKey) -> Answer {
    node.send(validation(key).header("X-Hokusai-Service-Token", OPERATOR).json(&json!({"dry_run": true})))
}

fn revoke_again_and_again(how: &str, one: &Process, other: &Process) {
    let mut delays = Vec::new();
    for _ in 0..REVOCATIONS {
        let key = one.create_key(100_000);
        other.validate(&key).expect(200);
        look(other, &key).expect(200);
        one.revoke(&key);
        let revoked = now();
        let refused = eventually(Duration::from_secs(5), "the refusal", || {
            let answer = look(other, &key);
            (answer.status != 200).then_some(answer)
        });
        delays.push(revoked.elapsed());
        assert_eq!((refused.status, refused.code()), (401, "revoked"));
        assert_eq!(other.validate(&key).status, 401);
        assert_eq!(one.validate(&key).status, 401);
    }
    let (median, p99, most) = percentiles(delays);
    figure(&format!("revoked there, refused here, {how}: median {median:?}, p99 {p99:?}, most {most:?}"));
    assert!(p99 < Duration::from_secs(1), "the 99th percentile is {p99:?}");
}
