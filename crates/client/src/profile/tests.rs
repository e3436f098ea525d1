//! Which of several values counts.

use std::os::unix::ffi::OsStringExt as _;

use insta::{assert_debug_snapshot, assert_snapshot};

use super::*;

const FILE: &str = "\
profile = staging
[default]
admin_token = token of default
api_key = hk_live_default
[staging]
auth_service_url = https://auth.staging.hokus.ai
admin_token = token of staging
";

/// What `--name value` says.
fn given(words: &[&'static str]) -> Given {
    let pairs = words.chunks_exact(2).map(|pair| (pair[0], pair[1].to_owned()));
    pairs.fold(Given::default(), |given, (name, value)| match name {
        "--profile" => given.profile(value, name),
        _ => given.setting(Setting::AuthServiceUrl, Secret::new(value), name),
    })
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().chain([("HOME", "/home/me")]).collect();
    Environment::read(|name| variables.get(name).map(OsString::from)).unwrap()
}

fn settle(words: &[&'static str], variables: &[(&str, &str)], file: &str) -> Result<Connection, ConfigError> {
    given(words).settle(&environment(variables), &Document::parse(file).unwrap())
}

/// A connection as `config show` tells it, but with its secrets.
fn told(connection: &Connection) -> String {
    let secret = |secret: &Option<Sourced<Secret>>| match secret {
        Some(secret) => format!("{} ({})", secret.value.expose(), secret.source),
        None => "none".to_owned(),
    };
    let plain = |plain: &Sourced<String>| format!("{} ({})", plain.value, plain.source);
    [
        plain(&connection.profile),
        plain(&connection.service_url),
        plain(&connection.api_endpoint),
        secret(&connection.admin_token),
        secret(&connection.api_key),
    ]
    .join("\n")
}

fn refusal(outcome: Result<Connection, ConfigError>) -> String {
    format!("{:#?}", outcome.unwrap_err())
}

#[test]
fn without_anything_there_are_defaults() {
    assert_snapshot!(told(&settle(&[], &[], "").unwrap()), @"
    default (default)
    https://auth.hokus.ai (default)
    https://api.hokus.ai (default)
    none
    none
    ");
}

#[test]
fn the_current_profile_is_the_one_that_the_file_names() {
    assert_snapshot!(told(&settle(&[], &[], FILE).unwrap()), @"
    staging (~/.hokusai/config)
    https://auth.staging.hokus.ai (~/.hokusai/config [staging])
    https://api.hokus.ai (default)
    token of staging (~/.hokusai/config [staging])
    none
    ");
}

#[test]
fn a_variable_goes_before_the_file_and_a_flag_before_both() {
    let variables = [
        ("HOKUSAI_PROFILE", "default"),
        ("HOKUSAI_ADMIN_TOKEN", "token of the variable"),
        ("HOKUSAI_API_ENDPOINT", "https://api.example.com"),
        ("HOKUSAI_AUTH_SERVICE_URL", "https://variable.example.com"),
    ];
    assert_snapshot!(told(&settle(&[], &variables, FILE).unwrap()), @"
    default (HOKUSAI_PROFILE)
    https://variable.example.com (HOKUSAI_AUTH_SERVICE_URL)
    https://api.example.com (HOKUSAI_API_ENDPOINT)
    token of the variable (HOKUSAI_ADMIN_TOKEN)
    hk_live_default (~/.hokusai/config [default])
    ");
    let words = ["--profile", "staging", "--auth-service-url", "http://127.0.0.1:4658"];
    assert_snapshot!(told(&settle(&words, &variables, FILE).unwrap()), @"
    staging (--profile)
    http://127.0.0.1:4658 (--auth-service-url)
    https://api.example.com (HOKUSAI_API_ENDPOINT)
    token of the variable (HOKUSAI_ADMIN_TOKEN)
    none
    ");
}

#[test]
fn an_empty_variable_says_nothing() {
    let variables = [("HOKUSAI_PROFILE", ""), ("HOKUSAI_ADMIN_TOKEN", " "), ("HOKUSAI_API_KEY", "")];
    let (set, unset) = (settle(&[], &variables, FILE).unwrap(), settle(&[], &[], FILE).unwrap());
    assert_eq!(told(&set), told(&unset));
}

#[test]
fn a_profile_inherits_nothing() {
    let connection = settle(&["--profile", "staging"], &[], FILE).unwrap();
    assert_eq!(connection.api_key, None);
}

#[test]
fn the_default_profile_need_not_be_in_the_file() {
    let connection = settle(&["--profile", "default"], &[], "[other]\napi_key = x\n").unwrap();
    assert_eq!(connection.api_key, None);
}

#[test]
fn a_profile_that_is_not_there_is_refused_with_the_nearest() {
    assert_snapshot!(refusal(settle(&["--profile", "stagin"], &[], FILE)), @r#"
    Wrong {
        what: "there is no profile stagin in ~/.hokusai/config; --profile asks for it",
        hint: "did you mean staging? There are: default, staging",
    }
    "#);
    assert_snapshot!(refusal(settle(&[], &[("HOKUSAI_PROFILE", "elsewhere")], FILE)), @r#"
    Wrong {
        what: "there is no profile elsewhere in ~/.hokusai/config; HOKUSAI_PROFILE asks for it",
        hint: "there are: default, staging",
    }
    "#);
    assert_snapshot!(refusal(settle(&["--profile", "prod"], &[], "")), @r#"
    Wrong {
        what: "there is no profile prod in ~/.hokusai/config; --profile asks for it",
        hint: "make it: hokusai auth config init --profile prod",
    }
    "#);
    assert_snapshot!(refusal(settle(&[], &[], "profile = gone\n[default]\n")), @r#"
    Wrong {
        what: "there is no profile gone in ~/.hokusai/config; ~/.hokusai/config asks for it",
        hint: "there are: default",
    }
    "#);
}

#[test]
fn a_url_that_can_not_be_used_is_refused_without_showing_it() {
    let cases = [
        "auth.hokus.ai",
        "ftp://auth.hokus.ai",
        "https://",
        "https://me:hunter2@auth.hokus.ai",
        "https://auth.hokus.ai # production",
        "https://auth.hokus.ai production",
        "https://auth.hokus.ai?x",
    ];
    for url in cases {
        let text = refusal(settle(&[], &[("HOKUSAI_AUTH_SERVICE_URL", url)], ""));
        assert!(
            text.contains("HOKUSAI_AUTH_SERVICE_URL: the service's URL") && !text.contains("hunter2"),
            "{text}"
        );
    }
    for url in ["https://auth.hokus.ai", "http://[::1]:4658/", "https://hokus.ai/auth@home"] {
        assert!(check_url(url).is_ok(), "{url}");
    }
}

#[test]
fn a_variable_that_can_not_be_read_is_named() {
    let not_text = |_: &str| Some(OsString::from_vec(vec![0xff]));
    assert!(format!("{:?}", Environment::read(not_text).unwrap_err()).contains("HOKUSAI_API_KEY"));
    let two_lines = |name: &str| (name == "HOKUSAI_ADMIN_TOKEN").then(|| "one\ntwo".into());
    let text = format!("{:?}", Environment::read(two_lines).unwrap_err());
    assert!(text.contains("HOKUSAI_ADMIN_TOKEN") && !text.contains("two\""), "{text}");
}

#[test]
fn the_file_is_in_the_home_directory_unless_a_variable_names_another() {
    let place = |chosen: &str, home: &str| {
        let some = |text: &str| Some(OsString::from(text)).filter(|text| !text.is_empty());
        ConfigPath::choose(some(chosen), some(home))
            .map(|file| (file.path().to_owned(), file.shown().to_owned()))
    };
    assert_debug_snapshot!([place("", "/home/me"), place("/etc/x", "/home/me"), place("", "")], @r#"
    [
        Some(
            (
                "/home/me/.hokusai/config",
                "~/.hokusai/config",
            ),
        ),
        Some(
            (
                "/etc/x",
                "/etc/x",
            ),
        ),
        None,
    ]
    "#);
}

#[test]
fn of_a_secret_only_the_beginning_is_shown() {
    let cases = [
        ("hk_live_abcdefghijklmnop", "hk_live_abcd…"),
        ("hk_dev_abcdefghijklmnop", "hk_dev_abcd…"),
        ("hka_abcdefghijklmnop", "hka_abcd…"),
        ("hka_abcdefghijklmno", "…"),
        ("a token that somebody chose", "a to…"),
        ("too short", "…"),
    ];
    for (text, shown) in cases {
        assert_eq!(beginning(&Secret::new(text.into())), shown);
    }
}
