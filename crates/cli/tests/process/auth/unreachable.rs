//! Exit status 3: no service, or something else in its place; and the forms that its URL can have.

use insta::assert_snapshot;

use super::shell::Shell;
use super::{Desk, stranger};

#[test]
fn where_nothing_listens_no_command_does_anything() {
    let shell = Shell::at("http://127.0.0.1:1", "hka_token").with("HOKUSAI_API_KEY", "hk_live_key");
    assert_snapshot!(shell.auth(&["list-keys", "--format", "json"]), @"
    --- stderr
    error: http://127.0.0.1:1 can't be reached: Connection refused (os error 111)
    hint: check --auth-service-url or HOKUSAI_AUTH_SERVICE_URL, and that the service runs; `hokusai dev` starts one to try on this machine
    --- exit 3
    ");
    let id = "01a2050d-a331-7d37-ac37-9bd0115fd1f3";
    for words in [
        &["create-key", "--name", "x"][..],
        &["show-key", id],
        &["update-key", id, "--any-ip"],
        &["rotate-key", id],
        &["revoke-key", id, "--yes"],
        &["validate"],
        &["usage"],
        &["usage", id],
        &["billing", id],
        &["alerts", "--fail"],
        &["admin-token", "list"],
    ] {
        let told = shell.auth(words);
        assert_eq!((told.status, told.stdout.as_str()), (Some(3), ""), "{words:?}: {told}");
    }
}

#[test]
fn an_answer_that_is_not_the_services_is_not_taken_for_one() {
    let list = |answer| Shell::at(&stranger::answering(answer), "hka_token").auth(&["list-keys"]);
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>";
    assert_snapshot!(list(page), @"
    --- stderr
    error: http://127.0.0.1:PORT answered 200, but not as the Hokusai service would: the body is a web page
    hint: check that --auth-service-url or HOKUSAI_AUTH_SERVICE_URL names the Hokusai service
    --- exit 3
    ");
    assert_snapshot!(list("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), @"
    --- stderr
    error: http://127.0.0.1:PORT answered 200, but not as the Hokusai service would: the body is empty
    hint: check that --auth-service-url or HOKUSAI_AUTH_SERVICE_URL names the Hokusai service
    --- exit 3
    ");
    let moved = "HTTP/1.1 302 Found\r\nLocation: https://login.example.com/\r\nContent-Length: 0\r\n\r\n";
    assert_snapshot!(list(moved), @"
    --- stderr
    error: http://127.0.0.1:PORT answered 302, but not as the Hokusai service would: it points to https://login.example.com/
    hint: check that --auth-service-url or HOKUSAI_AUTH_SERVICE_URL names the Hokusai service
    --- exit 3
    ");
    let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 4\r\n\r\nbusy";
    assert_snapshot!(list(busy), @"
    --- stderr
    error: http://127.0.0.1:PORT is not available (HTTP 503)
    hint: try again in 60 s
    --- exit 3
    ");
}

#[test]
fn a_connection_that_ends_without_an_answer_is_told() {
    let shell = Shell::at(&stranger::answering(""), "hka_token");
    let told = shell.auth(&["create-key", "--name", "x"]);
    assert_eq!((told.status, told.stdout.as_str()), (Some(3), ""), "{told}");
    assert!(told.stderr.contains("broke before its answer was there"), "{told}");
    assert!(told.stderr.contains("hint: it may have been done all the same"), "{told}");
}

#[test]
fn a_service_that_keeps_silent_is_given_up() {
    let shell = Shell::at(&stranger::silent(), "hka_token");
    assert_snapshot!(shell.auth(&["create-key", "--name", "x"]), @"
    --- stderr
    error: http://127.0.0.1:PORT did not answer within 10 s
    hint: it may have been done all the same: look what there is before trying again
    --- exit 3
    ");
}

#[test]
fn the_url_can_end_with_a_slash_or_have_a_path() {
    let desk = Desk::new();
    let at = |url: &str| desk.operator.auth(&["list-keys", "--format", "json", "--auth-service-url", url]);
    assert_eq!(at(&format!("http://{}/", desk.node.address)).json(), serde_json::json!([]));
    let proxy = stranger::proxy(desk.node.address);
    assert_eq!(at(&proxy).json(), serde_json::json!([]));
    assert_eq!(at(&format!("{proxy}/")).json(), serde_json::json!([]));
    let told = desk.operator.with("HOKUSAI_AUTH_SERVICE_URL", &proxy).auth(&["create-key", "--name", "x"]);
    assert_eq!(desk.verdict(&told.secret()), "valid");
}

#[test]
fn a_path_that_the_service_does_not_have_is_told() {
    let desk = Desk::new();
    let url = format!("http://{}/elsewhere", desk.node.address);
    assert_snapshot!(desk.auth(&["list-keys", "--auth-service-url", &url]), @"
    --- stderr
    error: There is nothing at this path; /docs lists what there is
    request id: 00000000-0000-7000-8000-000000000001
    hint: `hokusai auth list-keys` shows the keys that there are, `hokusai auth admin-token list` the tokens
    --- exit 1
    ");
}
