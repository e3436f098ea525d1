//! The schema's history, embedded: the same numbers and names for both databases, only ever appended to.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, SqlSafeStr as _, SqlitePool};

use crate::OpenError;

/// A step's place in the history is its number, which its file begins with.
struct Step {
    number: i64,
    name: &'static str,
    sql: &'static str,
}

macro_rules! history {
    ($database:literal: $($file:literal),* $(,)?) => {
        (1..).zip([$(($file, include_str!(concat!("../migrations/", $database, "/", $file, ".sql")))),*])
            .map(|(number, (file, sql))| Step { number, name: &file["0000_".len()..], sql })
            .collect()
    };
}

macro_rules! histories {
    ($($entry:tt)*) => {
        fn sqlite() -> Vec<Step> {
            history!("sqlite": $($entry)*)
        }
        fn postgres() -> Vec<Step> {
            history!("postgres": $($entry)*)
        }
    };
}

histories!(
    "0001_authority",
    "0002_keys",
    "0003_allotments",
    "0004_admin_tokens",
    "0005_audit",
    "0006_usage",
    "0007_audit_reading",
    "0008_verifiers",
    "0009_models",
    "0010_usage_sums",
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
    let steps: Vec<i64> = sqlite().iter().map(|step| step.number).collect();
    let known = steps.iter().copied().max().unwrap_or(0);
    let found = applied.iter().copied().max().unwrap_or(0);
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    let is_whole = steps.iter().all(|step| applied.contains(step));
    if is_whole { Ok(()) } else { Err(OpenError::OlderSchema { found, known }) }
}

fn migrator(history: Vec<Step>) -> Migrator {
    let migrations = history.into_iter().map(|Step { number, name, sql }| {
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
