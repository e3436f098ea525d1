//! Settings of usage and billing: plans with their prices, who may report, how long records are kept.

use std::fs;

use serde_json::{Value, json};

use crate::http::{Answer, Request};
use crate::program::{Process, Program};
use crate::site::{NewKey, Site, text_of};
use crate::startup::refused;

#[test]
fn the_price_of_a_plan_comes_from_the_flag_the_variable_the_file_or_the_default() {
    let site = Site::on_sqlite();
    let file = site.directory().join("hokusai.toml");
    fs::write(&file, "billing_plans = [\"free=0.5\", \"from-file\"]\n").unwrap();
    let with_file = || site.serve().args(["--config".as_ref(), file.as_os_str()]);
    let with_variable = || with_file().env("HOKUSAI_BILLING_PLANS", "free=0.25,from-variable");
    let with_flag = || with_variable().args(["--billing-plans", "free=0.125,from-flag=1000"]);
    assert_eq!(plans_and_price(site.serve()), (json!(["free"]), json!(0.001)));
    assert_eq!(plans_and_price(with_file()), (json!(["free", "from-file"]), json!(0.5)));
    assert_eq!(plans_and_price(with_variable()), (json!(["free", "from-variable"]), json!(0.25)));
    assert_eq!(plans_and_price(with_flag()), (json!(["free", "from-flag"]), json!(0.125)));
}

#[test]
fn the_first_plan_is_that_of_keys_that_name_none() {
    let site = Site::on_sqlite();
    let node = site.serve().args(["--billing-plans", "pro=0.02,free"]).start();
    let key = node.create_key(100);
    assert_eq!(bill(&node, &key)["billing_plan"], "pro");
    let wish = json!({"name": "another", "billing_plan": "gone"});
    assert_eq!(node.as_operator("POST", "/api/v1/keys", &wish).status, 422);
}

#[test]
fn plans_that_can_not_be_read_are_refused_wherever_they_stand() {
    let site = Site::on_sqlite();
    let dollars = "must be dollars with at most 6 digits behind the point";
    for (plans, why) in [
        ("free=cheap", dollars),
        ("free=-1", dollars),
        ("free=", dollars),
        ("free=1e3", dollars),
        ("free=0.0000001", dollars),
        ("free=1000.01", "1000.000000 dollars at the most"),
        ("=0.1", "its name must be 1 to 64 of"),
        ("fr ee", "its name must be 1 to 64 of"),
        ("free,pro=0.1,free=0.2", "free=0.2: there is another plan of this name"),
    ] {
        refuses_plans(site.serve().args(["--billing-plans", plans]), why);
        refuses_plans(site.serve().env("HOKUSAI_BILLING_PLANS", plans), why);
        let file = site.directory().join("hokusai.toml");
        let listed: Vec<&str> = plans.split(',').collect();
        fs::write(&file, format!("billing_plans = {listed:?}\n")).unwrap();
        refuses_plans(site.serve().env("HOKUSAI_CONFIG", &file), why);
    }
}

fn refuses_plans(serve: Program, why: &str) {
    let ended = refused(serve, 2, why, "write a plan as NAME, or as NAME=PRICE");
    assert!(ended.output.contains("error: billing_plans: "), "{}", ended.output);
}

#[test]
fn records_are_kept_from_one_day_to_ten_years() {
    let site = Site::on_sqlite();
    for days in ["0", "3661", "4000"] {
        let kept = || site.serve().env("HOKUSAI_USAGE_RETENTION_DAYS", days);
        refused(kept(), 2, "usage_retention_days: must be from 1 to 3660", "leave the setting out");
    }
    for days in ["-1", "100000", "a week"] {
        let ended = site.serve().args([format!("--usage-retention-days={days}")]).run();
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.output.contains("--usage-retention-days"), "{ended:?}");
    }
    for days in ["1", "3660"] {
        let node = site.serve().args(["--usage-retention-days", days]).start();
        assert_eq!(node.stop().status, Some(0));
    }
}

#[test]
fn records_older_than_they_are_kept_are_refused() {
    let site = Site::on_sqlite();
    let node = site.serve().args(["--usage-retention-days", "1"]).start();
    let key = node.create_key(100);
    let mut old = record();
    old["occurred_at"] = "2020-01-01T00:00:00Z".into();
    let answer = node.as_operator("POST", &format!("/api/v1/usage/{}", key.id), &old);
    assert_eq!(answer.status, 422);
    assert!(answer.body["detail"].as_str().unwrap().contains("more than 1 days back"), "{}", answer.body);
}

