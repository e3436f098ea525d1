//! `hokusai auth admin-token`.

use insta::assert_snapshot;

use super::{Desk, words};

#[test]
fn the_token_alone_is_on_standard_output_and_works() {
    let desk = Desk::new();
    let told = desk.auth(&["admin-token", "create", "--user", "bob", "--name", "Bob's"]);
    assert_snapshot!(told, @"
    --- stdout
    hka_TOKEN
    --- stderr
    Created Bob's (member for bob, 00000000-0000-7000-8000-000000000001).
    The token itself is shown only now: keep it in a safe place.
    --- exit 0
    ");
    let bob = desk.operator.with("HOKUSAI_ADMIN_TOKEN", &told.secret());
    assert_eq!(bob.auth(&["create-key", "--name", "x"]).status, Some(0));
    assert_eq!(bob.auth(&["admin-token", "list"]).status, Some(4));
}

#[test]
fn tokens_are_listed_newest_first() {
    let desk = Desk::new();
    make_tokens(&desk);
    assert_snapshot!(desk.auth(&["admin-token", "list"]), @"
    --- stdout
    ID                                    NAME                  TOKEN       USER     ROLE      STATUS   EXPIRES
    00000000-0000-7000-8000-000000000001  Bob's                 hka_ABC***  bob      member    revoked  never
    00000000-0000-7000-8000-000000000002  Gateway               hka_ABC***  gateway  verifier  active   in 90 days
    00000000-0000-7000-8000-000000000003  the operator          hka_ABC***  admin    operator  active   never
    00000000-0000-7000-8000-000000000004  First operator token  ***         admin    operator  active   never
    --- exit 0
    ");
}

#[test]
fn as_json_it_is_an_array_with_all_that_the_service_says() {
    let desk = Desk::new();
    make_tokens(&desk);
    assert_snapshot!(desk.auth(&["admin-token", "list", "--format", "json"]), @r#"
    --- stdout
    [
      {
        "token_id": "00000000-0000-7000-8000-000000000001",
        "name": "Bob's",
        "user_id": "bob",
        "role": "member",
        "token_prefix": "hka_ABC***",
        "created_at": "TIME",
        "expires_at": null,
        "revoked_at": "TIME"
      },
      {
        "token_id": "00000000-0000-7000-8000-000000000002",
        "name": "Gateway",
        "user_id": "gateway",
        "role": "verifier",
        "token_prefix": "hka_ABC***",
        "created_at": "TIME",
        "expires_at": "TIME",
        "revoked_at": null
      },
      {
        "token_id": "00000000-0000-7000-8000-000000000003",
        "name": "the operator",
        "user_id": "admin",
        "role": "operator",
        "token_prefix": "hka_ABC***",
        "created_at": "TIME",
        "expires_at": null,
        "revoked_at": null
      },
      {
        "token_id": "00000000-0000-7000-8000-000000000004",
        "name": "First operator token",
        "user_id": "admin",
        "role": "operator",
        "token_prefix": "***",
        "created_at": "TIME",
        "expires_at": null,
        "revoked_at": null
      }
    ]
    --- exit 0
    "#);
}

#[test]
fn a_revoked_token_ends_at_once() {
    let desk = Desk::new();
    let bob = desk.somebody("bob", "member");
    assert_eq!(bob.auth(&["list-keys"]).status, Some(0));
    let tokens = desk.auth(&["admin-token", "list", "--format", "json"]).json();
    let id = tokens[0]["token_id"].as_str().unwrap();
    assert_snapshot!(desk.auth(&["admin-token", "revoke", id]), @"
    --- stderr
    error: this asks first, and nobody is there to answer
    hint: add --yes to go on without being asked
    --- exit 2
    ");
    assert_eq!(bob.auth(&["list-keys"]).status, Some(0));
    assert_snapshot!(desk.auth(&["admin-token", "revoke", id, "--yes"]), @"
    --- stdout
    Revoked 00000000-0000-7000-8000-000000000001.
    --- exit 0
    ");
    assert_eq!(bob.auth(&["list-keys"]).status, Some(4));
}

#[test]
fn a_no_in_a_terminal_leaves_the_token_alone() {
    let desk = Desk::new();
    let bob = desk.somebody("bob", "member");
    let tokens = desk.auth(&["admin-token", "list", "--format", "json"]).json();
    let mut terminal = desk.terminal(&["admin-token", "revoke", tokens[0]["token_id"].as_str().unwrap()]);
    terminal.waits_at("Revoke the token ");
    terminal.types("n");
    let (status, seen) = terminal.ended();
    assert_eq!(status, Some(1), "{seen}");
    assert_eq!(bob.auth(&["list-keys"]).status, Some(0));
}

#[test]
fn what_cannot_be_done_is_refused_by_the_service() {
    let desk = Desk::new();
    let unknown = "01a2050d-a331-7d37-ac37-9bd0115fd1f3";
    assert_snapshot!(desk.auth(&["admin-token", "revoke", "--yes", unknown]), @"
    --- stderr
    error: Admin token not found
    request id: 00000000-0000-7000-8000-000000000001
    hint: `hokusai auth list-keys` shows the keys that there are, `hokusai auth admin-token list` the tokens
    --- exit 1
    ");
    assert_snapshot!(desk.auth(&["admin-token", "create", "--user", "two words", "--name", "x"]), @"
    --- stderr
    error: user_id: must be 1 to 100 of A-Z a-z 0-9 . _ @ : -
    request id: 00000000-0000-7000-8000-000000000001
    --- exit 2
    ");
    let tokens = desk.auth(&["admin-token", "list", "--format", "json"]).json();
    let revoke = |number: usize| {
        desk.auth(&["admin-token", "revoke", "--yes", tokens[number]["token_id"].as_str().unwrap()])
    };
    assert_eq!(revoke(1).status, Some(0));
    assert_snapshot!(revoke(0), @"
    --- stderr
    error: This is the last operator token without an expiry; create another one first
    request id: 00000000-0000-7000-8000-000000000001
    --- exit 1
    ");
}

/// One for a gateway that expires, and one for Bob that is revoked.
fn make_tokens(desk: &Desk) {
    desk.auth(&words(
        "admin-token create --user gateway --name Gateway --role verifier --expires-in-days 90",
    ));
    desk.auth(&["admin-token", "create", "--user", "bob", "--name", "Bob's"]);
    let tokens = desk.auth(&["admin-token", "list", "--format", "json"]).json();
    desk.auth(&["admin-token", "revoke", "--yes", tokens[0]["token_id"].as_str().unwrap()]);
}
