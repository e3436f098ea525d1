//! `hokusai auth` as its users meet it: what it prints, on which stream, and with which exit status.

mod admin_token;
mod alerts;
mod billing;
mod colors;
mod create_key;
mod list_keys;
mod revoke_key;
mod rotate_all;
mod rotate_key;
mod secrets;
mod shell;
mod show_key;
mod stranger;
mod unauthorised;
mod unreachable;
mod update_key;
mod usage;
mod validate;
mod whoami;
mod wrong_use;

use serde_json::json;
use shell::{Shell, Told};

use crate::http::Request;
use crate::program::{Process, Program};
use crate::site::{NewKey, Site, text_of};
use crate::terminal::Terminal;

/// A service, and its operator at a shell.
struct Desk {
    site: Site,
    node: Process,
    operator: Shell,
}

impl Desk {
    fn new() -> Self {
        Self::configured(&[])
    }

    /// A service with these settings, as variables.
    fn configured(settings: &[(&str, &str)]) -> Self {
        let site = Site::on_sqlite();
        let with = |program: Program, (name, value): &(&str, &str)| program.env(name, value);
        let node = settings.iter().fold(site.serve(), with).start();
        let token = token(&node, "admin", "operator");
        let operator = Shell::at(&url(&node), &token);
        Self { site, node, operator }
    }

    /// The same after a statement was carried out behind the service's back.
    fn changed_by(self, statement: &'static str) -> Self {
        let Self { site, node, operator } = self;
        assert_eq!(node.stop().status, Some(0));
        site.execute(statement);
        let node = site.start();
        let operator = operator.with("HOKUSAI_AUTH_SERVICE_URL", &url(&node));
        Self { site, node, operator }
    }

    fn auth(&self, words: &[&str]) -> Told {
        self.operator.auth(words)
    }

    /// Somebody with another token.
    fn somebody(&self, user: &str, role: &str) -> Shell {
        self.operator.with("HOKUSAI_ADMIN_TOKEN", &token(&self.node, user, role))
    }

    /// A new key with these settings.
    fn key(&self, name: &str, settings: &[&str]) -> NewKey {
        let words = [&["create-key", "--format", "json", "--name", name], settings].concat();
        let created = self.auth(&words).json();
        NewKey { id: text_of(&created["key_id"]), text: text_of(&created["api_key"]) }
    }

    /// `valid`, or why not.
    fn verdict(&self, key: &str) -> String {
        let answer = self.node.send(Request::new("POST", "/api/v1/keys/validate").bearer(key));
        if answer.status == 200 { "valid".to_owned() } else { answer.code().to_owned() }
    }

    /// The operator's command in a terminal.
    fn terminal(&self, words: &[&str]) -> Terminal {
        assert_eq!(self.auth(&["config", "init", "--yes"]).status, Some(0));
        Terminal::hokusai(self.operator.home(), &[&["auth"], words].concat())
    }
}

fn url(node: &Process) -> String {
    format!("http://{}", node.address)
}

fn token(node: &Process, user: &str, role: &str) -> String {
    let wish = json!({"user_id": user, "name": format!("the {role}"), "role": role});
    text_of(&node.as_operator("POST", "/api/v1/admin-tokens", &wish).expect(201)["token"])
}

/// The words of a command that has no blanks in them.
fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}
