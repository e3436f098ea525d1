//! PostgreSQL: one pool, for any number of nodes.

use std::str::FromStr;
use std::time::Duration;

use hokusai_core::time::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres, Transaction};

use crate::StoreError;
use crate::open::{NowFn, OpenError, ReadOptions, StoreOptions};

pub(crate) use crate::billing::on_postgres as billing;
pub(crate) use crate::keys::on_postgres as keys;
pub(crate) use crate::models::on_postgres as models;
pub(crate) use crate::tokens::on_postgres as tokens;
pub(crate) use crate::usage::columns::for_postgres as arguments;
pub(crate) use crate::usage::horizon::on_postgres as usage_horizon;
pub(crate) use crate::usage::sums::on_postgres as usage_sums;

pub(crate) type Connection = PgConnection;

/// The channel that rings when the feed grows.
pub(crate) const CHANNEL: &str = "hokusai_changes";

/// How long to wait for the first connections.
const PATIENCE: Duration = Duration::from_secs(10);
/// A process that stops in the midst of a transaction, or whose caller is long gone, must not keep its
/// locks: all other nodes would wait for them.
const LIMITS: &str = "set statement_timeout = '5s'; set idle_in_transaction_session_timeout = '5s'";

/// Who reads through a long log waits for the disk alone, and holds no locks that others wait for.
const READING: &str = "set statement_timeout = '60s'; set default_transaction_read_only = on";

/// Connections for what keeps the node going: one listens, one asks for units, one follows the feed.
const OWN_CONNECTIONS: u32 = 3;

#[derive(Debug)]
pub(crate) struct Db {
    pool: PgPool,
    /// For what keeps the node going, whatever the pool is busy with: the feed, limits, the register.
    own: PgPool,
    /// Set in tests alone; else the database's own clock counts.
    injected: Option<NowFn>,
    /// Whether to be rung when the feed grows, besides looking for oneself.
    pub(crate) listen: bool,
}

/// Begins to read what stays as it is at the first statement.
pub(crate) const SNAPSHOT: &str = "begin isolation level repeatable read read only";
/// Writers meet at rows, and lock them in one order.
pub(crate) const LOCKS_ROWS: bool = true;

/// The text for this database.
pub(crate) const fn either(_sqlite: &'static str, postgres: &'static str) -> &'static str {
    postgres
}

/// Ends what [`Db::begin_allotment`] began.
pub(crate) async fn end_allotment(transaction: Transaction<'static, Postgres>) -> Result<(), sqlx::Error> {
    transaction.commit().await
}

/// The store's clock.
pub(crate) async fn now(db: &Db, connection: &mut Connection) -> Result<Timestamp, StoreError> {
    let now =
        sqlx::query_scalar("select store_now($1)").bind(db.injected_now()).fetch_one(connection).await?;
    Ok(Timestamp(now))
}

impl Db {
    pub(crate) async fn open(url: &str, options: &StoreOptions) -> Result<Self, OpenError> {
        let connect = reach(url).await?;
        let pool_of = |most| pool_of(most, options.timeout, LIMITS);
        let pool = pool_of(options.connections).connect_with(connect.clone()).await?;
        let own = pool_of(OWN_CONNECTIONS).connect_with(connect).await?;
        let injected = options.inject_now_into_postgres.then(|| options.now.clone());
        Ok(Self { pool, own, injected, listen: options.listen })
    }

    /// The server refuses whatever would write.
    pub(crate) async fn open_to_read(options: &ReadOptions) -> Result<Self, OpenError> {
        let connect = reach(&options.url).await?;
        let pool = pool_of(1, options.timeout, READING).connect_with(connect).await?;
        Ok(Self { own: pool.clone(), pool, injected: None, listen: false })
    }

    pub(crate) fn read(&self) -> &PgPool {
        &self.pool
    }

    /// Connections that requests can't use up.
    pub(crate) fn own(&self) -> &PgPool {
        &self.own
    }

    /// For the statements that allot.
    pub(crate) async fn begin_allotment(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.own.begin_with("begin isolation level read committed").await
    }

    pub(crate) fn write(&self) -> &PgPool {
        &self.pool
    }

    /// Each statement must see what was committed before it, whatever the server's default is: a statement
    /// that waited for a lock would else decide by how things were before.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.pool.begin_with("begin isolation level read committed").await
    }

    /// The instant that statements take as now; `None`: the database's own.
    pub(crate) fn injected_now(&self) -> Option<i64> {
        self.injected.as_ref().map(|now| now.now().0)
    }

    /// Rings for the other nodes once the transaction commits.
    pub(crate) async fn announce(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(connection).await?;
        Ok(())
    }

    /// Nothing to do after the commit: see [`Db::announce`].
    pub(crate) fn announced(&self) {}

    pub(crate) async fn close(&self) {
        self.own.close().await;
        self.pool.close().await;
    }
}

/// The options of a server that can be connected to, and is no pooler that mixes connections up.
async fn reach(url: &str) -> Result<PgConnectOptions, OpenError> {
    let connect = PgConnectOptions::from_str(url)
        .map_err(|_| OpenError::Url)?
        .application_name("hokusai")
        // PgBouncer refuses this parameter, and no floating-point number is stored here.
        .extra_float_digits(None);
    let probe = tokio::time::timeout(PATIENCE, refuse_transaction_pooling(&connect)).await;
    probe.unwrap_or(Err(OpenError::Store(StoreError::TimedOut)))?;
    Ok(connect)
}

/// A pool whose connections begin with these settings.
fn pool_of(most: u32, timeout: Duration, settings: &'static str) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(most).acquire_timeout(timeout).after_connect(move |connection, _| {
        Box::pin(async move { sqlx::raw_sql(settings).execute(connection).await.map(drop) })
    })
}

/// Refuses a pooler that lends a server connection for one transaction at a time: prepared statements
/// would meet another client's, and give its answers. Two connections held at once that are served by
/// the same backend, or one whose backend changes, show it.
async fn refuse_transaction_pooling(connect: &PgConnectOptions) -> Result<(), OpenError> {
    let mut one = PgConnection::connect_with(connect).await?;
    let mut other = PgConnection::connect_with(connect).await?;
    let first = (backend(&mut one).await?, backend(&mut other).await?);
    let second = (backend(&mut one).await?, backend(&mut other).await?);
    // A connection that fails to close is closed by the server.
    let _ = (one.close().await, other.close().await);
    if first.0 == first.1 || first != second { Err(OpenError::TransactionPooling) } else { Ok(()) }
}

/// The server process behind a connection. Asked without a prepared statement, which such a pooler breaks.
async fn backend(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    use sqlx::Row as _;
    sqlx::raw_sql("select pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}
