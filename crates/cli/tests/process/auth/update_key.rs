//! `hokusai auth update-key`.

use insta::assert_snapshot;

use super::{Desk, words};

#[test]
fn a_name_and_a_limit_change_and_the_rest_stays() {
    let desk = Desk::new();
    let key = desk.key("Before", &["--rate-limit", "20", "--metadata", "team=search"]);
    assert_snapshot!(desk.auth(&["update-key", &key.id, "--name", "After", "--rate-limit", "30"]), @"
    --- stdout
    id                   00000000-0000-7000-8000-000000000001
    name                 After
    key                  hk_live_ABC***
    status               active
    user                 admin
    service              platform
    environment          production
    scopes               model:read, model:write, mlflow:access
    addresses            any
    this hour            0 / 30, resets in N minutes
    predictions a month  any number
    billing plan         free
    notes                team=search
    created              YYYY-MM-DD hh:mm UTC (now)
    expires              never
    last used            never
    --- stderr
    Changed After.
    --- exit 0
    ");
}

#[test]
fn all_that_can_be_changed_changes_together() {
    let desk = Desk::new();
    let key = desk.key("Before", &["--metadata", "team=search"]);
    let changes = words(
        "--name After --rate-limit 30 --allowed-ip 10.0.0.0/8 --expires-in-days 30 --scope model:read \
         --monthly-prediction-limit 5 --metadata a=b --billing-plan free --format json",
    );
    assert_snapshot!(desk.auth(&[&["update-key", &key.id], &changes[..]].concat()), @r#"
    --- stdout
    {
      "id": "00000000-0000-7000-8000-000000000001",
      "key_id": "00000000-0000-7000-8000-000000000001",
      "name": "After",
      "key_prefix": "hk_live_ABC***",
      "user_id": "admin",
      "service_id": "platform",
      "scopes": [
        "model:read"
      ],
      "environment": "production",
      "is_active": true,
      "status": "active",
      "rate_limit_per_hour": 30,
      "monthly_prediction_limit": 5,
      "allowed_ips": [
        "10.0.0.0/8"
      ],
      "billing_plan": "free",
      "metadata": {
        "a": "b"
      },
      "created_at": "TIME",
      "expires_at": "TIME",
      "last_used_at": null,
      "revoked_at": null,
      "rotated_from": null,
      "rotated_to": null,
      "usage": {
        "requests_this_hour": 0,
        "remaining_this_hour": 30,
        "resets_at": "TIME"
      }
    }
    --- stderr
    Changed After.
    --- exit 0
    "#);
}

#[test]
fn what_limits_a_key_can_be_taken_away() {
    let desk = Desk::new();
    let settings = ["--allowed-ip", "10.0.0.1", "--expires-in-days", "1", "--monthly-prediction-limit", "5"];
    let key = desk.key("Limited", &settings);
    assert_eq!(desk.verdict(&key.text), "ip_not_allowed");
    let told = desk.auth(&["update-key", &key.id, "--any-ip", "--never-expires", "--any-predictions"]);
    assert_snapshot!(told, @"
    --- stdout
    id                   00000000-0000-7000-8000-000000000001
    name                 Limited
    key                  hk_live_ABC***
    status               active
    user                 admin
    service              platform
    environment          production
    scopes               model:read, model:write, mlflow:access
    addresses            any
    this hour            0 / 1000, resets in N minutes
    predictions a month  any number
    billing plan         free
    notes
    created              YYYY-MM-DD hh:mm UTC (now)
    expires              never
    last used            never
    --- stderr
    Changed Limited.
    --- exit 0
    ");
    assert_eq!(desk.verdict(&key.text), "valid");
}

#[test]
fn an_expired_key_comes_back_with_a_new_expiry() {
    let desk = Desk::new();
    let key = desk.key("Expired", &["--expires-in-days", "1"]);
    let desk = desk.changed_by("update keys set expires_at = created_at + 1");
    assert_eq!(desk.verdict(&key.text), "expired");
    assert_eq!(desk.auth(&["update-key", &key.id, "--expires-in-days", "1"]).status, Some(0));
    assert_eq!(desk.verdict(&key.text), "valid");
}

#[test]
fn a_revoked_key_cannot_be_changed() {
    let desk = Desk::new();
    let key = desk.key("Gone", &[]);
    desk.auth(&["revoke-key", "--yes", &key.id]);
    assert_snapshot!(desk.auth(&["update-key", &key.id, "--name", "Back"]), @"
    --- stderr
    error: The key is revoked; create a new one
    request id: 00000000-0000-7000-8000-000000000001
    --- exit 1
    ");
}
