//! Settings: a flag before a variable before the file before the default; unknown ones refused by name.

use std::fs;

use serde_json::{Value, json};

use crate::http::Request;
use crate::program::Program;
use crate::site::Site;
use crate::startup::refused;

#[test]
fn a_flag_goes_before_a_variable_before_the_file_before_the_default() {
    let site = Site::on_sqlite();
    let file = site.directory().join("hokusai.toml");
    fs::write(&file, "services = [\"from-file\"]\n").unwrap();
    let with_file = || site.serve().args(["--config".as_ref(), file.as_os_str()]);
    let with_variable = || with_file().env("HOKUSAI_SERVICES", "from-variable,other");
    let with_flag = || with_variable().args(["--services", "from-flag"]);
    let defaults = json!(["platform", "prediction", "website", "ml-platform"]);
    assert_eq!(services(site.serve()), defaults);
    assert_eq!(services(with_file()), json!(["from-file"]));
    assert_eq!(services(with_variable()), json!(["from-variable", "other"]));
    assert_eq!(services(with_flag()), json!(["from-flag"]));
}

#[test]
fn a_variable_can_name_the_file() {
    let site = Site::on_sqlite();
    let file = site.directory().join("hokusai.toml");
    fs::write(&file, "services = [\"from-file\"]\n").unwrap();
    assert_eq!(services(site.serve().env("HOKUSAI_CONFIG", &file)), json!(["from-file"]));
}

#[test]
fn an_unknown_flag_is_refused_with_the_nearest_known() {
    let site = Site::on_sqlite();
    let ended = site.serve().args(["--listn", "127.0.0.1:0"]).run();
    assert_eq!(ended.status, Some(2));
    assert!(ended.output.contains("'--listn'") && ended.output.contains("'--listen'"), "{ended:?}");
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_known() {
    let site = Site::on_sqlite();
    let mistyped = site.serve().env("HOKUSAI_LISTN", "127.0.0.1:0");
    refused(mistyped, 2, "unknown variable HOKUSAI_LISTN", "did you mean HOKUSAI_LISTEN?");
}

#[test]
fn a_variable_that_belongs_to_somebody_else_is_left_alone() {
    let site = Site::on_sqlite();
    let node = site.serve().env("HOKUSAI_AUTH_SERVICE_PORT_4658_TCP", "tcp://10.0.0.1:4658").start();
    assert_eq!(node.stop().status, Some(0));
}

#[test]
fn an_unknown_setting_in_the_file_is_refused_with_the_nearest_known() {
    let site = Site::on_sqlite();
    let file = site.directory().join("hokusai.toml");
    fs::write(&file, "log = \"info\"\nlisen = \"127.0.0.1:0\"\n").unwrap();
    let mistyped = site.serve().env("HOKUSAI_CONFIG", &file);
    let ended = refused(mistyped, 2, "unknown setting lisen in", "did you mean listen?");
    assert!(ended.output.contains("hokusai.toml: line 2"), "{ended:?}");
}

#[test]
fn what_the_gateway_would_refuse_at_its_start_is_found_before() {
    let site = Site::on_sqlite();
    let file = site.directory().join("hokusai.toml");
    let checked = |text: &str, error: &str, hint: &str| {
        fs::write(&file, text).unwrap();
        let check = Program::hokusai(site.directory()).args(["gateway", "--check", "--config"]).args([&file]);
        refused(check, 2, error, hint).output
    };
    let output = checked("[gateway]\nlisen = 1\n", "unknown setting lisen in", "did you mean listen?");
    assert!(output.contains("hokusai.toml: line 2"), "{output}");
    let ttl = "[gateway]\nvalidation_ttl_seconds = 301\n";
    checked(ttl, "validation_ttl_seconds: must be from 1 to 300", "leave the setting out");
    let output =
        checked("[[gateway.routes]]\nprefix = \"/a\"\n", "1 mistake in the routes", "docs/gateway.md");
    assert!(output.contains("hokusai.toml:1: a route needs an upstream"), "{output}");
}

#[test]
fn a_value_that_can_not_be_read_is_refused_wherever_it_stands() {
    let site = Site::on_sqlite();
    let ended = site.serve().args(["--database-connections", "many"]).run();
    assert!(ended.status == Some(2) && ended.output.contains("--database-connections"), "{ended:?}");
    let file = site.directory().join("hokusai.toml");
    fs::write(&file, "log = \"info\"\ndatabase_connections = \"many\"\n").unwrap();
    refused(site.serve().env("HOKUSAI_CONFIG", &file), 2, "hokusai.toml: line ", "docs/configuration.md");
    refused(site.serve().env("HOKUSAI_TRUSTED_PROXIES", "10.0.0.0/33"), 2, "10.0.0.0/33", "10.0.0.0/8");
}

#[test]
fn a_broken_file_is_refused_without_showing_the_password_in_it() {
    let site = Site::on_sqlite();
    let file = site.directory().join("hokusai.toml");
    fs::write(&file, "log = \"info\"\ndatabase = \"postgres://me:hunter2hunter2@db/x\n").unwrap();
    let broken = site.serve().env("HOKUSAI_CONFIG", &file);
    let ended = refused(broken, 2, "hokusai.toml: line 2", "docs/configuration.md");
    assert!(!ended.output.contains("hunter2"), "{ended:?}");
}

/// The services that the running service knows, as its API documentation lists them.
fn services(serve: Program) -> Value {
    let node = serve.start();
    let document = node.send(Request::new("GET", "/openapi.json")).expect(200);
    document["components"]["schemas"]["ServiceId"]["enum"].clone()
}
