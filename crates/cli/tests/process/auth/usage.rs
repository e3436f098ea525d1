//! `hokusai auth usage`.

use insta::assert_snapshot;
use serde_json::json;

use super::Desk;
use super::shell::{Shell, Told};
use crate::http::Request;
use crate::site::{NewKey, OPERATOR, text_of};

/// A desk with a key that was used on one day.
struct Used {
    desk: Desk,
    key: NewKey,
    /// The day that the test began, in UTC.
    day: String,
}

impl Used {
    fn new() -> Self {
        let desk = Desk::new();
        let key = desk.key("Used", &[]);
        let shown = desk.auth(&["show-key", &key.id, "--format", "json"]).json();
        let day = text_of(&shown["created_at"])[..10].to_owned();
        Self { desk, key, day }
    }

    /// `count` requests for an endpoint of a service, each with three predictions.
    fn report(&self, key: &NewKey, (service, endpoint): (&str, &str), status: u16, count: usize) {
        let record = json!({
            "key_id": key.id, "service_id": service, "endpoint": endpoint, "status_code": status,
            "response_time_ms": 12.5, "predictions_count": 3, "compute_ms": 250,
            "occurred_at": format!("{}T00:00:00Z", self.day),
        });
        let batch = json!({"records": vec![record; count]});
        self.desk.node.as_operator("POST", "/api/v1/usage/batch", &batch).expect(200);
    }

    /// What a command of the month that the test began in told; with no day and month in it.
    fn told(&self, words: &[&str]) -> String {
        self.undated(&self.auth(words))
    }

    fn auth(&self, words: &[&str]) -> Told {
        self.auth_as(&self.desk.operator, words)
    }

    fn auth_as(&self, shell: &Shell, words: &[&str]) -> Told {
        shell.auth(&[&["usage", "--period", &self.day[..7]], words].concat())
    }

    fn undated(&self, told: &Told) -> String {
        told.to_string().replace(&self.day, "YYYY-MM-DD").replace(&self.day[..7], "YYYY-MM")
    }
}

