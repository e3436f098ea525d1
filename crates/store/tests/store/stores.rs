//! Stores to state facts about. Each fact has a database of its own, and a clock that stands until it is moved.

use std::future::Future;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hokusai_core::audit::{AuditKey, Entry, Seal};
use hokusai_core::time::Timestamp;
use hokusai_store::{NowFn, Store, StoreOptions};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::samples::{START, id};

const SERVER: &str = "HOKUSAI_TEST_POSTGRES";

/// Runs each fact on both databases, as `sqlite::fact` and `postgres::fact`.
macro_rules! facts {
    ($(async fn $fact:ident($subject:ident: $kind:ty) $body:block)*) => {
        $(async fn $fact($subject: $kind) $body)*

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $fact() {
                $crate::stores::on_sqlite(super::$fact).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $fact() {
                $crate::stores::on_postgres(super::$fact).await;
            })*
        }
    };
}
pub(crate) use facts;

/// Runs each fact on one database: what there is to say of it and not of the other.
macro_rules! alone {
    ($on:ident: $(async fn $fact:ident($subject:ident: $kind:ty) $body:block)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $fact() {
            async fn fact($subject: $kind) $body
            $crate::stores::$on(fact).await;
        })*
    };
}
pub(crate) use alone;

/// What a fact may be about: a [`Place`] where nothing is yet, or an open [`TestStore`].
pub(crate) trait Subject: Send + 'static {
    fn begin(place: Place) -> impl Future<Output = Self> + Send;
}

pub(crate) async fn on_sqlite<S: Subject, F: Future<Output = ()>>(fact: fn(S) -> F) {
    let folder = tempfile::tempdir().unwrap();
    fact(S::begin(Place::in_folder(folder.path())).await).await;
}

/// The database is dropped whether or not the fact holds.
pub(crate) async fn on_postgres<S, F>(fact: fn(S) -> F)
where
    S: Subject,
    F: Future<Output = ()> + Send + 'static,
{
    let place = Place::on_server().await;
    let outcome = tokio::spawn({
        let place = place.clone();
        async move { fact(S::begin(place).await).await }
    });
    let outcome = outcome.await;
    place.drop_database().await;
    if let Err(panicked) = outcome {
        std::panic::resume_unwind(panicked.into_panic());
    }
}

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

    async fn on_server() -> Self {
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

    async fn drop_database(&self) {
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

/// A connection that knows nothing of the store.
pub(crate) enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

macro_rules! on_either {
    ($raw:expr, $connection:ident => $work:expr) => {
        match $raw {
            Raw::Sqlite($connection) => $work,
            Raw::Postgres($connection) => $work,
        }
    };
}

impl Raw {
    pub(crate) async fn execute(&mut self, statements: &'static str) {
        on_either!(self, connection => sqlx::raw_sql(statements).execute(connection).await.map(drop))
            .unwrap();
    }

    pub(crate) async fn number(&mut self, query: &'static str) -> i64 {
        on_either!(self, connection => sqlx::query_scalar(query).fetch_one(connection).await).unwrap()
    }

    /// Keeps all changes waiting until [`Raw::let_changes_pass`].
    pub(crate) async fn stop_changes(&mut self) {
        self.execute(match self {
            Raw::Sqlite(_) => "begin immediate",
            Raw::Postgres(_) => "begin; select * from authority for update",
        })
        .await;
    }

    pub(crate) async fn let_changes_pass(&mut self) {
        self.execute("rollback").await;
    }

    /// The audit log as it was written, each entry with its seal.
    pub(crate) async fn audit_log(mut self) -> Vec<(Entry, Seal)> {
        let query = "select number, at, user_id, token_id, action, target, address, request_id, detail, seal
            from audit order by number";
        let rows: Vec<AuditRow> =
            on_either!(&mut self, connection => sqlx::query_as(query).fetch_all(connection).await).unwrap();
        on_either!(self, connection => connection.close().await).unwrap();
        rows.into_iter().map(AuditRow::read).collect()
    }
}

#[derive(sqlx::FromRow)]
struct AuditRow {
    number: i64,
    at: i64,
    user_id: String,
    token_id: String,
    action: String,
    target: String,
    address: String,
    request_id: String,
    detail: String,
    seal: Vec<u8>,
}

impl AuditRow {
    fn read(self) -> (Entry, Seal) {
        let entry = Entry {
            number: self.number,
            at: Timestamp(self.at),
            user_id: self.user_id,
            token_id: self.token_id,
            action: self.action,
            target: self.target,
            address: self.address,
            request_id: self.request_id,
            detail: self.detail,
        };
        (entry, self.seal.try_into().unwrap())
    }
}
