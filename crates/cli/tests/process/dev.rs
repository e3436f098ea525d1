//! `hokusai dev`: the same credentials at every start, for this machine alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::clock::eventually;
use crate::http::Request;
use crate::program::{Process, Program};
use crate::startup::refused;

const TOKENS: &str = "/api/v1/admin-tokens";
const VALIDATE: &str = "/api/v1/keys/validate";

#[test]
fn every_start_prints_the_same_credentials_and_they_work() {
    let directory = TempDir::new().unwrap();
    let node = dev(directory.path()).start();
    let credentials = credentials(&node);
    let (token, key) = (&credentials[1], &credentials[2]);
    node.send(Request::new("GET", TOKENS).bearer(token)).expect(200);
    node.send(Request::new("POST", VALIDATE).bearer(key)).expect(200);
    assert_eq!(node.stop().status, Some(0));
    let node = dev(directory.path()).start();
    assert_eq!(self::credentials(&node)[1..], credentials[1..]);
    node.kill();
    let node = dev(directory.path()).start();
    assert_eq!(self::credentials(&node)[1..], credentials[1..]);
}

#[test]
fn a_revoked_sample_key_is_replaced_at_the_next_start() {
    let directory = TempDir::new().unwrap();
    let node = dev(directory.path()).start();
    let before = credentials(&node);
    let (token, key) = (&before[1], &before[2]);
    let keys = node.send(Request::new("GET", "/api/v1/keys").bearer(token)).expect(200);
    let path = format!("/api/v1/keys/{}", keys[0]["key_id"].as_str().unwrap());
    node.send(Request::new("DELETE", path).bearer(token)).expect(200);
    assert_eq!(node.send(Request::new("POST", VALIDATE).bearer(key)).status, 401);
    node.stop();
    let node = dev(directory.path()).start();
    let after = credentials(&node);
    assert_ne!(&after[2], key);
    node.send(Request::new("POST", VALIDATE).bearer(&after[2])).expect(200);
}

#[test]
fn everything_is_for_its_owner_alone() {
    let directory = TempDir::new().unwrap();
    let _node = dev(directory.path()).start();
    let home = directory.path().join(".hokusai-dev");
    assert_eq!(mode(&home), 0o700);
    let files: Vec<_> = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path()).collect();
    for name in ["admin-token", "api-key", "service-token", "hokusai.db"] {
        assert!(files.contains(&home.join(name)), "{name} is not in {files:?}");
    }
    let journal = fs::read_dir(home.join("gateway")).unwrap().map(|entry| entry.unwrap().path());
    for file in files.into_iter().chain(journal) {
        let expected = if file.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&file), expected, "{}", file.display());
    }
}

#[test]
fn a_foreign_host_is_refused() {
    let directory = TempDir::new().unwrap();
    let node = dev(directory.path()).start();
    let port = node.address.port();
    let asked_as = |host: String| node.send(Request::new("GET", "/health").header("Host", host));
    for foreign in
        ["evil.example".to_owned(), format!("evil.example:{port}"), "127.0.0.1.evil.example".into()]
    {
        let answer = asked_as(foreign);
        assert_eq!((answer.status, answer.code()), (421, "foreign_host"));
    }
    for own in [
        "localhost".to_owned(),
        format!("LOCALHOST:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ] {
        assert_eq!(asked_as(own).status, 200);
    }
}

#[test]
fn only_this_machine_can_be_listened_on() {
    let directory = TempDir::new().unwrap();
    let open = Program::hokusai(directory.path()).args(["dev", "--listen", "0.0.0.0:0"]);
    refused(open, 2, "dev listens only on this machine", "hokusai serve");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_second_dev_in_one_directory_is_refused() {
    let directory = TempDir::new().unwrap();
    let _node = dev(directory.path()).start();
    refused(dev(directory.path()), 1, "another process is using", "stop the other process first");
}

fn dev(directory: &Path) -> Program {
    Program::hokusai(directory).args(["dev", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"])
}

/// What the greeting tells to export: the service's address, an admin token, and a key.
fn credentials(node: &Process) -> Vec<String> {
    let exports = ["HOKUSAI_AUTH_SERVICE_URL", "HOKUSAI_ADMIN_TOKEN", "HOKUSAI_API_KEY"];
    let greeting = eventually(Duration::from_secs(10), "the greeting", || {
        Some(node.output()).filter(|output| output.contains("/api/v1/keys/validate"))
    });
    let value = |name: &str| {
        let line = greeting.lines().find_map(|line| line.trim().strip_prefix(&format!("export {name}=")));
        line.unwrap_or_else(|| panic!("{name} is not in {greeting}")).to_owned()
    };
    exports.map(value).to_vec()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
