//! `hokusai auth create-key`.

use std::fs::File;

use insta::assert_snapshot;

use super::shell::Running;
use super::{Desk, words};

const SETTINGS: &str = "--environment test --rate-limit 100000 --allowed-ip 10.0.0.0/8 --allowed-ip 2001:db8::1 \
                        --expires-in-days 365 --scope model:* --scope mlflow:access --service prediction \
                        --billing-plan free --monthly-prediction-limit 0 --metadata team=search \
                        --metadata equation=a=b --user bob --format json";

#[test]
fn the_key_alone_is_on_standard_output() {
    let desk = Desk::new();
    let told = desk.auth(&["create-key", "--name", "First"]);
    assert_snapshot!(told, @"
    --- stdout
    hk_live_KEY
    --- stderr
    Created First.
    id           00000000-0000-7000-8000-000000000001
    environment  production
    scopes       model:read, model:write, mlflow:access
    limit        1000 requests an hour
    addresses    any
    expires      never
    The key itself is shown only now: keep it in a safe place.
    --- exit 0
    ");
    assert_eq!(desk.verdict(&told.secret()), "valid");
}

#[test]
fn every_setting_reaches_the_service() {
    let desk = Desk::new();
    let told = desk.auth(&[&["create-key", "--name", "  Zürich\u{a0}"], &words(SETTINGS)[..]].concat());
    assert_snapshot!(told, @r#"
    --- stdout
    {
      "api_key": "hk_test_KEY",
      "key_id": "00000000-0000-7000-8000-000000000001",
      "key_info": {
        "id": "00000000-0000-7000-8000-000000000001",
        "key_id": "00000000-0000-7000-8000-000000000001",
        "name": "Zürich",
        "key_prefix": "hk_test_ABC***",
        "user_id": "bob",
        "service_id": "prediction",
        "scopes": [
          "model:*",
          "mlflow:access"
        ],
        "environment": "test",
        "is_active": true,
        "status": "active",
        "rate_limit_per_hour": 100000,
        "monthly_prediction_limit": 0,
        "allowed_ips": [
          "10.0.0.0/8",
          "2001:db8::1"
        ],
        "billing_plan": "free",
        "metadata": {
          "equation": "a=b",
          "team": "search"
        },
        "created_at": "TIME",
        "expires_at": "TIME",
        "last_used_at": null,
        "revoked_at": null,
        "rotated_from": null,
        "rotated_to": null,
        "usage": {
          "requests_this_hour": 0,
          "remaining_this_hour": 100000,
          "resets_at": "TIME"
        }
      }
    }
    --- stderr
    Created Zürich.
    id           00000000-0000-7000-8000-000000000001
    environment  test
    scopes       model:*, mlflow:access
    limit        100000 requests an hour
    addresses    10.0.0.0/8, 2001:db8::1
    expires      YYYY-MM-DD hh:mm UTC (in 365 days)
    The key itself is shown only now: keep it in a safe place.
    --- exit 0
    "#);
}

#[test]
fn the_documented_example_says_what_there_is_now() {
    let desk = Desk::new();
    let settings = words(
        "--environment production --rate-limit 5000 --allowed-ip 203.0.113.1 --allowed-ip 203.0.113.2 \
         --expires-in-days 30",
    );
    let told = desk.auth(&[&["create-key", "--name", "Production API"], &settings[..]].concat());
    assert_snapshot!(told, @"
    --- stdout
    hk_live_KEY
    --- stderr
    Created Production API.
    id           00000000-0000-7000-8000-000000000001
    environment  production
    scopes       model:read, model:write, mlflow:access
    limit        5000 requests an hour
    addresses    203.0.113.1, 203.0.113.2
    expires      YYYY-MM-DD hh:mm UTC (in 30 days)
    The key itself is shown only now: keep it in a safe place.
    --- exit 0
    ");
}

#[test]
fn what_only_the_service_knows_is_refused_by_it() {
    let desk = Desk::new();
    assert_snapshot!(desk.auth(&["create-key", "--name", "x", "--service", "nowhere"]), @"
    --- stderr
    error: service_id: must be one of: platform, prediction
    request id: 00000000-0000-7000-8000-000000000001
    --- exit 2
    ");
    assert_snapshot!(desk.auth(&["create-key", "--name", "x", "--billing-plan", "gold"]), @"
    --- stderr
    error: billing_plan: must be one of: free
    request id: 00000000-0000-7000-8000-000000000001
    --- exit 2
    ");
    assert_snapshot!(desk.auth(&["create-key", "--name", "x", "--user", "two words"]), @"
    --- stderr
    error: user_id: must be 1 to 100 of A-Z a-z 0-9 . _ @ : -
    request id: 00000000-0000-7000-8000-000000000001
    --- exit 2
    ");
    assert_eq!(desk.auth(&["list-keys", "--format", "json"]).json().as_array().unwrap().len(), 0);
}

#[test]
fn a_key_is_printed_even_if_nobody_can_be_told_of_it() {
    let desk = Desk::new();
    let mut command = desk.operator.command(&["create-key", "--name", "x"]);
    let told = Running::of(command.stderr(full()).spawn().unwrap()).told();
    assert_eq!(desk.verdict(&told.secret()), "valid");
}

#[test]
fn a_key_that_cannot_be_printed_is_named_with_the_way_to_end_it() {
    let desk = Desk::new();
    let mut command = desk.operator.command(&["create-key", "--name", "x"]);
    assert_snapshot!(Running::of(command.stdout(full()).spawn().unwrap()).told(), @"
    --- stderr
    Created x.
    id           00000000-0000-7000-8000-000000000001
    environment  production
    scopes       model:read, model:write, mlflow:access
    limit        1000 requests an hour
    addresses    any
    expires      never
    The key itself is shown only now: keep it in a safe place.
    error: the new key can't be printed: No space left on device (os error 28)
    hint: nobody has it now; end it: hokusai auth revoke-key 00000000-0000-7000-8000-000000000001
    --- exit 1
    ");
}

/// A file that nothing can be written to.
fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}
