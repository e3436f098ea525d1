//! Stores to state facts about: each has a database of its own, and a clock that stands until it is moved.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hokusai_core::audit::AuditKey;
use hokusai_core::time::Timestamp;
use hokusai_store::{NowFn, OpenError, ReadOptions, Store, StoreOptions};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use crate::connection::Raw;
use crate::facts::Subject;
use crate::samples::{START, id};

const SERVER: &str = "HOKUSAI_TEST_POSTGRES";

/// Where a store's data lies, and what time it is there.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) clock: Clock,
    data: Data,
}

#[derive(Clone)]
enum Data {
    File(PathBuf),
    Database { server: Box<PgConnectOptions>, name: String },
}

impl Place {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { clock: Clock::default(), data: Data::File(folder.join("hokusai.db")) }
    }

    pub(crate) async fn on_server() -> Self {
        let url = std::env::var_os(SERVER).unwrap_or_else(|| {
            panic!("there is no PostgreSQL to test on: run ./test, or set {SERVER} to its URL")
        });
        let server = Box::new(PgConnectOptions::from_str(url.to_str().unwrap()).unwrap());
        let name = format!("store_facts_{:016x}", rand::random::<u64>());
        let mut connection = server.connect().await.unwrap();
        let create = format!("create database {name} template template0");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        Self { clock: Clock::default(), data: Data::Database { server, name } }
    }

    pub(crate) async fn drop_database(&self) {
        let Data::Database { server, name } = &self.data else { return };
        let mut connection = server.connect().await.unwrap();
        let drop = format!("drop database {name} with (force)");
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();
    }

    /// Has new connections to the database begin at this level of isolation.
    pub(crate) async fn prefer_isolation(&self, level: &str) {
        let Data::Database { name, .. } = &self.data else { return };
        let prefer = format!("alter database {name} set default_transaction_isolation = '{level}'");
        let Raw::Postgres(mut connection) = self.connect().await else { return };
        sqlx::raw_sql(AssertSqlSafe(prefer)).execute(&mut connection).await.unwrap();
    }

    /// The SQLite file.
    pub(crate) fn file(&self) -> &Path {
        match &self.data {
            Data::File(path) => path,
            Data::Database { .. } => panic!("a PostgreSQL database has no file"),
        }
    }

    pub(crate) fn options(&self) -> StoreOptions {
        let url = match &self.data {
            Data::File(path) => format!("sqlite://{}", path.display()),
            Data::Database { server, name } => {
                PgConnectOptions::clone(server).database(name).to_url_lossy().into()
            }
        };
        StoreOptions {
            url,
            now: self.clock.now_fn(),
            inject_now_into_postgres: true,
            listen: true,
            connections: 4,
            timeout: Duration::from_secs(60),
            audit_key: audit_key("the key of the facts"),
            epoch: id(1),
        }
    }

    pub(crate) async fn open_to_read(&self) -> Result<Store, OpenError> {
        let options = self.options();
        let (url, now, timeout) = (options.url, options.now, options.timeout);
        Store::open_to_read(&ReadOptions { url, now, timeout }).await
    }

    /// A connection beside the store, to see what it wrote and to stand in its way.
    pub(crate) async fn connect(&self) -> Raw {
        match &self.data {
            Data::File(path) => {
                Raw::Sqlite(SqliteConnectOptions::new().filename(path).connect().await.unwrap())
            }
            Data::Database { server, name } => {
                Raw::Postgres(PgConnectOptions::clone(server).database(name).connect().await.unwrap())
            }
        }
    }
}

impl Subject for Place {
    async fn begin(place: Place) -> Self {
        place
    }
}

pub(crate) fn audit_key(text: &str) -> AuditKey {
    AuditKey::new(text.repeat(32)).unwrap()
}

/// A clock that a fact moves.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(START.0)))
    }
}

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves the clock by `micros`; back, if they are negative.
    pub(crate) fn pass(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    fn now_fn(&self) -> NowFn {
        let clock = self.clone();
        NowFn::new(move || clock.now())
    }
}

/// An open store.
pub(crate) struct TestStore {
    pub(crate) place: Place,
    store: Arc<Store>,
}

impl Subject for TestStore {
    async fn begin(place: Place) -> Self {
        let store = Arc::new(Store::open(&place.options()).await.unwrap());
        Self { place, store }
    }
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl TestStore {
    pub(crate) fn clock(&self) -> &Clock {
        &self.place.clock
    }

    /// As many ways into the database as there may be: on PostgreSQL each is a node of its own.
    pub(crate) async fn nodes(&self, count: usize) -> Vec<Arc<Store>> {
        let mut nodes = vec![self.store.clone()];
        while nodes.len() < count {
            nodes.push(match self.place.data {
                Data::File(_) => self.store.clone(),
                Data::Database { .. } => Arc::new(Store::open(&self.place.options()).await.unwrap()),
            });
        }
        nodes
    }

    /// Ends the store; the data stays.
    pub(crate) async fn shut(self) -> Place {
        self.store.close().await;
        self.place
    }

    pub(crate) async fn reopen(self) -> Self {
        Self::begin(self.shut().await).await
    }

    /// The one number that a query gives.
    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        self.place.connect().await.number(query).await
    }

    pub(crate) async fn execute(&self, statements: &'static str) {
        self.place.connect().await.execute(statements).await;
    }
}
