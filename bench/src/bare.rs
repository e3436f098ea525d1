//! The loop that ingest is measured against: the same rows into the same table, and nothing else.

use std::str::FromStr as _;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, PgConnection, SqliteConnection};

/// A connection to a database that holds the table of records, and nothing else.
pub(crate) enum Bare {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

const TABLE: &str = "(ID, record_id BLOB not null unique,
    received_at bigint not null, occurred_at bigint not null, key_id text not null, service_id text not null,
    endpoint text not null, model_id text, status_code bigint not null, response_micros bigint not null,
    predictions bigint not null, compute_ms bigint not null)";
const INSERT_SQLITE: &str =
    "insert into bare_records (record_id, received_at, occurred_at, key_id, service_id,
        endpoint, model_id, status_code, response_micros, predictions, compute_ms)
    select unhex(value ->> 0), value ->> 1, value ->> 1, value ->> 2, value ->> 3, value ->> 4, null,
        value ->> 5, value ->> 6, value ->> 7, value ->> 8 from json_each($1)";
const INSERT_POSTGRES: &str =
    "insert into bare_records (record_id, received_at, occurred_at, key_id, service_id,
        endpoint, model_id, status_code, response_micros, predictions, compute_ms)
    select decode(value ->> 0, 'hex'), (value ->> 1)::bigint, (value ->> 1)::bigint, value ->> 2, value ->> 3,
        value ->> 4, null, (value ->> 5)::bigint, (value ->> 6)::bigint, (value ->> 7)::bigint,
        (value ->> 8)::bigint from jsonb_array_elements($1::jsonb)";
const ONE_SQLITE: &str = "insert into bare_records (record_id, received_at, occurred_at, key_id, service_id,
        endpoint, model_id, status_code, response_micros, predictions, compute_ms)
    values (unhex($1), $2, $2, $3, $4, $5, null, $6, $7, $8, $9)";
const ONE_POSTGRES: &str =
    "insert into bare_records (record_id, received_at, occurred_at, key_id, service_id,
        endpoint, model_id, status_code, response_micros, predictions, compute_ms)
    values (decode($1, 'hex'), $2, $2, $3, $4, $5, null, $6, $7, $8, $9)";

/// A row: id, instant, key, service, endpoint, status, response, predictions, computing.
pub(crate) type Row = (String, i64, String, &'static str, String, i64, i64, i64, i64);

impl Bare {
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        if url.starts_with("postgres") {
            let mut connection = PgConnection::connect(url).await?;
            let table = TABLE.replace("ID", "id bigint generated always as identity primary key");
            let table = format!("create table bare_records {}", table.replace("BLOB", "bytea"));
            sqlx::raw_sql("drop table if exists bare_records").execute(&mut connection).await?;
            sqlx::raw_sql(sqlx::AssertSqlSafe(table)).execute(&mut connection).await?;
            return Ok(Self::Postgres(connection));
        }
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", "-8192");
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let table = format!("create table bare_records {}", TABLE.replace("ID", "id integer primary key"));
        sqlx::raw_sql(sqlx::AssertSqlSafe(table)).execute(&mut connection).await?;
        Ok(Self::Sqlite(connection))
    }

    /// Inserts rows with one statement, in one transaction.
    pub(crate) async fn insert(&mut self, rows: &[Row]) -> anyhow::Result<()> {
        let json = serde_json::to_string(rows)?;
        match self {
            Self::Sqlite(connection) => {
                sqlx::query(INSERT_SQLITE).bind(json).execute(connection).await?;
            }
            Self::Postgres(connection) => {
                sqlx::query(INSERT_POSTGRES).bind(json).execute(connection).await?;
            }
        }
        Ok(())
    }

    /// Inserts rows one by one, in one transaction.
    pub(crate) async fn insert_singly(&mut self, rows: &[Row]) -> anyhow::Result<()> {
        macro_rules! insert {
            ($connection:expr, $one:expr) => {{
                let mut tx = $connection.begin().await?;
                for (id, at, key, service, endpoint, status, response, predictions, compute) in rows {
                    sqlx::query($one)
                        .bind(id)
                        .bind(at)
                        .bind(key)
                        .bind(service)
                        .bind(endpoint)
                        .bind(status)
                        .bind(response)
                        .bind(predictions)
                        .bind(compute)
                        .execute(&mut *tx)
                        .await?;
                }
                tx.commit().await?;
            }};
        }
        match self {
            Self::Sqlite(connection) => insert!(connection, ONE_SQLITE),
            Self::Postgres(connection) => insert!(connection, ONE_POSTGRES),
        }
        Ok(())
    }
}
