//! `hokusai auth rotate-key` of one key.

use insta::assert_snapshot;

use super::Desk;

#[test]
fn the_new_key_alone_is_on_standard_output_and_the_old_one_works_on() {
    let desk = Desk::new();
    let old = desk.key("Web", &["--environment", "test"]);
    let told = desk.auth(&["rotate-key", &old.id]);
    assert_snapshot!(told, @"
    --- stdout
    hk_test_KEY
    --- stderr
    Rotated Web.
    new id        00000000-0000-7000-8000-000000000001
    old id        00000000-0000-7000-8000-000000000002
    old key ends  YYYY-MM-DD hh:mm UTC (in 24 hours)
    The new key itself is shown only now: keep it in a safe place.
    --- exit 0
    ");
    assert_eq!(desk.verdict(&told.secret()), "valid");
    assert_eq!(desk.verdict(&old.text), "valid");
}

#[test]
fn without_a_grace_the_old_key_ends_at_once() {
    let desk = Desk::new();
    let old = desk.key("Web", &[]);
    let told = desk.auth(&["rotate-key", &old.id, "--grace-hours", "0"]);
    assert_eq!(desk.verdict(&told.secret()), "valid");
    assert_eq!(desk.verdict(&old.text), "revoked");
}

#[test]
fn json_is_the_whole_answer() {
    let desk = Desk::new();
    let old = desk.key("Web", &[]);
    assert_snapshot!(desk.auth(&["rotate-key", &old.id, "--grace-hours", "168", "--format", "json"]), @r#"
    --- stdout
    {
      "api_key": "hk_live_KEY",
      "key_id": "00000000-0000-7000-8000-000000000001",
      "key_info": {
        "id": "00000000-0000-7000-8000-000000000001",
        "key_id": "00000000-0000-7000-8000-000000000001",
        "name": "Web",
        "key_prefix": "hk_live_ABC***",
        "user_id": "admin",
        "service_id": "platform",
        "scopes": [
          "model:read",
          "model:write",
          "mlflow:access"
        ],
        "environment": "production",
        "is_active": true,
        "status": "active",
        "rate_limit_per_hour": 1000,
        "monthly_prediction_limit": null,
        "allowed_ips": [],
        "billing_plan": "free",
        "metadata": {},
        "created_at": "TIME",
        "expires_at": null,
        "last_used_at": null,
        "revoked_at": null,
        "rotated_from": "00000000-0000-7000-8000-000000000002",
        "rotated_to": null,
        "usage": {
          "requests_this_hour": 0,
          "remaining_this_hour": 1000,
          "resets_at": "TIME"
        }
      },
      "previous_key": {
        "key_id": "00000000-0000-7000-8000-000000000002",
        "valid_until": "TIME"
      },
      "effective": {
        "everywhere": true,
        "at": "TIME"
      }
    }
    --- stderr
    Rotated Web.
    new id        00000000-0000-7000-8000-000000000001
    old id        00000000-0000-7000-8000-000000000002
    old key ends  YYYY-MM-DD hh:mm UTC (in 7 days)
    The new key itself is shown only now: keep it in a safe place.
    --- exit 0
    "#);
}

#[test]
fn a_key_that_has_a_successor_or_has_ended_is_not_rotated() {
    let desk = Desk::new();
    let key = desk.key("Web", &[]);
    desk.auth(&["rotate-key", &key.id]);
    assert_snapshot!(desk.auth(&["rotate-key", &key.id]), @"
    --- stderr
    error: The key was already rotated; its successor is 00000000-0000-7000-8000-000000000001: rotate that one
    request id: 00000000-0000-7000-8000-000000000002
    --- exit 1
    ");
    desk.auth(&["revoke-key", "--yes", &key.id]);
    assert_snapshot!(desk.auth(&["rotate-key", &key.id]), @"
    --- stderr
    error: The key is revoked; create a new one
    request id: 00000000-0000-7000-8000-000000000001
    --- exit 1
    ");
}
