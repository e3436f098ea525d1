//! Exit status 2: what can't be right is refused before anybody is asked.

use insta::assert_snapshot;

use super::shell::Shell;

/// Nothing listens there, so a command that asked would end with status 3.
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn values_that_no_key_can_have_are_refused_here() {
    let long = "x".repeat(101);
    let lines: Vec<String> = [
        &["--allowed-ip", "300.0.0.1"][..],
        &["--allowed-ip", "10.0.0.0/33"],
        &["--rate-limit", "5"],
        &["--rate-limit", "100001"],
        &["--name", ""],
        &["--name", "  "],
        &["--name", &long],
        &["--name", "two\nlines"],
        &["--expires-in-days", "0"],
        &["--expires-in-days", "366"],
        &["--metadata", "team"],
        &["--metadata", "=search"],
        &["--scope", "Model:Read"],
        &["--scope", "mod*"],
        &["--monthly-prediction-limit", "-1"],
        &["--environment", "staging"],
        &["--format", "yaml"],
    ]
    .map(|words| {
        let named = if words[0] == "--name" { vec!["create-key"] } else { vec!["create-key", "--name", "x"] };
        told(&[&named[..], words].concat()).replace(&long, "xxx…")
    })
    .into();
    assert_snapshot!(lines.join("\n"), @"
    error: invalid value '300.0.0.1' for '--allowed-ip <ADDRESS>': must be an IP address or a CIDR block, such as 203.0.113.7 or 10.0.0.0/8
    error: invalid value '10.0.0.0/33' for '--allowed-ip <ADDRESS>': must be an IP address or a CIDR block, such as 203.0.113.7 or 10.0.0.0/8
    error: invalid value '5' for '--rate-limit <NUMBER>': 5 is not in 10..=100000
    error: invalid value '100001' for '--rate-limit <NUMBER>': 100001 is not in 10..=100000
    error: invalid value '' for '--name <NAME>': must be 1 to 100 characters long, not 0
    error: invalid value '  ' for '--name <NAME>': must be 1 to 100 characters long, not 0
    error: invalid value 'xxx…' for '--name <NAME>': must be 1 to 100 characters long, not 101
    error: invalid value 'two
    lines' for '--name <NAME>': must not have control characters, such as a line break
    error: invalid value '0' for '--expires-in-days <DAYS>': 0 is not in 1..=365
    error: invalid value '366' for '--expires-in-days <DAYS>': 366 is not in 1..=365
    error: invalid value 'team' for '--metadata <NAME=VALUE>': must be NAME=VALUE, such as team=search
    error: invalid value '=search' for '--metadata <NAME=VALUE>': must be NAME=VALUE, such as team=search
    error: invalid value 'Model:Read' for '--scope <SCOPE>': must be 1 to 64 of a-z, 0-9 and :._- such as model:read, or end in *
    error: invalid value 'mod*' for '--scope <SCOPE>': must be 1 to 64 of a-z, 0-9 and :._- such as model:read, or end in *
    error: unexpected argument '-1' found
    error: invalid value 'staging' for '--environment <NAME>': must be production, test or development
    error: invalid value 'yaml' for '--format <FORMAT>'
      [possible values: table, json]
    ");
}

#[test]
fn a_change_is_looked_at_as_closely_and_has_to_change_something() {
    let id = "01a2050d-a331-7d37-ac37-9bd0115fd1f3";
    let lines: Vec<String> = [
        &[][..],
        &["--format", "json"],
        &["--allowed-ip", "300.0.0.1"],
        &["--rate-limit", "9"],
        &["--name", ""],
        &["--expires-in-days", "366"],
        &["--any-ip", "--allowed-ip", "10.0.0.1"],
        &["--never-expires", "--expires-in-days", "1"],
        &["--any-predictions", "--monthly-prediction-limit", "1"],
    ]
    .map(|words| told(&[&["update-key", id], words].concat()))
    .into();
    assert_snapshot!(lines.join("\n"), @"
    error: the following required arguments were not provided:
      <--name <NAME>|--rate-limit <NUMBER>|--allowed-ip <ADDRESS>|--any-ip|--expires-in-days <DAYS>|--never-expires|--scope <SCOPE>|--billing-plan <PLAN>|--monthly-prediction-limit <NUMBER>|--any-predictions|--metadata <NAME=VALUE>>
    error: the following required arguments were not provided:
      <--name <NAME>|--rate-limit <NUMBER>|--allowed-ip <ADDRESS>|--any-ip|--expires-in-days <DAYS>|--never-expires|--scope <SCOPE>|--billing-plan <PLAN>|--monthly-prediction-limit <NUMBER>|--any-predictions|--metadata <NAME=VALUE>>
    error: invalid value '300.0.0.1' for '--allowed-ip <ADDRESS>': must be an IP address or a CIDR block, such as 203.0.113.7 or 10.0.0.0/8
    error: invalid value '9' for '--rate-limit <NUMBER>': 9 is not in 10..=100000
    error: invalid value '' for '--name <NAME>': must be 1 to 100 characters long, not 0
    error: invalid value '366' for '--expires-in-days <DAYS>': 366 is not in 1..=365
    error: the argument '--any-ip' cannot be used with '--allowed-ip <ADDRESS>'
    error: the argument '--never-expires' cannot be used with '--expires-in-days <DAYS>'
    error: the argument '--any-predictions' cannot be used with '--monthly-prediction-limit <NUMBER>'
    ");
}

#[test]
fn what_is_no_id_is_refused_and_a_secret_in_its_place_is_not_repeated() {
    let lines: Vec<String> = [
        &["show-key", "hk_live_6lpqLMSMABhVhBFOXXJcS7FrBm3lPTuz"][..],
        &["update-key", "hk_live_6lp***", "--any-ip"],
        &["rotate-key", "My key"],
        &["revoke-key", "01a2050d", "01a2050"],
        &["revoke-key"],
        &["show-key", "01a2050d-a331-7d37-ac37-9bd0115fd1f3-0"],
        &["admin-token", "revoke", "hka_BoGcjaFd7VVaRO2Bjggj1mC0oX0cnY4q"],
    ]
    .map(told)
    .into();
    assert_snapshot!(lines.join("\n"), @"
    error: the value of <KEY_ID> is a key, or part of one, and not an id; `hokusai auth list-keys` shows the ids
    error: the value of <KEY_ID> is a key, or part of one, and not an id; `hokusai auth list-keys` shows the ids
    error: the value of [KEY_ID] is no key id; `hokusai auth list-keys` shows the ids
    error: the value of <KEY_ID>... is too short: at least 8 characters of an id are needed
    error: the following required arguments were not provided:
      <KEY_ID>...
    error: the value of <KEY_ID> is no key id; `hokusai auth list-keys` shows the ids
    error: the value of <TOKEN_ID> is no token id; `hokusai auth admin-token list` shows the ids
    ");
}

#[test]
fn rotating_all_keys_needs_a_file_and_goes_without_an_id() {
    let id = "01a2050d-a331-7d37-ac37-9bd0115fd1f3";
    let lines: Vec<String> = [
        &["rotate-key"][..],
        &["rotate-key", "--all"],
        &["rotate-key", id, "--all", "--save", "new-keys"],
        &["rotate-key", id, "--save", "new-keys"],
        &["rotate-key", id, "--environment", "test"],
        &["rotate-key", "--all", "--save", "new-keys", "--format", "json"],
        &["rotate-key", id, "--grace-hours", "169"],
    ]
    .map(told)
    .into();
    assert_snapshot!(lines.join("\n"), @"
    error: the following required arguments were not provided:
      <KEY_ID>
    error: the following required arguments were not provided:
      --save <FILE>
    error: the argument '[KEY_ID]' cannot be used with:
      --all
      --save <FILE>
    error: the argument '[KEY_ID]' cannot be used with '--save <FILE>'
    error: the argument '[KEY_ID]' cannot be used with '--environment <NAME>'
    error: the argument '--all' cannot be used with '--format <FORMAT>'
    error: invalid value '169' for '--grace-hours <HOURS>': 169 is not in 0..=168
    ");
}

#[test]
fn usage_and_bills_are_of_whole_months_and_of_keys_by_their_ids() {
    let id = "01a2050d-a331-7d37-ac37-9bd0115fd1f3";
    let lines: Vec<String> = [
        &["usage", "--period", "2026-13"][..],
        &["usage", id, "--period", "2026-11-07"],
        &["usage", "--period", "november"],
        &["usage", "--by", "model"],
        &["usage", "--by", "endpoint"],
        &["usage", id, "--user", "bob"],
        &["usage", "hk_live_6lpqLMSMABhVhBFOXXJcS7FrBm3lPTuz"],
        &["usage", "--format", "xml"],
        &["billing"],
        &["billing", id, "--period", "2026-0"],
        &["billing", id, "--format", "csv"],
        &["alerts", "--format", "csv"],
    ]
    .map(told)
    .into();
    assert_snapshot!(lines.join("\n"), @"
    error: invalid value '2026-13' for '--period <MONTH>': must be a month (UTC), written as year and month, such as 2026-11
    error: invalid value '2026-11-07' for '--period <MONTH>': must be a whole month: 2026-11
    error: invalid value 'november' for '--period <MONTH>': must be a month (UTC), written as year and month, such as 2026-11
    error: invalid value 'model' for '--by <day|endpoint|service>'
      [possible values: day, endpoint, service]
    error: endpoints are told apart for one key only
    hint: name a key: `hokusai auth usage KEY_ID --by endpoint`; `hokusai auth list-keys` shows the ids
    error: the argument '[KEY_ID]' cannot be used with '--user <USER>'
    error: the value of [KEY_ID] is a key, or part of one, and not an id; `hokusai auth list-keys` shows the ids
    error: invalid value 'xml' for '--format <table|json|csv>'
      [possible values: table, json, csv]
    error: the following required arguments were not provided:
      <KEY_ID>
    error: invalid value '2026-0' for '--period <MONTH>': must be a month (UTC), written as year and month, such as 2026-11
    error: invalid value 'csv' for '--format <table|json>'
      [possible values: table, json]
    error: invalid value 'csv' for '--format <table|json>'
      [possible values: table, json]
    ");
}

#[test]
fn tokens_are_looked_at_before_they_are_asked_for() {
    let lines: Vec<String> = [
        &["--user", "bob", "--name", ""][..],
        &["--user", "bob", "--name", "x", "--role", "admin"],
        &["--user", "bob", "--name", "x", "--expires-in-days", "0"],
        &["--name", "x"],
    ]
    .map(|words| told(&[&["admin-token", "create"], words].concat()))
    .into();
    assert_snapshot!(lines.join("\n"), @"
    error: invalid value '' for '--name <NAME>': must be 1 to 100 characters long, not 0
    error: invalid value 'admin' for '--role <ROLE>'
      [possible values: operator, member, verifier]
    error: invalid value '0' for '--expires-in-days <DAYS>': 0 is not in 1..=365
    error: the following required arguments were not provided:
      --user <USER>
    ");
}

#[test]
fn a_url_that_leads_nowhere_is_refused_with_the_place_that_it_comes_from() {
    let at = |url: &str| Shell::at(url, "hka_token").auth(&["list-keys"]);
    assert_snapshot!(at("127.0.0.1:4658"), @"
    --- stderr
    error: HOKUSAI_AUTH_SERVICE_URL: the service's URL needs a scheme: https://127.0.0.1:4658
    hint: write it like https://auth.hokus.ai or http://127.0.0.1:4658
    --- exit 2
    ");
    assert_snapshot!(at("http://127.0.0.1:4658/?page=2"), @"
    --- stderr
    error: HOKUSAI_AUTH_SERVICE_URL: the service's URL must end with its path, without '?' or '#'
    hint: write it like https://auth.hokus.ai or http://127.0.0.1:4658
    --- exit 2
    ");
    assert_snapshot!(at("ftp://127.0.0.1"), @"
    --- stderr
    error: HOKUSAI_AUTH_SERVICE_URL: the service's URL must begin with https:// (or http://), not ftp://
    hint: write it like https://auth.hokus.ai or http://127.0.0.1:4658
    --- exit 2
    ");
    assert_snapshot!(at("http://me:secret@127.0.0.1"), @"
    --- stderr
    error: HOKUSAI_AUTH_SERVICE_URL: the service's URL must not hold a user name or a password; give the token by itself
    hint: write it like https://auth.hokus.ai or http://127.0.0.1:4658
    --- exit 2
    ");
    assert_snapshot!(at("http://auth.example.com"), @"
    --- stderr
    error: http://auth.example.com is plain http, which anybody in between can read; use https
    hint: --allow-plain-http sends tokens all the same, as inside a network of your own
    --- exit 2
    ");
    let flag = Shell::at(NOWHERE, "hka_token").auth(&["list-keys", "--auth-service-url", "x y"]);
    assert_snapshot!(flag, @"
    --- stderr
    error: --auth-service-url: the service's URL needs a scheme: https://x y
    hint: write it like https://auth.hokus.ai or http://127.0.0.1:4658
    --- exit 2
    ");
}

/// The words, and the lines of the error that they draw up to the usage.
fn told(words: &[&str]) -> String {
    let told = Shell::at(NOWHERE, "hka_token").auth(words);
    assert_eq!((told.status, told.stdout.as_str()), (Some(2), ""), "{words:?}: {told}");
    let lines: Vec<&str> = told.stderr.lines().take_while(|line| !line.is_empty()).collect();
    lines.join("\n")
}
