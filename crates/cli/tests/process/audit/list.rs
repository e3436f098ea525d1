//! `hokusai audit list`.

use serde_json::Value;

use super::{audit, seven_entries, told};
use crate::clock::eventually;
use crate::http::Request;
use crate::site::Site;

fn listed(site: &Site, args: &[&str]) -> Vec<Value> {
    let text = told(site, &[&["list", "--format", "json"], args].concat());
    serde_json::from_str(&text).unwrap()
}

fn numbers(site: &Site, args: &[&str]) -> Vec<i64> {
    listed(site, args).iter().map(|entry| entry["number"].as_i64().unwrap()).collect()
}

#[test]
fn a_table_shows_the_newest_first() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    let table = told(&site, &["list", "--limit", "2"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 3, "{table}");
    assert_eq!(rows[0], ["NUMBER", "WHEN", "USER", "ACTION", "TARGET", "FROM"]);
    let [number, _, _, user, action, target, from] = rows[1][..] else { panic!("{table}") };
    assert_eq!((number, user, action, from), ("7", "admin", "key.revoke", "127.0.0.1"));
    assert_eq!(target.len(), 36);
    assert_eq!(rows[2][0], "6");
}

#[test]
fn entries_are_found_on_both_databases() {
    for site in [Site::on_sqlite(), Site::on_postgres()] {
        seven_entries(&site);
        let revoked = listed(&site, &["--action", "key.revoke"]);
        let target = revoked[0]["target"].as_str().unwrap().to_owned();
        assert_eq!(numbers(&site, &[]), [7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(numbers(&site, &["--target", &target]), [7, 2]);
        assert_eq!(numbers(&site, &["--user", "system"]), [1]);
        assert_eq!(numbers(&site, &["--address", "127.0.0.1", "--limit", "1"]), [7]);
        assert_eq!(numbers(&site, &["--since", "2999-01-01T00:00:00Z"]), [0; 0]);
        assert_eq!(numbers(&site, &["--until", "2999-01-01T00:00:00Z", "--action", "token.create"]), [1]);
    }
}

#[test]
fn nothing_to_list_is_told_to_people_and_is_an_empty_array_to_programs() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    assert_eq!(told(&site, &["list", "--user", "nobody", "--format", "json"]), "[]\n");
    let ended = audit(&site, &["list", "--user", "nobody"]).run_apart();
    assert_eq!((ended.stdout.as_slice(), ended.status.code()), (&b""[..], Some(0)));
    assert_eq!(ended.stderr, b"There are no such entries.\n");
}

#[test]
fn refused_calls_are_shown_while_the_service_runs() {
    let site = Site::on_sqlite();
    let node = site.start();
    for _ in 0..3 {
        assert_eq!(node.send(Request::new("GET", "/api/v1/keys").bearer("hka_nobody")).status, 401);
    }
    let count = |sums: &[Value]| sums.iter().map(|sum| sum["count"].as_i64().unwrap()).sum::<i64>();
    eventually(std::time::Duration::from_secs(20), "the sum", || {
        (count(&listed(&site, &["--refused"])) == 3).then_some(())
    });
    assert_eq!(count(&listed(&site, &["--refused", "--address", "127.0.0.1"])), 3);
    assert_eq!(count(&listed(&site, &["--refused", "--address", "other"])), 0);
    let table = told(&site, &["list", "--refused"]);
    assert!(table.starts_with("MINUTE") && table.contains("127.0.0.1  invalid_admin_token"), "{table}");
}

#[test]
fn refused_calls_of_an_ipv6_network_are_found_by_any_of_its_addresses() {
    let site = Site::on_sqlite();
    seven_entries(&site);
    site.execute("insert into refused_calls values (60000000, '2001:db8:1:2::', 'forbidden', 5)");
    let count = |address| listed(&site, &["--refused", "--address", address]).len();
    assert_eq!(["2001:db8:1:2::", "2001:db8:1:2:3:4:5:6", "2001:db8:1:3::"].map(count), [1, 1, 0]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let site = Site::on_sqlite();
    for (args, error) in [
        (&["list", "--refused", "--user", "ada"][..], "cannot be used with"),
        (&["list", "--limit", "0"], "0 is not in 1..=1000"),
        (&["list", "--since", "yesterday"], "must be an RFC 3339 time with zone"),
        (&["list", "--address", "here"], "must be an IP address"),
    ] {
        let ended = audit(&site, args).run();
        assert_eq!(ended.status, Some(2), "{}", ended.output);
        assert!(ended.output.contains(error), "{}", ended.output);
    }
}
