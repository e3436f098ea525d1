//! Exit status 4: no token, a wrong one, or one that may not do this.

use insta::assert_snapshot;

use super::Desk;
use super::shell::Shell;

#[test]
fn without_a_token_nothing_is_asked() {
    let shell = Shell::at("http://127.0.0.1:1", "").without("HOKUSAI_ADMIN_TOKEN");
    assert_snapshot!(shell.auth(&["list-keys"]), @"
    --- stderr
    error: there is no admin token for profile default
    hint: export HOKUSAI_ADMIN_TOKEN=…, or run `hokusai auth config init`; to try the service, `hokusai dev` prints one
    --- exit 4
    ");
    for words in every_command() {
        let told = shell.auth(&words);
        assert_eq!((told.status, told.stdout.as_str()), (Some(4), ""), "{words:?}: {told}");
    }
}

#[test]
fn an_unknown_token_is_refused_by_every_command() {
    let desk = Desk::new();
    let shell = desk.operator.with("HOKUSAI_ADMIN_TOKEN", "hka_unknown");
    assert_snapshot!(shell.auth(&["list-keys"]), @"
    --- stderr
    error: The admin token is unknown, expired or revoked
    request id: 00000000-0000-7000-8000-000000000001
    hint: check HOKUSAI_ADMIN_TOKEN, or run `hokusai auth config init`; `hokusai auth config show` says where the token comes from
    --- exit 4
    ");
    for words in every_command() {
        let told = shell.auth(&words);
        assert_eq!((told.status, told.stdout.as_str()), (Some(4), ""), "{words:?}: {told}");
    }
}

#[test]
fn a_member_is_refused_what_is_for_operators() {
    let desk = Desk::new();
    let member = desk.somebody("bob", "member");
    assert_snapshot!(member.auth(&["admin-token", "list"]), @"
    --- stderr
    error: This token's role does not allow this
    request id: 00000000-0000-7000-8000-000000000001
    hint: this needs the token of an operator, or of another user
    --- exit 4
    ");
    assert_snapshot!(member.auth(&["create-key", "--name", "x", "--user", "eve"]), @"
    --- stderr
    error: Only an operator may create keys for another user
    request id: 00000000-0000-7000-8000-000000000001
    hint: this needs the token of an operator, or of another user
    --- exit 4
    ");
    assert_snapshot!(member.auth(&["create-key", "--name", "x", "--rate-limit", "100000"]), @"
    --- stderr
    error: Only an operator may give a key this many requests an hour
    request id: 00000000-0000-7000-8000-000000000001
    hint: this needs the token of an operator, or of another user
    --- exit 4
    ");
    assert_snapshot!(member.auth(&["create-key", "--name", "x", "--scope", "*"]), @"
    --- stderr
    error: Only an operator may give a key the scopes '*', 'admin…' or '…:admin'
    request id: 00000000-0000-7000-8000-000000000001
    hint: this needs the token of an operator, or of another user
    --- exit 4
    ");
    assert_eq!(member.auth(&["create-key", "--name", "x"]).status, Some(0));
}

#[test]
fn a_verifier_manages_no_keys() {
    let desk = Desk::new();
    assert_snapshot!(desk.somebody("gateway", "verifier").auth(&["list-keys"]), @"
    --- stderr
    error: This token's role does not allow this
    request id: 00000000-0000-7000-8000-000000000001
    hint: this needs the token of an operator, or of another user
    --- exit 4
    ");
}

fn every_command() -> Vec<Vec<&'static str>> {
    const ID: &str = "01a2050d-a331-7d37-ac37-9bd0115fd1f3";
    vec![
        vec!["create-key", "--name", "x"],
        vec!["list-keys", "--format", "json"],
        vec!["show-key", ID],
        vec!["show-key", &ID[..8]],
        vec!["update-key", ID, "--name", "x"],
        vec!["rotate-key", ID],
        vec!["rotate-key", "--all", "--save", "new-keys", "--yes"],
        vec!["revoke-key", ID, "--yes"],
        vec!["usage"],
        vec!["usage", ID],
        vec!["usage", &ID[..8], "--format", "json"],
        vec!["billing", ID],
        vec!["alerts"],
        vec!["alerts", "--fail"],
        vec!["whoami"],
        vec!["admin-token", "create", "--user", "x", "--name", "x"],
        vec!["admin-token", "list"],
        vec!["admin-token", "revoke", ID, "--yes"],
    ]
}
