//! Limits over several nodes of one PostgreSQL: never more than the limit, and never less.

use std::time::Duration;

use crate::clock::{eventually, figure, now};
use crate::site::Site;
use crate::tally::{at_once, gather, in_one_hour, one_by_one, until_dry};

#[test]
fn of_forty_requests_at_once_over_two_nodes_exactly_ten_pass_a_limit_of_ten() {
    let site = Site::on_postgres();
    let (one, other) = (site.start(), site.start());
    for _ in 0..5 {
        let tally = in_one_hour(|| at_once(&[one.address, other.address], &one.create_key(10), 40));
        assert_eq!((tally.admitted(), tally.limited), (10, 30));
    }
}

#[test]
fn units_that_sleep_on_one_node_are_not_missing_on_the_other() {
    let site = Site::on_postgres();
    let (one, other) = (site.start(), site.start());
    let tally = in_one_hour(|| {
        let key = one.create_key(1000);
        let mut tally = one_by_one(one.address, &key, 300);
        tally.add(until_dry(&[other.address], &key, 4));
        tally
    });
    assert_eq!(tally.admitted(), 1000);
}

#[test]
fn a_node_that_is_asked_to_stop_gives_its_units_back() {
    let site = Site::on_postgres();
    let other = site.start();
    let tally = in_one_hour(|| {
        let one = site.start();
        let key = one.create_key(1000);
        let mut tally = one_by_one(one.address, &key, 300);
        let stopping = now();
        let ended = one.stop();
        figure(&format!("a node stopped in {:?}", stopping.elapsed()));
        assert_eq!(ended.status, Some(0));
        // Without a living holder that could give back, the first answer is the last word.
        let drained = gather(1, |_, tally| {
            while tally.limited == 0 {
                tally.count(&other.validate(&key));
            }
        });
        tally.add(drained);
        tally
    });
    assert_eq!(tally.admitted(), 1000);
}

#[test]
fn a_changed_limit_holds_on_every_node() {
    let site = Site::on_postgres();
    let (one, other) = (site.start(), site.start());
    let tally = in_one_hour(|| {
        let key = one.create_key(1000);
        let mut tally = at_once(&[one.address, other.address], &key, 100);
        let path = format!("/api/v1/keys/{}", key.id);
        one.as_operator("PATCH", &path, &serde_json::json!({"rate_limit_per_hour": 200})).expect(200);
        eventually(Duration::from_secs(5), "the new limit", || {
            let answer = other.validate(&key);
            tally.count(&answer);
            (answer.header("x-ratelimit-limit") == Some("200")).then_some(())
        });
        tally.add(until_dry(&[one.address, other.address], &key, 4));
        tally
    });
    assert_eq!(tally.admitted(), 200);
}
