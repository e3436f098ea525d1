//! `hokusai auth revoke-key`.

use insta::assert_snapshot;

use super::Desk;

const QUESTION: &str = "Revoke this key, at once and for good? [y/N] ";

#[test]
fn a_revoked_key_ends_at_once_and_ending_it_again_does_no_harm() {
    let desk = Desk::new();
    let key = desk.key("Gone", &[]);
    assert_eq!(desk.verdict(&key.text), "valid");
    assert_snapshot!(desk.auth(&["revoke-key", &key.id, "--yes"]), @"
    --- stdout
    Revoked 00000000-0000-7000-8000-000000000001 (Gone).
    --- stderr
    It is refused everywhere from now on.
    --- exit 0
    ");
    assert_eq!(desk.verdict(&key.text), "revoked");
    assert_snapshot!(desk.auth(&["revoke-key", &key.id, "-y"]), @"
    --- stdout
    Revoked 00000000-0000-7000-8000-000000000001 (Gone).
    --- stderr
    It is refused everywhere from now on.
    --- exit 0
    ");
}

#[test]
fn several_keys_can_end_together() {
    let desk = Desk::new();
    let (one, other, kept) = (desk.key("One", &[]), desk.key("Other", &[]), desk.key("Kept", &[]));
    assert_snapshot!(desk.auth(&["revoke-key", "--yes", &one.id, &other.id]), @"
    --- stdout
    Revoked 00000000-0000-7000-8000-000000000001 (One).
    Revoked 00000000-0000-7000-8000-000000000002 (Other).
    --- stderr
    It is refused everywhere from now on.
    It is refused everywhere from now on.
    --- exit 0
    ");
    let verdicts = [one, other, kept].map(|key| desk.verdict(&key.text));
    assert_eq!(verdicts, ["revoked", "revoked", "valid"]);
}

#[test]
fn if_one_of_several_is_not_found_none_ends() {
    let desk = Desk::new();
    let key = desk.key("Kept", &[]);
    let unknown = "01a2050d-a331-7d37-ac37-9bd0115fd1f3";
    assert_snapshot!(desk.auth(&["revoke-key", "--yes", &key.id, unknown]), @"
    --- stderr
    error: API key not found
    request id: 00000000-0000-7000-8000-000000000001
    hint: `hokusai auth list-keys` shows the keys that there are, `hokusai auth admin-token list` the tokens
    --- exit 1
    ");
    assert_eq!(desk.verdict(&key.text), "valid");
}

#[test]
fn where_nobody_can_answer_it_takes_a_flag() {
    let desk = Desk::new();
    let key = desk.key("Kept", &[]);
    assert_snapshot!(desk.auth(&["revoke-key", &key.id]), @"
    --- stderr
    ID                                    NAME  KEY             STATUS  THIS HOUR  EXPIRES  LAST USED
    00000000-0000-7000-8000-000000000001  Kept  hk_live_ABC***  active  0 / 1000   never    never
    error: this asks first, and nobody is there to answer
    hint: add --yes to go on without being asked
    --- exit 2
    ");
    assert_snapshot!(desk.operator.auth_reading("y\n", &["revoke-key", &key.id]), @"
    --- stderr
    ID                                    NAME  KEY             STATUS  THIS HOUR  EXPIRES  LAST USED
    00000000-0000-7000-8000-000000000001  Kept  hk_live_ABC***  active  0 / 1000   never    never
    error: this asks first, and nobody is there to answer
    hint: add --yes to go on without being asked
    --- exit 2
    ");
    assert_eq!(desk.verdict(&key.text), "valid");
}

#[test]
fn a_no_changes_nothing_and_a_yes_does() {
    let desk = Desk::new();
    let key = desk.key("Asked", &[]);
    for no in ["n", "", "nope"] {
        let mut terminal = desk.terminal(&["revoke-key", &key.id]);
        terminal.waits_at(QUESTION);
        terminal.types(no);
        let (status, seen) = terminal.ended();
        assert_eq!(status, Some(1), "{no}: {seen}");
        assert!(seen.ends_with("error: nothing was changed\n"), "{no}: {seen}");
        assert_eq!(desk.verdict(&key.text), "valid");
    }
    let mut terminal = desk.terminal(&["revoke-key", &key.id]);
    terminal.waits_at(QUESTION);
    assert!(terminal.seen().contains(&key.id[..13]), "{}", terminal.seen());
    terminal.types("y");
    let (status, seen) = terminal.ended();
    assert_eq!(status, Some(0), "{seen}");
    let told = format!("Revoked {} (Asked).\nIt is refused everywhere from now on.\n", key.id);
    assert!(seen.ends_with(&told), "{seen}");
    assert_eq!(desk.verdict(&key.text), "revoked");
}

#[test]
fn an_interrupted_question_changes_nothing() {
    let desk = Desk::new();
    let key = desk.key("Kept", &[]);
    let terminal = desk.terminal(&["revoke-key", &key.id]);
    terminal.waits_at(QUESTION);
    terminal.interrupts();
    let (status, seen) = terminal.ended();
    assert_ne!(status, Some(0), "{seen}");
    assert_eq!(desk.verdict(&key.text), "valid");
}
