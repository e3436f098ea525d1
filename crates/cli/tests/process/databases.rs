//! Databases beside the service: made, asked and dropped by the tests themselves.

use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

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

fn on_server(statement: String) {
    block_on(async {
        let mut connection = server().connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    });
}

fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}
