//! Opening a store: which database, its schema, and what must hold before anything is served.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hokusai_core::audit::{AuditKey, FIRST};
use hokusai_core::id::Epoch;
use hokusai_core::time::Timestamp;

use crate::database::{Database, Store, both, run};
use crate::usage::Remembered;
use crate::{StoreError, migrations, postgres, sqlite};

/// Says what time it is.
#[derive(Clone)]
pub struct NowFn(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl NowFn {
    /// A clock from a function.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for NowFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NowFn")
    }
}

/// How to open a store. The URL may hold a password, so it can't be printed.
#[derive(Clone)]
pub struct StoreOptions {
    /// `sqlite://PATH` (or `sqlite:PATH`), `postgres://…` or `postgresql://…`.
    pub url: String,
    /// The clock that SQLite goes by. PostgreSQL goes by its own.
    pub now: NowFn,
    /// Makes PostgreSQL go by `now` too, so that tests can move its time.
    pub inject_now_into_postgres: bool,
    /// Whether PostgreSQL rings for changes (`LISTEN`), besides being asked for them.
    pub listen: bool,
    /// The most connections: for reading on SQLite, in all on PostgreSQL.
    pub connections: u32,
    /// How long an operation may take.
    pub timeout: Duration,
    /// Seals the audit chain.
    pub audit_key: AuditKey,
    /// The epoch to begin if the store is new.
    pub epoch: Epoch,
}

/// How to open a store for reading only. The URL may hold a password, so it can't be printed.
#[derive(Clone)]
pub struct ReadOptions {
    /// As in [`StoreOptions`].
    pub url: String,
    /// As in [`StoreOptions`].
    pub now: NowFn,
    /// How long an operation may take.
    pub timeout: Duration,
}

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL's scheme or form is not known.
    #[error("the database URL is neither sqlite://PATH nor postgres://USER@HOST/NAME")]
    Url,
    /// A file can't be used.
    #[error("can't use {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such file to read.
    #[error("there is no database at {}", path.display())]
    Absent {
        /// The database file.
        path: PathBuf,
    },
    /// Another process has the SQLite file open.
    #[error("another process is using {}", path.display())]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The connection goes through a pooler in transaction mode.
    #[error("the database is behind a pooler in transaction mode, which mixes up prepared statements")]
    TransactionPooling,
    /// The schema was written by a newer version of this program.
    #[error("the database has schema {found}, which is newer than this program knows ({known})")]
    NewerSchema {
        /// The schema's number.
        found: i64,
        /// The newest number that this program knows.
        known: i64,
    },
    /// The schema was not brought up to date yet, and whoever only reads can't do so.
    #[error("the database has schema {found}, which is older than this program needs ({known})")]
    OlderSchema {
        /// The schema's number; 0 if there is none.
        found: i64,
        /// The number that this program needs.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("the schema could not be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The audit key is not the one that sealed the chain.
    #[error("the audit key is not the one that this database was begun with")]
    AuditKey,
    /// The database refused or could not be reached.
    #[error("the database can't be opened")]
    Database(#[from] sqlx::Error),
    /// The database could not be read once it was open.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Opens the database, brings its schema up to date (one process at a time does so) and checks that
    /// the audit key is the right one.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed then but the schema.
    pub async fn open(options: &StoreOptions) -> Result<Self, OpenError> {
        let database = match sqlite_path(&options.url) {
            Some(path) => Database::Sqlite(sqlite::Db::open(path, options).await?),
            None if is_postgres(&options.url) => {
                Database::Postgres(postgres::Db::open(&options.url, options).await?)
            }
            None => return Err(OpenError::Url),
        };
        match &database {
            Database::Sqlite(db) => migrations::on_sqlite(db.write()).await?,
            Database::Postgres(db) => migrations::on_postgres(db.write()).await?,
        }
        let (audit_key, remembered) = (Some(options.audit_key.clone()), Remembered::new());
        let store = Self { database, audit_key, timeout: options.timeout, remembered };
        store.begin_authority(options).await?;
        Ok(store)
    }

    /// Opens the database for reading only, also while others use it. Nothing is created or changed: no
    /// lock, no schema.
    ///
    /// # Errors
    /// [`OpenError`]; also if the schema is not the one that this program knows.
    pub async fn open_to_read(options: &ReadOptions) -> Result<Self, OpenError> {
        let database = match sqlite_path(&options.url) {
            Some(path) => Database::Sqlite(sqlite::Db::open_to_read(path, options)?),
            None if is_postgres(&options.url) => {
                Database::Postgres(postgres::Db::open_to_read(options).await?)
            }
            None => return Err(OpenError::Url),
        };
        let remembered = Remembered::new();
        let store = Self { database, audit_key: None, timeout: options.timeout, remembered };
        migrations::check(&run!(store, applied_migrations())?)?;
        Ok(store)
    }

    async fn begin_authority(&self, options: &StoreOptions) -> Result<(), OpenError> {
        let fingerprint = options.audit_key.fingerprint();
        let kept: Vec<u8> = run!(self, begin_authority(options.epoch, &fingerprint))?;
        if kept == fingerprint { Ok(()) } else { Err(OpenError::AuditKey) }
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// The path in a SQLite URL; `None` if it is not one.
#[must_use]
pub fn sqlite_path(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?;
    (!path.is_empty()).then(|| Path::new(path))
}

both! {
    pub(crate) async fn applied_migrations(db: &here::Db) -> Result<Vec<i64>, StoreError> {
        let is_there = here::either(
            "select count(*) from sqlite_master where name = '_sqlx_migrations'",
            "select count(*) from pg_class where oid = to_regclass('_sqlx_migrations')",
        );
        let is_there: i64 = sqlx::query_scalar(is_there).fetch_one(db.read()).await?;
        if is_there == 0 {
            return Ok(Vec::new());
        }
        let applied = sqlx::query_scalar("select version from _sqlx_migrations where success");
        Ok(applied.fetch_all(db.read()).await?)
    }

    pub(crate) async fn begin_authority(
        db: &here::Db,
        epoch: Epoch,
        fingerprint: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let begin = "insert into authority
                (id, epoch, revision, had_operator, audit_number, audit_seal, audit_key_fingerprint)
             values (1, $1, 0, false, 0, $2, $3) on conflict (id) do nothing";
        sqlx::query(begin)
            .bind(epoch.to_string())
            .bind(&FIRST[..])
            .bind(fingerprint)
            .execute(db.write())
            .await?;
        let kept = sqlx::query_scalar("select audit_key_fingerprint from authority where id = 1");
        Ok(kept.fetch_one(db.write()).await?)
    }
}
