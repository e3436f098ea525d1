//! The two databases behind one store, and the macros that let one body serve both.

use std::future::Future;
use std::time::Duration;

use hokusai_core::audit::AuditKey;
use hokusai_core::time::Timestamp;

use crate::StoreError;
use crate::usage::Remembered;
use crate::{postgres, sqlite};

/// A store. Cheap to share; all methods take `&self`.
#[derive(Debug)]
pub struct Store {
    pub(crate) database: Database,
    /// `None`: it is open for reading only.
    pub(crate) audit_key: Option<AuditKey>,
    pub(crate) timeout: Duration,
    pub(crate) remembered: Remembered,
}

/// The pools of one database. Both offer `read`, `begin` and `injected_now` under the same names.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite(sqlite::Db),
    Postgres(postgres::Db),
}

/// Compiles functions once for each database. Inside, `here` is the module of the database at hand.
macro_rules! both {
    ($($item:item)*) => {
        pub(crate) mod on_sqlite {
            use super::*;
            use crate::sqlite as here;
            $($item)*
        }
        pub(crate) mod on_postgres {
            use super::*;
            use crate::postgres as here;
            $($item)*
        }
    };
}
pub(crate) use both;

/// Runs one of those functions on the store's database, within the store's time limit or another. On SQLite
/// the file is looked at first: no connection, old or new, may be of any other.
macro_rules! run {
    ($store:expr, $operation:ident($($argument:expr),*)) => {
        $crate::database::run!($store, within $store.timeout, $operation($($argument),*))
    };
    ($store:expr, within $limit:expr, $operation:ident($($argument:expr),*)) => {
        match &$store.database {
            $crate::database::Database::Sqlite(db) => {
                let operation = async {
                    db.check_file()?;
                    let outcome = on_sqlite::$operation(db, $($argument),*).await?;
                    db.check_stillness()?;
                    Ok(outcome)
                };
                $crate::database::within($limit, operation).await
            }
            $crate::database::Database::Postgres(db) => {
                $crate::database::within($limit, on_postgres::$operation(db, $($argument),*)).await
            }
        }
    };
}
pub(crate) use run;

/// Waits for an operation, but not longer than this: a caller is told then that the store does not answer, and
/// what was under way may or may not have happened.
pub(crate) async fn within<T>(
    limit: Duration,
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(limit, operation).await.unwrap_or(Err(StoreError::TimedOut))
}

impl Store {
    /// Database connections that serve reads.
    #[must_use]
    pub fn read_connections(&self) -> u32 {
        match &self.database {
            Database::Sqlite(db) => db.read().options().get_max_connections(),
            Database::Postgres(db) => db.read().options().get_max_connections(),
        }
    }

    /// Whether several processes may share this store.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.database, Database::Postgres(_))
    }

    /// The store's time, which all processes of one store share.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        run!(self, store_now())
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`StoreError`] if there is none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        run!(self, ping())
    }

    /// Moves what was written into the main file, a bit at a time (SQLite); nothing to do on PostgreSQL.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite(db) => db.checkpoint().await,
            Database::Postgres(_) => Ok(()),
        }
    }

    /// Ends all connections; what is under way is waited for.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite(db) => db.close().await,
            Database::Postgres(db) => db.close().await,
        }
    }
}

both! {
    pub(crate) async fn store_now(db: &here::Db) -> Result<Timestamp, StoreError> {
        let mut connection = db.read().acquire().await?;
        here::now(db, &mut connection).await
    }

    pub(crate) async fn ping(db: &here::Db) -> Result<(), StoreError> {
        // Reads a real row: a bare `select 1` would not need the disk.
        sqlx::query("select revision from authority").fetch_one(db.read()).await?;
        Ok(())
    }
}
