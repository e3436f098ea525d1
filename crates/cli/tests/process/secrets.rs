//! After a busy day no secret stands in a log or a file.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::http::Request;
use crate::program::Process;
use crate::site::{NewKey, OPERATOR, Site, text_of, validation};

#[test]
fn no_issued_key_or_token_is_in_the_logs_or_in_the_files() {
    let site = Site::on_sqlite();
    let node = site.serve().args(["--log", "trace"]).start();
    let secrets = be_busy(&node);
    let before = bytes_of_files(site.directory());
    let ended = node.stop();
    let after = bytes_of_files(site.directory());
    assert!(ended.output.contains("/api/v1/keys/validate"), "the log tells of requests");
    for secret in &secrets {
        assert!(!ended.output.contains(secret.as_str()), "the log shows {secret}");
        for (file, bytes) in before.iter().chain(&after) {
            assert!(!contains(bytes, secret.as_bytes()), "{} holds {secret}", file.display());
        }
    }
}

/// The search finds what is there.
#[test]
fn the_first_token_is_in_its_file_and_in_no_other() {
    let site = Site::on_sqlite();
    let node = site.serve_unclaimed().args(["--log", "trace"]).start();
    let token = fs::read_to_string(site.directory().join("hokusai.operator-token")).unwrap();
    node.send(Request::new("GET", "/api/v1/keys").bearer(token.trim())).expect(200);
    let ended = node.stop();
    assert!(!ended.output.contains(token.trim()), "the log shows the token");
    let files = bytes_of_files(site.directory()).into_iter();
    let holding: Vec<PathBuf> =
        files.filter(|(_, bytes)| contains(bytes, token.trim().as_bytes())).map(|(file, _)| file).collect();
    assert_eq!(holding, [site.directory().join("hokusai.operator-token")]);
}

/// Does everything that a secret goes through, and names all secrets that went.
fn be_busy(node: &Process) -> Vec<String> {
    let mut secrets = vec![OPERATOR.to_owned()];
    for number in 0..30 {
        let key = node.create_key(10 + number);
        for _ in 0..=(number % 14) {
            node.validate(&key);
        }
        let path = format!("/api/v1/keys/{}", key.id);
        node.send(Request::new("GET", "/api/v1/keys").bearer(&key.text)).expect(200);
        node.send(Request::new("POST", "/api/v1/keys/validate").header("X-API-Key", &key.text));
        node.send(Request::new("POST", "/api/v1/keys/validate").json(&json!({"api_key": key.text})));
        node.send(Request::new("GET", format!("/api/v1/keys?api_key={}", key.text)));
        node.send(Request::new("GET", format!("/api/v1/keys/{}", key.text)).bearer(OPERATOR));
        node.send(Request::new("POST", path.clone()).bearer(&key.text));
        let rotated = node.as_operator("POST", &format!("{path}/rotate"), &json!({})).expect(200);
        let successor = NewKey { id: text_of(&rotated["key_id"]), text: text_of(&rotated["api_key"]) };
        node.validate(&successor);
        node.as_operator("PATCH", &path, &json!({"name": "renamed"})).expect(200);
        if number % 3 == 0 {
            node.revoke(&key);
            node.validate(&key);
        }
        let wish = json!({"user_id": "somebody", "name": "a token", "role": "member"});
        let token = text_of(&node.as_operator("POST", "/api/v1/admin-tokens", &wish).expect(201)["token"]);
        node.send(Request::new("GET", "/api/v1/keys").bearer(&token)).expect(200);
        node.send(validation(&successor).header("X-Hokusai-Service-Token", &token));
        secrets.extend([key.text, successor.text, token]);
    }
    secrets
}

fn bytes_of_files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn contains(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}