#[test]
fn where_there_is_no_terminal_it_is_csv() {
    let used = Used::new();
    used.report(&used.key, ("platform", "/v1/models"), 200, 3);
    used.report(&used.key, ("platform", "/v1/models/a,\"b\""), 500, 1);
    used.report(&used.key, ("prediction", "=cmd|' /C calc'!A0"), 200, 2);
    let id = used.key.id.as_str();
    assert_snapshot!(used.told(&[id]), @"
    --- stdout
    day,requests,errors,predictions,compute_ms,average_response_time_ms
    YYYY-MM-DD,6,1,18,1500,12.5
    --- exit 0
    ");
    assert_snapshot!(used.told(&[id, "--by", "endpoint"]), @r#"
    --- stdout
    endpoint,requests,errors,predictions,compute_ms,average_response_time_ms
    /v1/models,3,0,9,750,12.5
    '=cmd|' /C calc'!A0,2,0,6,500,12.5
    "/v1/models/a,""b""",1,1,3,250,12.5
    --- exit 0
    "#);
    assert_snapshot!(used.told(&[&id[..13], "--by", "service", "--format", "csv"]), @"
    --- stdout
    service,requests,errors,predictions,compute_ms,average_response_time_ms
    platform,4,1,12,1000,12.5
    prediction,2,0,6,500,12.5
    --- exit 0
    ");
}

#[test]
fn a_person_reads_a_heading_and_bars() {
    let used = Used::new();
    used.report(&used.key, ("platform", "/v1/models"), 200, 30);
    used.report(&used.key, ("platform", "/v1/predictions"), 429, 10);
    let id = used.key.id.as_str();
    assert_snapshot!(used.told(&[id, "--format", "table"]), @"
    --- stdout
    YYYY-MM: 40 requests, 120 predictions, 25.0 % errors, 12.5 ms on average
    DAY         REQUESTS  ERRORS  PREDICTIONS  COMPUTE  AVERAGE
    YYYY-MM-DD        40      10          120   10.0 s  12.5 ms  ████████████████████████████████████████
    --- exit 0
    ");
    assert_snapshot!(used.told(&[id, "--format", "table", "--by", "endpoint"]), @"
    --- stdout
    YYYY-MM: 40 requests, 120 predictions, 25.0 % errors, 12.5 ms on average
    ENDPOINT         REQUESTS  ERRORS  PREDICTIONS  COMPUTE  AVERAGE
    /v1/models             30       0           90    7.5 s  12.5 ms  ████████████████████████████████████████
    /v1/predictions        10      10           30    2.5 s  12.5 ms  █████████████▎
    --- exit 0
    ");
    assert_snapshot!(used.told(&["--format", "table", "--by", "service"]), @"
    --- stdout
    YYYY-MM: 40 requests, 120 predictions, 12.5 ms on average
    SERVICE   REQUESTS  PREDICTIONS  COMPUTE  AVERAGE
    platform        40          120   10.0 s  12.5 ms  ████████████████████████████████████████
    --- exit 0
    ");
}

#[test]
fn without_a_key_it_is_that_of_all_keys_together() {
    let used = Used::new();
    let other = used.desk.key("Bob's", &["--user", "bob"]);
    used.report(&used.key, ("platform", "/a"), 200, 1);
    used.report(&other, ("platform", "/b"), 200, 4);
    used.report(&other, ("prediction", "/c"), 200, 2);
    assert_snapshot!(used.told(&[]), @"
    --- stdout
    day,requests,predictions,compute_ms,average_response_time_ms
    YYYY-MM-DD,7,21,1750,12.5
    --- exit 0
    ");
    assert_snapshot!(used.told(&["--by", "service"]), @"
    --- stdout
    service,requests,predictions,compute_ms,average_response_time_ms
    platform,5,15,1250,12.5
    prediction,2,6,500,12.5
    --- exit 0
    ");
    assert_snapshot!(used.told(&["--by", "service", "--user", "admin"]), @"
    --- stdout
    service,requests,predictions,compute_ms,average_response_time_ms
    platform,1,3,250,12.5
    --- exit 0
    ");
    let bob = used.desk.somebody("bob", "member");
    assert_eq!(used.auth_as(&bob, &[]).stdout, used.auth(&["--user", "bob"]).stdout);
    assert_snapshot!(used.undated(&used.auth_as(&bob, &[&used.key.id])), @"
    --- stderr
    error: API key not found
    request id: 00000000-0000-7000-8000-000000000001
    hint: `hokusai auth list-keys` shows the keys that there are, `hokusai auth admin-token list` the tokens
    --- exit 1
    ");
}

#[test]
fn as_json_it_is_what_the_service_says() {
    let used = Used::new();
    used.report(&used.key, ("platform", "/v1/models"), 404, 2);
    let id = used.key.id.as_str();
    assert_snapshot!(used.told(&[id, "--format", "json"]), @r#"
    --- stdout
    {
      "key_id": "00000000-0000-7000-8000-000000000001",
      "period": "YYYY-MM",
      "total_requests": 2,
      "total_predictions": 6,
      "total_compute_ms": 500,
      "average_response_time_ms": 12.5,
      "error_rate": 1.0,
      "top_endpoints": [
        {
          "endpoint": "/v1/models",
          "count": 2
        }
      ],
      "groups": [
        {
          "name": "YYYY-MM-DD",
          "requests": 2,
          "errors": 2,
          "predictions": 6,
          "compute_ms": 500,
          "average_response_time_ms": 12.5
        }
      ]
    }
    --- exit 0
    "#);
    let asked = format!("/api/v1/usage/aggregate?start_date={0}-01&end_date={0}-28", &used.day[..7]);
    let said = used.desk.node.send(Request::new("GET", asked).bearer(OPERATOR)).expect(200);
    let told = used.auth(&["--format", "json"]).json();
    assert_eq!(told["start_date"], said["start_date"]);
    assert_eq!(told["usage_by_date"][&used.day]["platform"]["requests"], 2);
}

#[test]
fn a_month_without_usage_is_no_failure() {
    let used = Used::new();
    let id = used.key.id.as_str();
    assert_snapshot!(used.told(&[id]), @"
    --- stdout
    day,requests,errors,predictions,compute_ms,average_response_time_ms
    --- stderr
    No usage in YYYY-MM.
    --- exit 0
    ");
    assert_snapshot!(used.told(&["--by", "service"]), @"
    --- stdout
    service,requests,predictions,compute_ms,average_response_time_ms
    --- stderr
    No usage in YYYY-MM.
    --- exit 0
    ");
    assert_snapshot!(used.told(&["--format", "table"]), @"
    --- stderr
    No usage in YYYY-MM.
    --- exit 0
    ");
    assert_snapshot!(used.desk.auth(&["usage", id, "--period", "2999-01"]), @"
    --- stdout
    day,requests,errors,predictions,compute_ms,average_response_time_ms
    --- stderr
    No usage in 2999-01: it has yet to come.
    --- exit 0
    ");
    assert_snapshot!(used.desk.auth(&["usage", "--period", "2999-01", "--format", "json"]), @r#"
    --- stdout
    {
      "start_date": "2999-01-01",
      "end_date": "2999-01-31",
      "usage_by_date": {}
    }
    --- exit 0
    "#);
    assert_eq!(used.desk.auth(&["usage", "--period", "9999-12"]).status, Some(0));
}

#[test]
fn endpoints_need_a_key() {
    let used = Used::new();
    assert_snapshot!(used.told(&["--by", "endpoint"]), @"
    --- stderr
    error: endpoints are told apart for one key only
    hint: name a key: `hokusai auth usage KEY_ID --by endpoint`; `hokusai auth list-keys` shows the ids
    --- exit 2
    ");
    assert_snapshot!(used.told(&["01936f2c-4d5a-7c3e-9b1a-2f6d8e0c4a71"]), @"
    --- stderr
    error: API key not found
    request id: 00000000-0000-7000-8000-000000000001
    hint: `hokusai auth list-keys` shows the keys that there are, `hokusai auth admin-token list` the tokens
    --- exit 1
    ");
}

#[test]
fn the_present_month_is_meant_unless_another_is_named() {
    let used = Used::new();
    // If a month ends in between, the next one does not.
    let is_there = (0..2).any(|_| {
        let record =
            json!({"service_id": "platform", "endpoint": "/", "status_code": 200, "response_time_ms": 1});
        let path = format!("/api/v1/usage/{}", used.key.id);
        used.desk.node.as_operator("POST", &path, &record).expect(200);
        let told = |words: &[&str]| used.desk.auth(words).stdout.lines().count();
        (told(&["usage"]), told(&["usage", &used.key.id])) == (2, 2)
    });
    assert!(is_there, "{}", used.desk.auth(&["usage"]));
}
