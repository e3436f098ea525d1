//! A place where the service runs: a directory and a database, for one or more nodes.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::databases::{self, PostgresDatabase};
use crate::http::{Answer, Request};
use crate::program::{Process, Program};

/// The first operator token of every site.
pub(crate) const OPERATOR: &str = "the operator of the process tests";

/// A directory and a database. Both are gone afterwards.
pub(crate) struct Site {
    directory: TempDir,
    postgres: Option<PostgresDatabase>,
}

/// A key that was made for a fact.
pub(crate) struct NewKey {
    pub(crate) id: String,
    pub(crate) text: String,
}

impl Site {
    pub(crate) fn on_sqlite() -> Self {
        Self { directory: TempDir::new().unwrap(), postgres: None }
    }

    pub(crate) fn on_postgres() -> Self {
        Self { directory: TempDir::new().unwrap(), postgres: Some(PostgresDatabase::create()) }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The URL of the database.
    pub(crate) fn database(&self) -> String {
        match &self.postgres {
            Some(database) => database.url(),
            None => format!("sqlite://{}", self.directory().join("hokusai.db").display()),
        }
    }

    /// Carries a statement out behind the service's back.
    pub(crate) fn execute(&self, statement: &'static str) {
        databases::execute(&self.database(), statement);
    }

    /// `hokusai serve` on this site, with its first operator token still to come.
    pub(crate) fn serve_unclaimed(&self) -> Program {
        Program::hokusai(self.directory())
            .args(["serve"])
            .env("HOKUSAI_LISTEN", "127.0.0.1:0")
            .env("HOKUSAI_DATABASE", self.database())
            .env("HOKUSAI_LOG_FORMAT", "json")
            .env("HOKUSAI_LOOKUPS_PER_SECOND", "100000")
    }

    /// `hokusai serve` on this site, whose first operator token is [`OPERATOR`].
    pub(crate) fn serve(&self) -> Program {
        self.serve_unclaimed().env("HOKUSAI_BOOTSTRAP_ADMIN_TOKEN", OPERATOR)
    }

    pub(crate) fn start(&self) -> Process {
        self.serve().start()
    }
}

impl Process {
    pub(crate) fn create_key(&self, limit: u32) -> NewKey {
        let wish = json!({"name": "a key", "rate_limit_per_hour": limit});
        let created = self.as_operator("POST", "/api/v1/keys", &wish).expect(201);
        NewKey { id: text_of(&created["key_id"]), text: text_of(&created["api_key"]) }
    }

    pub(crate) fn validate(&self, key: &NewKey) -> Answer {
        self.send(validation(key))
    }

    pub(crate) fn revoke(&self, key: &NewKey) {
        self.send(Request::new("DELETE", format!("/api/v1/keys/{}", key.id)).bearer(OPERATOR)).expect(200);
    }

    pub(crate) fn as_operator(&self, method: &'static str, path: &str, body: &Value) -> Answer {
        self.send(Request::new(method, path).bearer(OPERATOR).json(body))
    }
}

/// The request that validates a key and spends a unit.
pub(crate) fn validation(key: &NewKey) -> Request {
    Request::new("POST", "/api/v1/keys/validate").bearer(&key.text)
}

pub(crate) fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
