//! `hokusai auth billing`.

use insta::assert_snapshot;
use serde_json::json;

use super::Desk;
use super::shell::Told;
use crate::site::{NewKey, text_of};

/// Takes predictions of a key in a month, at its beginning.
fn debit(desk: &Desk, key: &NewKey, predictions: i64, month: &str) {
    let debit = json!({
        "model_id": "resnet", "idempotency_key": "once", "predictions_count": predictions, "compute_ms": 61_500,
        "occurred_at": format!("{month}-01T00:00:00Z"),
    });
    desk.node.as_operator("POST", &format!("/api/v1/usage/{}/debit", key.id), &debit).expect(200);
}

/// The month that the key was made in.
fn month(desk: &Desk, key: &NewKey) -> String {
    let shown = desk.auth(&["show-key", &key.id, "--format", "json"]).json();
    text_of(&shown["created_at"])[..7].to_owned()
}

/// The bill of a month, without it.
fn told(desk: &Desk, key: &NewKey, month: &str, more: &[&str]) -> String {
    let told = desk.auth(&[&["billing", &key.id, "--period", month], more].concat());
    let billed = desk.auth(&["billing", &key.id, "--period", month, "--format", "json"]).json();
    undated(&told, &text_of(&billed["next_billing_date"]), month)
}

fn undated(told: &Told, next: &str, month: &str) -> String {
    told.to_string().replace(next, "NEXT-MM-01").replace(month, "YYYY-MM")
}

#[test]
fn a_bill_tells_what_was_used_of_the_limit_and_what_the_rest_costs() {
    let desk = Desk::new();
    let key = desk.key("Billed", &["--monthly-prediction-limit", "100"]);
    let month = month(&desk, &key);
    assert_snapshot!(told(&desk, &key, &month, &[]), @"
    --- stdout
    plan               free
    month              YYYY-MM
    predictions        0 of 100  ░░░░░░░░░░░░░░░░░░░░
    requests           0
    compute time       0 ms
    overage            $0.00
    next billing date  NEXT-MM-01
    --- stderr
    The bill of a rotated key goes on with its successor: it is the same for both.
    --- exit 0
    ");
    debit(&desk, &key, 112, &month);
    assert_snapshot!(told(&desk, &key, &month, &[]), @"
    --- stdout
    plan               free
    month              YYYY-MM
    predictions        112 of 100  ████████████████████  12 past the limit
    requests           1
    compute time       61.5 s
    overage            $0.012
    next billing date  NEXT-MM-01
    --- stderr
    The bill of a rotated key goes on with its successor: it is the same for both.
    --- exit 0
    ");
    assert_snapshot!(told(&desk, &key, &month, &["--format", "json"]), @r#"
    --- stdout
    {
      "key_id": "00000000-0000-7000-8000-000000000001",
      "period": "YYYY-MM",
      "billing_plan": "free",
      "current_usage": {
        "requests": 1,
        "predictions": 112,
        "compute_ms": 61500
      },
      "monthly_limit": 100,
      "overage_charges": 0.012,
      "next_billing_date": "NEXT-MM-01"
    }
    --- exit 0
    "#);
}

#[test]
fn a_single_micro_dollar_is_told() {
    let desk = Desk::configured(&[("HOKUSAI_BILLING_PLANS", "tiny=0.000001,fixed")]);
    let key = desk.key("Billed", &["--monthly-prediction-limit", "0"]);
    let month = month(&desk, &key);
    debit(&desk, &key, 1, &month);
    let shown = desk.auth(&["billing", &key.id, "--period", &month]).stdout;
    assert!(shown.lines().any(|line| line == "overage            $0.000001"), "{shown}");
}

#[test]
fn the_bill_of_a_rotated_key_is_that_of_its_successor() {
    let desk = Desk::new();
    let old = desk.key("Rotated", &["--monthly-prediction-limit", "1"]);
    let month = month(&desk, &old);
    debit(&desk, &old, 3, &month);
    let new = desk.auth(&["rotate-key", &old.id, "--format", "json"]).json();
    let new = NewKey { id: text_of(&new["key_id"]), text: text_of(&new["api_key"]) };
    debit(&desk, &new, 4, &month);
    let bill = told(&desk, &new, &month, &[]);
    assert!(bill.contains("\noverage            $0.006\n"), "{bill}");
    assert_eq!(bill, told(&desk, &old, &month, &[]));
}

#[test]
fn the_bill_of_a_key_that_one_may_not_see_is_not_there() {
    let desk = Desk::new();
    let key = desk.key("Mine", &[]);
    let bob = desk.somebody("bob", "member");
    assert_snapshot!(bob.auth(&["billing", &key.id]), @"
    --- stderr
    error: API key not found
    request id: 00000000-0000-7000-8000-000000000001
    hint: `hokusai auth list-keys` shows the keys that there are, `hokusai auth admin-token list` the tokens
    --- exit 1
    ");
    assert_snapshot!(bob.auth(&["billing", "01936f2c"]), @"
    --- stderr
    error: no key has an id that begins with 01936f2c
    hint: `hokusai auth list-keys` shows the keys that there are
    --- exit 1
    ");
}
