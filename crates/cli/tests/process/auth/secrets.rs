//! No command shows a secret but the one that it makes, and that only on standard output.

use serde_json::json;

use super::Desk;
use super::shell::Told;
use crate::site::text_of;

#[test]
fn a_secret_is_shown_once_and_on_standard_output_alone() {
    let desk = Desk::new();
    let operator = desk.somebody("admin", "operator");
    let mut secrets = vec![operator.value("HOKUSAI_ADMIN_TOKEN").to_owned()];
    let mut made: Vec<Told> = Vec::new();
    let mut shown: Vec<Told> = Vec::new();
    let created = operator.auth(&["create-key", "--name", "x", "--format", "json"]);
    let (id, key) = (text_of(&created.json()["key_id"]), text_of(&created.json()["api_key"]));
    let shell = operator.with("HOKUSAI_API_KEY", &key);
    // A key in an endpoint's query is no part of what is kept.
    let used = json!({"service_id": "platform", "endpoint": format!("/v1?api_key={key}"), "status_code": 200,
        "response_time_ms": 1});
    desk.node.as_operator("POST", &format!("/api/v1/usage/{id}"), &used).expect(200);
    let rotated = shell.auth(&["rotate-key", &id]);
    let token = shell.auth(&["admin-token", "create", "--user", "bob", "--name", "x"]);
    secrets.extend([key.clone(), rotated.secret(), token.secret()]);
    made.extend([created, rotated, token]);
    made.push(shell.auth(&["rotate-key", "--all", "--save", "new-keys", "--yes"]));
    for words in [
        &["list-keys"][..],
        &["list-keys", "--format", "json"],
        &["show-key", &id],
        &["show-key", &id, "--format", "json"],
        &["update-key", &id, "--name", "y", "--format", "json"],
        &["validate"],
        &["validate", "--format", "json"],
        &["usage", &id, "--by", "endpoint"],
        &["usage", &key],
        &["billing", &id],
        &["billing", &key],
        &["alerts"],
        &["whoami"],
        &["whoami", "--format", "json"],
        &["admin-token", "list"],
        &["admin-token", "list", "--format", "json"],
        &["config", "show"],
        &["config", "show", "--format", "json"],
        &["revoke-key", &id],
        &["revoke-key", &id, "--yes"],
        &["validate"],
        &["update-key", &id, "--name", "z"],
        &["list-keys", "--auth-service-url", "http://127.0.0.1:1"],
        &["list-keys", "--profile", "missing"],
    ] {
        shown.push(shell.auth(words));
    }
    let file = std::fs::read_to_string(shell.file("new-keys")).unwrap();
    let saved = file.lines().map(|line| serde_json::from_str(line).unwrap());
    secrets.extend(saved.map(|key: serde_json::Value| text_of(&key["api_key"])));
    assert_eq!(secrets.len(), 5);
    for secret in &secrets {
        assert!(secret.len() >= 36, "{secret} is no secret");
        for told in made.iter().chain(&shown) {
            assert!(!told.stderr.contains(secret.as_str()), "{told:?} shows {secret}");
        }
        for told in &shown {
            assert!(!told.stdout.contains(secret.as_str()), "{told:?} shows {secret}");
        }
    }
    let all = shown.iter().map(|told| told.stdout.as_str()).collect::<String>();
    assert!(all.contains(&id), "what was shown is of this key");
}
