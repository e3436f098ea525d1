//! A connection beside the store, to see what it wrote and to stand in its way.

use hokusai_core::audit::{Entry, Seal};
use hokusai_core::time::Timestamp;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

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
