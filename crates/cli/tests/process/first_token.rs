//! The first operator token: handed over once, in a way that can't lose it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::http::Request;
use crate::program::{Process, Program};
use crate::site::{OPERATOR, Site, text_of};

const TOKENS: &str = "/api/v1/admin-tokens";

#[test]
fn without_a_terminal_it_is_written_into_a_private_file_and_never_again() {
    let site = Site::on_sqlite();
    let file = site.directory().join("hokusai.operator-token");
    let node = site.serve_unclaimed().start();
    let token = fs::read_to_string(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(tokens(&node, token.trim()).as_array().unwrap().len(), 1);
    let ended = node.stop();
    assert!(!ended.output.contains(token.trim()), "the log shows the token");
    assert!(ended.output.contains("hokusai.operator-token"), "the log does not say where it is");

    fs::remove_file(&file).unwrap();
    let node = site.serve_unclaimed().start();
    assert!(!file.exists());
    assert_eq!(tokens(&node, token.trim()).as_array().unwrap().len(), 1);
}

#[test]
fn the_file_can_be_chosen() {
    let site = Site::on_sqlite();
    let file = site.directory().join("chosen");
    let node = site.serve_unclaimed().env("HOKUSAI_OPERATOR_TOKEN_FILE", &file).start();
    tokens(&node, fs::read_to_string(&file).unwrap().trim());
}

#[test]
fn on_a_terminal_it_is_shown_and_not_written() {
    let site = Site::on_sqlite();
    let serve = format!("{} serve", env!("CARGO_BIN_EXE_hokusai"));
    let node = Program::other("script", site.directory())
        .args(["--quiet", "--return", "--command", &serve, "/dev/null"])
        .env("HOKUSAI_LISTEN", "127.0.0.1:0")
        .env("HOKUSAI_DATABASE", site.database())
        .env("HOKUSAI_LOG_FORMAT", "json")
        .start();
    let output = node.output();
    let token = output.lines().map(str::trim).find(|line| line.starts_with("hka_")).unwrap();
    tokens(&node, token);
    assert!(!site.directory().join("hokusai.operator-token").exists());
}

#[test]
fn of_two_nodes_that_start_at_once_one_hands_a_token_over() {
    let site = Site::on_postgres();
    let starting = |name: &str| {
        let file = site.directory().join(name);
        (site.serve_unclaimed().env("HOKUSAI_OPERATOR_TOKEN_FILE", &file), file)
    };
    let ((one, first), (other, second)) = (starting("one"), starting("other"));
    let (one, _other) = std::thread::scope(|scope| {
        let starting = scope.spawn(|| other.start());
        (one.start(), starting.join().unwrap())
    });
    assert!(first.exists() != second.exists(), "exactly one of the files is there");
    let file = if first.exists() { first } else { second };
    assert_eq!(tokens(&one, fs::read_to_string(file).unwrap().trim()).as_array().unwrap().len(), 1);
}

#[test]
fn a_chosen_token_works_and_does_not_come_back_once_revoked() {
    let site = Site::on_sqlite();
    let node = site.start();
    let chosen = text_of(&tokens(&node, OPERATOR)[0]["token_id"]);
    let wish = json!({"user_id": "admin", "name": "the second", "role": "operator"});
    let second = text_of(&node.as_operator("POST", TOKENS, &wish).expect(201)["token"]);
    node.send(Request::new("DELETE", format!("{TOKENS}/{chosen}")).bearer(&second)).expect(200);
    assert_eq!(node.send(Request::new("GET", TOKENS).bearer(OPERATOR)).status, 401);
    assert_eq!(node.stop().status, Some(0));

    let node = site.start();
    assert_eq!(node.send(Request::new("GET", TOKENS).bearer(OPERATOR)).status, 401);
    assert_eq!(tokens(&node, &second).as_array().unwrap().len(), 2);
}

#[test]
fn a_chosen_token_is_too_short_below_sixteen_bytes() {
    let site = Site::on_sqlite();
    let short = site.serve_unclaimed().env("HOKUSAI_BOOTSTRAP_ADMIN_TOKEN", "fifteen bytes..");
    let ended = crate::startup::refused(short, 2, "HOKUSAI_BOOTSTRAP_ADMIN_TOKEN", "16 bytes");
    assert!(!ended.output.contains("fifteen bytes.."), "a refused token is shown");
}

#[test]
fn whoever_lost_the_last_token_makes_another_in_the_database() {
    let site = Site::on_sqlite();
    assert_eq!(site.start().stop().status, Some(0));
    let create = Program::hokusai(site.directory()).args(["admin-token", "create", "--name", "rescue"]);
    let ended = create.args(["--database", &site.database()]).run_apart();
    let token = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(tokens(&site.start(), token.trim()).as_array().unwrap().len(), 2);
}

fn tokens(node: &Process, token: &str) -> Value {
    node.send(Request::new("GET", TOKENS).bearer(token)).expect(200)
}
