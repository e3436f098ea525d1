//! Databases beside the service: made, asked and dropped by the tests themselves.

use std::str::FromStr as _;

use hokusai_core::audit::{AuditKey, Entry, FIRST};
use hokusai_core::time::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

const SERVER: &str = "HOKUSAI_TEST_POSTGRES";

/// A database of its own on the tests' PostgreSQL; dropped at the end.
pub(crate) struct PostgresDatabase {
    name: String,
}

impl PostgresDatabase {
    pub(crate) fn create() -> Self {
        let name = format!("process_facts_{:016x}", rand::random::<u64>());
        on_server(format!("create database {name} template template0"));
        Self { name }
    }

    pub(crate) fn url(&self) -> String {
        server().database(&self.name).to_url_lossy().into()
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        on_server(format!("drop database {} with (force)", self.name));
    }
}

/// The tests' PostgreSQL.
pub(crate) fn server() -> PgConnectOptions {
    let url = std::env::var_os(SERVER).unwrap_or_else(|| {
        panic!("there is no PostgreSQL to test on: run ./test, or set {SERVER} to its URL")
    });
    PgConnectOptions::from_str(url.to_str().unwrap()).unwrap()
}

/// Carries a statement out on the database of this URL.
pub(crate) fn execute(url: &str, statement: &'static str) {
    block_on(async {
        if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let mut connection = PgConnection::connect(url).await.unwrap();
            sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        }
    });
}

/// Seals the whole audit log anew by another key, as somebody can who has the database and not the key.
pub(crate) fn seal_anew(url: &str, key: &AuditKey) {
    block_on(async {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        let log = sqlx::query("select * from audit order by number").fetch_all(&mut connection);
        let mut seal = FIRST;
        for row in log.await.unwrap() {
            let entry = Entry {
                number: row.get("number"),
                at: Timestamp(row.get("at")),
                user_id: row.get("user_id"),
                token_id: row.get("token_id"),
                action: row.get("action"),
                target: row.get("target"),
                address: row.get("address"),
                request_id: row.get("request_id"),
                detail: row.get("detail"),
            };
            seal = key.seal(&seal, &entry);
            let write = sqlx::query("update audit set seal = $1 where number = $2").bind(seal.to_vec());
            write.bind(entry.number).execute(&mut connection).await.unwrap();
        }
        let stand = sqlx::query("update authority set audit_seal = $1").bind(seal.to_vec());
        stand.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn on_server(statement: String) {
    block_on(async {
        let mut connection = server().connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    });
}

fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}
