//! `hokusai auth show-key`, and ids that are not written out.

use insta::assert_snapshot;

use super::{Desk, words};

const SETTINGS: &str = "--environment test --rate-limit 10 --allowed-ip 10.0.0.0/8 --expires-in-days 30 \
                        --monthly-prediction-limit 7 --metadata team=search --metadata b= --user bob";

#[test]
fn a_key_without_settings_is_shown_with_the_defaults() {
    let desk = Desk::new();
    let plain = desk.key("Plain", &[]);
    assert_snapshot!(desk.auth(&["show-key", &plain.id]), @"
    --- stdout
    id                   00000000-0000-7000-8000-000000000001
    name                 Plain
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
    --- exit 0
    ");
}

#[test]
fn every_setting_is_shown() {
    let desk = Desk::new();
    let full = desk.key("Full", &words(SETTINGS));
    assert_snapshot!(desk.auth(&["show-key", &full.id]), @"
    --- stdout
    id                   00000000-0000-7000-8000-000000000001
    name                 Full
    key                  hk_test_ABC***
    status               active
    user                 bob
    service              platform
    environment          test
    scopes               model:read, model:write, mlflow:access
    addresses            10.0.0.0/8
    this hour            0 / 10, resets in N minutes
    predictions a month  7
    billing plan         free
    notes                b=, team=search
    created              YYYY-MM-DD hh:mm UTC (now)
    expires              YYYY-MM-DD hh:mm UTC (in 30 days)
    last used            never
    --- exit 0
    ");
}

#[test]
fn as_json_it_is_all_that_the_service_says() {
    let desk = Desk::new();
    let full = desk.key("Full", &words(SETTINGS));
    assert_snapshot!(desk.auth(&["show-key", &full.id, "--format", "json"]), @r#"
    --- stdout
    {
      "id": "00000000-0000-7000-8000-000000000001",
      "key_id": "00000000-0000-7000-8000-000000000001",
      "name": "Full",
      "key_prefix": "hk_test_ABC***",
      "user_id": "bob",
      "service_id": "platform",
      "scopes": [
        "model:read",
        "model:write",
        "mlflow:access"
      ],
      "environment": "test",
      "is_active": true,
      "status": "active",
      "rate_limit_per_hour": 10,
      "monthly_prediction_limit": 7,
      "allowed_ips": [
        "10.0.0.0/8"
      ],
      "billing_plan": "free",
      "metadata": {
        "b": "",
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
        "remaining_this_hour": 10,
        "resets_at": "TIME"
      }
    }
    --- exit 0
    "#);
}

#[test]
fn a_key_that_ended_says_when_and_what_came_before_and_after() {
    let desk = Desk::new();
    let old = desk.key("Old", &[]);
    let new = desk.auth(&["rotate-key", &old.id, "--format", "json"]).json();
    desk.auth(&["revoke-key", "--yes", &old.id]);
    assert_snapshot!(desk.auth(&["show-key", &old.id]), @"
    --- stdout
    id                   00000000-0000-7000-8000-000000000001
    name                 Old
    key                  hk_live_ABC***
    status               revoked
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
    revoked              YYYY-MM-DD hh:mm UTC (now)
    rotated to           00000000-0000-7000-8000-000000000002
    --- exit 0
    ");
    assert_snapshot!(desk.auth(&["show-key", new["key_id"].as_str().unwrap()]), @"
    --- stdout
    id                   00000000-0000-7000-8000-000000000001
    name                 Old
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
    rotated from         00000000-0000-7000-8000-000000000002
    --- exit 0
    ");
}

#[test]
fn there_is_no_key_with_an_unknown_id() {
    let desk = Desk::new();
    assert_snapshot!(desk.auth(&["show-key", "01a2050d-a331-7d37-ac37-9bd0115fd1f3"]), @"
    --- stderr
    error: API key not found
    request id: 00000000-0000-7000-8000-000000000001
    hint: `hokusai auth list-keys` shows the keys that there are, `hokusai auth admin-token list` the tokens
    --- exit 1
    ");
    assert_snapshot!(desk.auth(&["show-key", "01a2050d-a331"]), @"
    --- stderr
    error: no key has an id that begins with 01a2050d-a331
    hint: `hokusai auth list-keys` shows the keys that there are
    --- exit 1
    ");
}

#[test]
fn a_member_does_not_see_that_another_users_key_exists() {
    let desk = Desk::new();
    let key = desk.key("Mine", &[]);
    assert_snapshot!(desk.somebody("bob", "member").auth(&["show-key", &key.id]), @"
    --- stderr
    error: API key not found
    request id: 00000000-0000-7000-8000-000000000001
    hint: `hokusai auth list-keys` shows the keys that there are, `hokusai auth admin-token list` the tokens
    --- exit 1
    ");
}

#[test]
fn the_beginning_of_an_id_will_do_if_it_fits_one_key() {
    let desk = Desk::new();
    let (one, other, common) = alike(&desk);
    let longer = other[..=common].to_uppercase();
    let told = desk.auth(&["show-key", &longer, "--format", "json"]).json();
    assert_eq!(told["key_id"].as_str(), Some(other.as_str()));
    let told = desk.auth(&["show-key", &format!(" {} ", &one[..=common]), "--format", "json"]).json();
    assert_eq!(told["key_id"].as_str(), Some(one.as_str()));
}

#[test]
fn the_beginning_of_two_ids_is_refused_with_both() {
    let desk = Desk::new();
    let (one, _, common) = alike(&desk);
    let told = desk.auth(&["revoke-key", "--yes", &one[..common]]).to_string();
    assert_snapshot!(told.replace(&one[..common], "BEGINNING"), @"
    --- stderr
    error: 2 keys have an id that begins with BEGINNING
    hint: write more of it: 00000000-0000-7000-8000-000000000001 (Other), 00000000-0000-7000-8000-000000000002 (One)
    --- exit 1
    ");
    let statuses = desk.auth(&["list-keys", "--active", "--format", "json"]).json();
    assert_eq!(statuses.as_array().unwrap().len(), 2);
}

/// The ids of the only two keys, and how many characters they share. The first eight are the minute.
fn alike(desk: &Desk) -> (String, String, usize) {
    let mut one = desk.key("One", &[]).id;
    loop {
        let other = desk.key("Other", &[]).id;
        let common = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        if common >= 8 {
            return (one, other, common);
        }
        desk.auth(&["revoke-key", "--yes", &one]);
        one = other;
    }
}
