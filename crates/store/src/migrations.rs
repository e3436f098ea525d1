//! The schema's history, embedded: the same numbers and names for both databases, only ever appended to.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, SqlSafeStr as _, SqlitePool};

use crate::OpenError;

macro_rules! history {
    ($database:literal: $($number:literal $name:literal),* $(,)?) => {
        vec![$((
            $number,
            $name,
            include_str!(concat!("../migrations/", $database, "/000", stringify!($number), "_", $name, ".sql")),
        )),*]
    };
}

macro_rules! histories {
    ($($entry:tt)*) => {
        fn sqlite() -> Vec<(i64, &'static str, &'static str)> {
            history!("sqlite": $($entry)*)
        }
        fn postgres() -> Vec<(i64, &'static str, &'static str)> {
            history!("postgres": $($entry)*)
        }
    };
}

histories!(
    1 "authority",
    2 "keys",
    3 "allotments",
    4 "admin_tokens",
    5 "audit",
    6 "usage",
    7 "audit_reading",
    8 "verifiers",
    9 "models",
);

pub(crate) async fn on_sqlite(pool: &SqlitePool) -> Result<(), OpenError> {
    let migrator = migrator(sqlite());
    migrator.run(pool).await.map_err(|error| explain(error, &migrator))
}

pub(crate) async fn on_postgres(pool: &PgPool) -> Result<(), OpenError> {
    let migrator = migrator(postgres());
    // A step may take long on a large table, and others wait for whoever takes it: the limits that the
    // pool's connections have do not apply here.
    let one = PgPoolOptions::new().max_connections(1).connect_with((*pool.connect_options()).clone()).await?;
    let outcome = migrator.run(&one).await.map_err(|error| explain(error, &migrator));
    one.close().await;
    outcome
}

/// Refuses a schema that is not the one that this program knows. `applied` are the steps that were taken.
pub(crate) fn check(applied: &[i64]) -> Result<(), OpenError> {
    let steps: Vec<i64> = sqlite().into_iter().map(|(number, ..)| number).collect();
    let known = steps.iter().copied().max().unwrap_or(0);
    let found = applied.iter().copied().max().unwrap_or(0);
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    let is_whole = steps.iter().all(|step| applied.contains(step));
    if is_whole { Ok(()) } else { Err(OpenError::OlderSchema { found, known }) }
}

fn migrator(history: Vec<(i64, &'static str, &'static str)>) -> Migrator {
    let migrations = history.into_iter().map(|(number, name, sql)| {
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

fn explain(error: MigrateError, migrator: &Migrator) -> OpenError {
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
    match error {
        MigrateError::VersionMissing(found) if found > known => OpenError::NewerSchema { found, known },
        other => OpenError::Migration(other),
    }
}
