//! The data of one service: a SQLite file, or a database of its own on the PostgreSQL server for tests.

use std::path::PathBuf;
use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;

const STORE: &str = "HOKUSAI_TEST_STORE";
const SERVER: &str = "HOKUSAI_TEST_POSTGRES";

/// Where a service's data lies. It is gone once this is dropped.
pub(crate) enum Place {
    Folder(TempDir),
    Database { server: Box<PgConnectOptions>, name: String },
}

/// Somebody else who works on the database and makes every writer wait, until this is dropped.
pub(crate) enum Blocker {
    Sqlite { _connection: SqliteConnection },
    Postgres { _connection: PgConnection },
}

impl Place {
    /// On the kind of store that the environment asks for.
    pub(crate) async fn chosen() -> Self {
        match std::env::var_os(STORE) {
            None => Self::in_folder(),
            Some(kind) if kind == "sqlite" => Self::in_folder(),
            Some(kind) if kind == "postgres" => Self::on_server().await,
            Some(kind) => panic!("{STORE} is {kind:?}, which is neither sqlite nor postgres"),
        }
    }

    pub(crate) fn in_folder() -> Self {
        Self::Folder(tempfile::tempdir().unwrap())
    }

    async fn on_server() -> Self {
        let url = std::env::var_os(SERVER).unwrap_or_else(|| {
            panic!("there is no PostgreSQL to test on: set {SERVER} to its URL");
        });
        let server = Box::new(PgConnectOptions::from_str(url.to_str().unwrap()).unwrap());
        let name = format!("api_facts_{:016x}", rand::random::<u64>());
        let place = Self::Database { server, name };
        place.tell_server("create database {} template template0").await;
        place
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Folder(_) => format!("sqlite://{}", self.file().display()),
            Self::Database { server, name } => {
                PgConnectOptions::clone(server).database(name).to_url_lossy().into()
            }
        }
    }

    /// The SQLite file.
    pub(crate) fn file(&self) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.path().join("hokusai.db"),
            Self::Database { .. } => panic!("a PostgreSQL database has no file"),
        }
    }

    /// Everything that SQLite has written, as it lies on the disk.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let entries = std::fs::read_dir(self.file().parent().unwrap()).unwrap();
        entries.flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
    }

    /// Makes the database unreachable.
    pub(crate) async fn take_away(&self) {
        match self {
            Self::Folder(_) => std::fs::rename(self.file(), self.file().with_extension("away")).unwrap(),
            Self::Database { .. } => {
                self.tell_server("alter database {} allow_connections false").await;
                self.tell_server(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'",
                )
                .await;
            }
        }
    }

    pub(crate) async fn bring_back(&self) {
        match self {
            Self::Folder(_) => std::fs::rename(self.file().with_extension("away"), self.file()).unwrap(),
            Self::Database { .. } => self.tell_server("alter database {} allow_connections true").await,
        }
    }

    /// Makes the database hang: it is there, but nothing can be written.
    pub(crate) async fn block(&self) -> Blocker {
        match self {
            Self::Folder(_) => {
                let options = SqliteConnectOptions::new().filename(self.file());
                let mut connection = options.connect().await.unwrap();
                sqlx::raw_sql("begin immediate").execute(&mut connection).await.unwrap();
                Blocker::Sqlite { _connection: connection }
            }
            Self::Database { server, name } => {
                let options = PgConnectOptions::clone(server).database(name);
                let mut connection = options.connect().await.unwrap();
                let block = "begin; lock table allotments; lock table usage_records";
                sqlx::raw_sql(block).execute(&mut connection).await.unwrap();
                Blocker::Postgres { _connection: connection }
            }
        }
    }

    /// How many rows a table has, as another process would count them.
    pub(crate) async fn count_rows(&self, table: &str) -> i64 {
        let count = AssertSqlSafe(format!("select count(*) from {table}"));
        match self {
            Self::Folder(_) => {
                let options = SqliteConnectOptions::new().filename(self.file());
                sqlx::query_scalar(count).fetch_one(&mut options.connect().await.unwrap()).await.unwrap()
            }
            Self::Database { server, name } => {
                let options = PgConnectOptions::clone(server).database(name);
                sqlx::query_scalar(count).fetch_one(&mut options.connect().await.unwrap()).await.unwrap()
            }
        }
    }

    /// Has another process write into the database.
    pub(crate) async fn execute(&self, statements: &'static str) {
        match self {
            Self::Folder(_) => {
                let options = SqliteConnectOptions::new().filename(self.file());
                let mut connection = options.connect().await.unwrap();
                sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
            }
            Self::Database { server, name } => {
                let options = PgConnectOptions::clone(server).database(name);
                let mut connection = options.connect().await.unwrap();
                sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// Runs a statement about this database from outside of it.
    async fn tell_server(&self, statement: &str) {
        if let Self::Database { server, name } = self {
            let mut connection = server.connect().await.unwrap();
            let statement = AssertSqlSafe(statement.replace("{}", name));
            sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

impl Drop for Place {
    /// Also after a failed test, whose runtime may be stopping: so in a runtime of its own.
    fn drop(&mut self) {
        let Self::Database { .. } = self else { return };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(self.tell_server("drop database {} with (force)"));
            });
        });
    }
}