#[test]
fn networks_that_can_not_be_read_are_refused_wherever_they_stand() {
    let site = Site::on_sqlite();
    let file = site.directory().join("hokusai.toml");
    for networks in ["10.0.0.0/33", "localhost", "127.0.0.1,nowhere"] {
        let wrong = networks.split(',').next_back().unwrap();
        let why = format!("trusted_networks: {wrong} is no IP address or CIDR block");
        let hint = "write it like 10.0.0.0/8";
        refused(site.serve().args(["--trusted-networks", networks]), 2, &why, hint);
        refused(site.serve().env("HOKUSAI_TRUSTED_NETWORKS", networks), 2, &why, hint);
        let listed: Vec<&str> = networks.split(',').collect();
        fs::write(&file, format!("trusted_networks = {listed:?}\n")).unwrap();
        refused(site.serve().env("HOKUSAI_CONFIG", &file), 2, &why, hint);
    }
}

#[test]
fn this_machine_reports_without_a_credential_unless_other_networks_are_trusted() {
    let site = Site::on_sqlite();
    let node = site.start();
    let key = node.create_key(100);
    report(&node, &key, None).expect(200);
    node.kill();
    let node = site.serve().args(["--trusted-networks", "10.0.0.0/8"]).start();
    needs_a_credential(&node, &key, None);
    node.as_operator("POST", &format!("/api/v1/usage/{}", key.id), &record()).expect(200);
    node.kill();
    // An empty list trusts nobody.
    let file = site.directory().join("hokusai.toml");
    fs::write(&file, "trusted_networks = []\n").unwrap();
    let node = site.serve().env("HOKUSAI_CONFIG", &file).start();
    needs_a_credential(&node, &key, None);
}

/// Whoever came through the proxy would be of this machine.
#[test]
fn behind_a_proxy_nobody_reports_without_a_credential() {
    let site = Site::on_sqlite();
    let behind = || site.serve().args(["--behind-tls-proxy"]);
    let node = behind().start();
    let key = node.create_key(100);
    needs_a_credential(&node, &key, None);
    needs_a_credential(&node, &key, Some("127.0.0.1"));
    node.as_operator("POST", &format!("/api/v1/usage/{}", key.id), &record()).expect(200);
    node.kill();
    // The word of a proxy that is not named is not believed, whichever networks are trusted.
    let node = behind().args(["--trusted-networks", "127.0.0.0/8,10.0.0.0/8"]).start();
    needs_a_credential(&node, &key, None);
    needs_a_credential(&node, &key, Some("10.0.0.1"));
    node.kill();
    let named = behind().args(["--trusted-networks", "10.0.0.0/8", "--trusted-proxies", "127.0.0.1"]);
    let node = named.start();
    report(&node, &key, Some("10.0.0.1")).expect(200);
    needs_a_credential(&node, &key, Some("192.0.2.1"));
    needs_a_credential(&node, &key, Some("10.0.0.1, 192.0.2.1"));
    needs_a_credential(&node, &key, None);
}

fn needs_a_credential(node: &Process, key: &NewKey, forwarded_for: Option<&str>) {
    let answer = report(node, key, forwarded_for);
    assert_eq!((answer.status, answer.code()), (401, "credential_required"), "{forwarded_for:?}");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

/// Reports without a credential.
fn report(node: &Process, key: &NewKey, forwarded_for: Option<&str>) -> Answer {
    let request = Request::new("POST", format!("/api/v1/usage/{}", key.id)).json(&record());
    node.send(match forwarded_for {
        Some(client) => request.header("X-Forwarded-For", client),
        None => request,
    })
}

fn record() -> Value {
    json!({"service_id": "platform", "endpoint": "/v1/models", "status_code": 200, "response_time_ms": 12.5,
        "predictions_count": 1})
}

/// The plans that the running service knows, and what it bills for one prediction past the limit.
fn plans_and_price(serve: Program) -> (Value, Value) {
    let node = serve.start();
    let document = node.send(Request::new("GET", "/openapi.json")).expect(200);
    let plans = document["components"]["schemas"]["BillingPlan"]["enum"].clone();
    let wish = json!({"name": "billed", "monthly_prediction_limit": 0});
    let made = node.as_operator("POST", "/api/v1/keys", &wish).expect(201);
    let key = NewKey { id: text_of(&made["key_id"]), text: text_of(&made["api_key"]) };
    report(&node, &key, None).expect(200);
    (plans, bill(&node, &key)["overage_charges"].clone())
}

fn bill(node: &Process, key: &NewKey) -> Value {
    let path = format!("/api/v1/usage/{}/billing", key.id);
    node.send(Request::new("GET", path).bearer(crate::site::OPERATOR)).expect(200)
}
