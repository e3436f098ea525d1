//! `hokusai auth validate`.

use insta::assert_snapshot;

use super::Desk;

#[test]
fn a_valid_key_is_told_with_what_it_may_do() {
    let desk = Desk::new();
    let key = desk.key("Good", &["--environment", "test", "--expires-in-days", "30"]);
    let shell = desk.operator.without("HOKUSAI_ADMIN_TOKEN").with("HOKUSAI_API_KEY", &key.text);
    assert_snapshot!(shell.auth(&["validate"]), @"
    --- stdout
    The key is valid.
    id              00000000-0000-7000-8000-000000000001
    user            admin
    service         platform
    environment     test
    scopes          model:read, model:write, mlflow:access
    left this hour  999 of 1000, resets in N minutes
    expires         YYYY-MM-DD hh:mm UTC (in 30 days)
    --- exit 0
    ");
    assert_snapshot!(shell.auth(&["validate", "--format", "json"]), @r#"
    --- stdout
    {
      "is_valid": true,
      "key_id": "00000000-0000-7000-8000-000000000001",
      "user_id": "admin",
      "service_id": "platform",
      "scopes": [
        "model:read",
        "model:write",
        "mlflow:access"
      ],
      "environment": "test",
      "rate_limit_per_hour": 1000,
      "billing_plan": "free",
      "monthly_prediction_limit": null,
      "expires_at": "TIME"
    }
    --- exit 0
    "#);
    let asked = ["validate", "--service", "platform", "--scope", "model:read", "--client-ip", "203.0.113.9"];
    assert_eq!(shell.auth(&asked).status, Some(0));
}

#[test]
fn a_key_can_come_from_standard_input_or_the_command_line() {
    let desk = Desk::new();
    let key = desk.key("Good", &[]);
    let other = desk.operator.with("HOKUSAI_API_KEY", "hk_live_other");
    assert_eq!(other.auth(&["validate"]).status, Some(1));
    assert_eq!(other.auth(&["validate", "--key", &key.text]).status, Some(0));
    let read =
        other.auth_reading(&format!("  {}\r\n", key.text), &["validate", "--key", "-", "--format", "json"]);
    assert_eq!(read.json()["key_id"], *key.id);
    assert_snapshot!(other.auth_reading("\n", &["validate", "--key", "-"]), @"
    --- stderr
    error: the key is empty
    hint: set HOKUSAI_API_KEY, or write it to standard input and give --key -
    --- exit 4
    ");
}

#[test]
fn without_a_key_there_is_nothing_to_validate() {
    let desk = Desk::new();
    assert_snapshot!(desk.auth(&["validate"]), @"
    --- stderr
    error: there is no API key for profile default
    hint: export HOKUSAI_API_KEY=…, or run `hokusai auth config init`; `hokusai auth create-key` makes one
    --- exit 4
    ");
}

#[test]
fn a_refused_key_is_told_with_the_reason_and_the_way_out() {
    let desk = Desk::new();
    let revoked = desk.key("Revoked", &[]);
    desk.auth(&["revoke-key", "--yes", &revoked.id]);
    let expired = desk.key("Expired", &["--expires-in-days", "1"]);
    let limited = desk.key("From elsewhere", &["--allowed-ip", "10.0.0.0/8"]);
    let desk = desk.changed_by("update keys set expires_at = created_at + 1 where name = 'Expired'");
    let validate = |key: &str, more: &[&str]| {
        desk.operator.with("HOKUSAI_API_KEY", key).auth(&[&["validate"], more].concat())
    };
    assert_snapshot!(validate(&revoked.text, &[]), @"
    --- stderr
    error: API key is inactive or has been revoked
    hint: `hokusai auth create-key --name NAME` creates another
    --- exit 1
    ");
    assert_snapshot!(validate(&expired.text, &[]), @"
    --- stderr
    error: API key has expired
    hint: `hokusai auth update-key KEY_ID --expires-in-days 30` brings it back
    --- exit 1
    ");
    assert_snapshot!(validate(&limited.text, &[]), @"
    --- stderr
    error: IP address not in allowlist: 127.0.0.1
    hint: `hokusai auth update-key KEY_ID --allowed-ip ADDRESS` sets the addresses
    --- exit 1
    ");
    assert_snapshot!(validate(&limited.text, &["--client-ip", "10.1.2.3", "--scope", "model:admin"]), @"
    --- stderr
    error: Key does not have required scope
    hint: `hokusai auth update-key KEY_ID --scope SCOPE` sets the scopes
    --- exit 1
    ");
    assert_snapshot!(validate(&limited.text, &["--client-ip", "10.1.2.3", "--service", "prediction"]), @"
    --- stderr
    error: Key not authorized for this service
    --- exit 1
    ");
    assert_snapshot!(validate("hk_live_mistyped", &[]), @"
    --- stderr
    error: Invalid API key
    hint: check that it was copied whole; `hokusai auth list-keys` shows the keys that there are
    --- exit 1
    ");
    assert_snapshot!(validate("hk_live_mistyped", &["--format", "json"]), @r#"
    --- stdout
    {
      "is_valid": false,
      "code": "invalid_key",
      "detail": "Invalid API key"
    }
    --- stderr
    error: Invalid API key
    hint: check that it was copied whole; `hokusai auth list-keys` shows the keys that there are
    --- exit 1
    "#);
}

#[test]
fn a_key_of_the_earlier_authentication_is_told_where_to_read_on() {
    let desk = Desk::new();
    let shell = desk.operator.with("HOKUSAI_API_KEY", "a-key-of-long-ago");
    assert_snapshot!(shell.auth(&["validate"]), @"
    --- stderr
    error: Invalid API key
    hint: keys begin with hk_live_, hk_test_ or hk_dev_; those of the earlier local authentication no longer work: see docs/migration.md
    --- exit 1
    ");
}

#[test]
fn a_used_up_key_is_told_for_how_long() {
    let desk = Desk::new();
    let key = desk.key("Busy", &["--rate-limit", "10"]);
    let shell = desk.operator.with("HOKUSAI_API_KEY", &key.text);
    let validate = |words: &[&str]| {
        // If an hour ends in between, the next one does not.
        let mut told = (0..2).map(|_| {
            while desk.verdict(&key.text) == "valid" {}
            shell.auth(words)
        });
        told.find(|told| told.status != Some(0)).unwrap()
    };
    assert_snapshot!(validate(&["validate"]), @"
    --- stderr
    error: Rate limit exceeded
    hint: the limit resets on the hour, in N min; `hokusai auth list-keys` shows the usage
    --- exit 1
    ");
    let told = validate(&["validate", "--format", "json"]);
    let wait = told.json()["retry_after_seconds"].as_u64().unwrap();
    assert!((told.status, (1..=3600).contains(&wait)) == (Some(1), true), "{told:?}");
}
