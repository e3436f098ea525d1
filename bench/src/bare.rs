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
/// What the service says to insert records, said of the bare table. `$1` rows, or a column of each value.
macro_rules! insert {
    ($rows:literal) => {
        concat!(
            "insert into bare_records (record_id, received_at, occurred_at, key_id, service_id, endpoint,
                model_id, status_code, response_micros, predictions, compute_ms) ",
            $rows,
            " on conflict (record_id) do nothing"
        )
    };
}
const INSERT_SQLITE: &str = insert!(
    "select unhex(value ->> 0), value ->> 1, value ->> 1, value ->> 2, value ->> 3, value ->> 4, null,
        value ->> 5, value ->> 6, value ->> 7, value ->> 8 from json_each($1) where true"
);
const INSERT_POSTGRES: &str = insert!(
    "select t.record_id, t.at, t.at, t.key_id, t.service_id, t.endpoint, null, t.status_code, t.response_micros,
        t.predictions, t.compute_ms
     from unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[]) as t (record_id, at, key_id, service_id, endpoint, status_code,
        response_micros, predictions, compute_ms)"
);
const ONE_SQLITE: &str = insert!("values (unhex($1), $2, $2, $3, $4, $5, null, $6, $7, $8, $9)");
const ONE_POSTGRES: &str = insert!("values (decode($1, 'hex'), $2, $2, $3, $4, $5, null, $6, $7, $8, $9)");

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

    /// Inserts rows with one statement, in the order of their ids, in one transaction.
    pub(crate) async fn insert(&mut self, rows: &[Row]) -> anyhow::Result<()> {
        let mut rows: Vec<&Row> = rows.iter().collect();
        rows.sort_unstable_by_key(|row| &row.0);
        match self {
            Self::Sqlite(connection) => {
                let json = serde_json::to_string(&rows)?;
                sqlx::query(INSERT_SQLITE).bind(json).execute(connection).await?;
            }
            Self::Postgres(connection) => {
                let id = |row: &&Row| Ok(u128::from_str_radix(&row.0, 16)?.to_be_bytes());
                let ids = rows.iter().map(id).collect::<anyhow::Result<Vec<_>>>()?;
                sqlx::query(INSERT_POSTGRES)
                    .bind(ids.iter().map(<[u8; 16]>::as_slice).collect::<Vec<_>>())
                    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
                    .bind(rows.iter().map(|row| &*row.2).collect::<Vec<_>>())
                    .bind(rows.iter().map(|row| row.3).collect::<Vec<_>>())
                    .bind(rows.iter().map(|row| &*row.4).collect::<Vec<_>>())
                    .bind(rows.iter().map(|row| row.5).collect::<Vec<_>>())
                    .bind(rows.iter().map(|row| row.6).collect::<Vec<_>>())
                    .bind(rows.iter().map(|row| row.7).collect::<Vec<_>>())
                    .bind(rows.iter().map(|row| row.8).collect::<Vec<_>>())
                    .execute(connection)
                    .await?;
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
