//! SQLite: one connection that writes, several that read, and a lock that keeps other processes out.
//!
//! WAL with `synchronous=FULL`: what was answered is on disk. The log is moved into the main file by a
//! background job on a connection of its own, so that no caller waits for it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use hokusai_core::time::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, Transaction};
use tokio::sync::watch;

use crate::StoreError;
use crate::open::{NowFn, OpenError, ReadOptions, StoreOptions};

pub(crate) use crate::billing::on_sqlite as billing;
pub(crate) use crate::keys::on_sqlite as keys;
pub(crate) use crate::models::on_sqlite as models;
pub(crate) use crate::tokens::on_sqlite as tokens;
pub(crate) use crate::usage::columns::for_sqlite as arguments;
pub(crate) use crate::usage::horizon::on_sqlite as usage_horizon;
pub(crate) use crate::usage::sums::on_sqlite as usage_sums;

pub(crate) type Connection = SqliteConnection;

/// What the connection that writes keeps of the file in memory, in KiB (SQLite counts them as negative):
/// the upper pages of each tree even with a million keys, and those that are written over and over.
const WRITE_CACHE: &str = "-8192";
/// The same for each of the others.
const READ_CACHE: &str = "-1024";
/// Above this many pages (64 MiB) the log is emptied in one go, for which writers wait.
const LONG_LOG: i64 = 16_384;
/// How long they wait for it at the most: somebody may be reading what only the log has.
const UPKEEP_PATIENCE: Duration = Duration::from_millis(50);
/// After as many turns it is tried again at the latest.
const LONGEST_REST: u32 = 32;

#[derive(Debug)]
pub(crate) struct Db {
    write: SqlitePool,
    read: SqlitePool,
    upkeep: SqlitePool,
    rest: Mutex<Rest>,
    /// For reading the feed, whatever the readers are busy with.
    own: SqlitePool,
    now: NowFn,
    /// Rung after each change: the feed's followers are all in this process.
    pub(crate) changed: watch::Sender<()>,
    path: PathBuf,
    inode: u64,
    /// Held for as long as the store is open; `None`: it is open for reading only.
    lock: Option<File>,
    /// How the file was found, if nobody used it then.
    stillness: Option<Stillness>,
}

/// How the log is left alone for ever more turns where it can't be emptied.
#[derive(Debug, Default)]
struct Rest {
    last: u32,
    left: u32,
}

/// A file that nobody uses: its log is gone, and was moved into it. It is read as if it could not change;
/// so whatever was read counts only if it did not.
#[derive(Debug, PartialEq, Eq)]
struct Stillness {
    length: u64,
    modified: SystemTime,
}

/// Begins to read what stays as it is at the first statement.
pub(crate) const SNAPSHOT: &str = "begin";
/// There is one writer; rows need no locks.
pub(crate) const LOCKS_ROWS: bool = false;

/// The text for this database.
pub(crate) const fn either(sqlite: &'static str, _postgres: &'static str) -> &'static str {
    sqlite
}

/// Ends what [`Db::begin_allotment`] began; each statement was a transaction of its own.
pub(crate) async fn end_allotment(_connection: PoolConnection<Sqlite>) -> Result<(), sqlx::Error> {
    Ok(())
}

/// The store's clock.
pub(crate) async fn now(db: &Db, _connection: &mut Connection) -> Result<Timestamp, StoreError> {
    Ok(db.now.now())
}

impl Db {
    pub(crate) async fn open(path: &Path, options: &StoreOptions) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Unusable { path: path.to_owned(), source };
        create_private(path).map_err(unusable)?;
        // The lock is of the file itself, whatever name it is called by.
        let lock = lock(&path.canonicalize().map_err(unusable)?)?;
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(2))
            .pragma("cache_size", READ_CACHE)
            .pragma("wal_autocheckpoint", "0");
        let pool = |most| {
            SqlitePoolOptions::new()
                .max_connections(most)
                .acquire_timeout(options.timeout)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                // SQLite ends a transaction by itself when the disk fails it, and sqlx goes on believing in
                // it: nothing could be begun on that connection any more.
                .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
        };
        let write = pool(1).connect_with(connect.clone().pragma("cache_size", WRITE_CACHE)).await?;
        let upkeep = pool(1)
            .connect_lazy_with(connect.clone().busy_timeout(UPKEEP_PATIENCE).disable_statement_logging());
        let reading = connect.pragma("query_only", "on");
        let own = pool(1).connect_lazy_with(reading.clone());
        let read = pool(options.connections).connect_lazy_with(reading);
        let inode = inode(path).map_err(unusable)?;
        let (now, changed) = (options.now.clone(), watch::Sender::new(()));
        let (path, lock) = (path.to_owned(), Some(lock));
        let rest = Mutex::default();
        Ok(Self { write, read, upkeep, rest, own, now, changed, path, inode, lock, stillness: None })
    }

    /// Takes no lock and creates nothing. SQLite itself would create the files of the log where there are
    /// none, as whoever reads, and leave them behind: the service might not be able to open those.
    pub(crate) fn open_to_read(path: &Path, options: &ReadOptions) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Unusable { path: path.to_owned(), source };
        let inode = match inode(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::Absent { path: path.to_owned() });
            }
            inode => inode.map_err(unusable)?,
        };
        let stillness = Stillness::of(path).map_err(unusable)?;
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .immutable(stillness.is_some())
            .busy_timeout(Duration::from_secs(2))
            .pragma("query_only", "on");
        let read = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(options.timeout)
            .connect_lazy_with(connect.disable_statement_logging());
        let (write, upkeep, own) = (read.clone(), read.clone(), read.clone());
        let (now, changed, path) = (options.now.clone(), watch::Sender::new(()), path.to_owned());
        let rest = Mutex::default();
        Ok(Self { write, read, upkeep, rest, own, now, changed, path, inode, lock: None, stillness })
    }

    pub(crate) fn read(&self) -> &SqlitePool {
        &self.read
    }

    /// A connection that requests can't use up.
    pub(crate) fn own(&self) -> &SqlitePool {
        &self.own
    }

    /// For the statement that allots, which is a transaction by itself: that saves two turns with the one
    /// connection that writes.
    pub(crate) async fn begin_allotment(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        self.write.acquire().await
    }

    pub(crate) fn write(&self) -> &SqlitePool {
        &self.write
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.write.begin_with("begin immediate").await
    }

    /// SQLite goes on writing into a file that was deleted or replaced; what is written there is lost.
    pub(crate) fn check_file(&self) -> Result<(), sqlx::Error> {
        match inode(&self.path)? {
            same if same == self.inode => Ok(()),
            _ => Err(sqlx::Error::Io(io::Error::other(
                "the database file was replaced; restart to use the new one",
            ))),
        }
    }

    /// Whether what was just read can be believed.
    pub(crate) fn check_stillness(&self) -> Result<(), sqlx::Error> {
        if self.stillness.is_none() || self.stillness == Stillness::of(&self.path)? {
            return Ok(());
        }
        Err(sqlx::Error::Io(io::Error::other("the database came into use meanwhile; run this once more")))
    }

    /// The instant that statements take as now.
    pub(crate) fn injected_now(&self) -> Option<i64> {
        Some(self.now.now().0)
    }

    /// Nothing to do inside the transaction: see [`Db::announced`].
    pub(crate) async fn announce(&self, _connection: &mut Connection) -> Result<(), sqlx::Error> {
        Ok(())
    }

    /// Wakes the followers, after the commit.
    pub(crate) fn announced(&self) {
        self.changed.send_replace(());
    }

    pub(crate) async fn checkpoint(&self) -> Result<(), StoreError> {
        self.check_file()?;
        if self.move_log().await? > LONG_LOG && self.rest().is_over() {
            // What came in meanwhile is little: with that moved too, writers hardly wait for the rest.
            self.move_log().await?;
            let (is_busy, ..): (bool, i64, i64) =
                sqlx::query_as("pragma wal_checkpoint(restart)").fetch_one(&self.upkeep).await?;
            *self.rest() = if is_busy { self.rest().longer() } else { Rest::default() };
        }
        Ok(())
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what it can without making anybody wait; says how many pages the log has.
    async fn move_log(&self) -> Result<i64, StoreError> {
        let (_, pages, _): (i64, i64, i64) =
            sqlx::query_as("pragma wal_checkpoint(passive)").fetch_one(&self.upkeep).await?;
        Ok(pages)
    }

    pub(crate) async fn close(&self) {
        self.read.close().await;
        if self.lock.is_none() {
            return;
        }
        self.upkeep.close().await;
        self.own.close().await;
        // A clean end leaves no log behind; if this fails, the next start reads the log.
        let _ = sqlx::query("pragma wal_checkpoint(truncate)").execute(&self.write).await;
        self.write.close().await;
    }
}

impl Rest {
    /// Whether this turn is none of those that are left out.
    fn is_over(&mut self) -> bool {
        let is_over = self.left == 0;
        self.left = self.left.saturating_sub(1);
        is_over
    }

    fn longer(&self) -> Self {
        let last = (self.last * 2).clamp(1, LONGEST_REST);
        Self { last, left: last }
    }
}

impl Stillness {
    /// `None` if the file has a log, and so may be in use.
    fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut log = path.canonicalize()?.into_os_string();
        log.push("-wal");
        if Path::new(&log).try_exists()? {
            return Ok(None);
        }
        let file = fs::metadata(path)?;
        Ok(Some(Self { length: file.len(), modified: file.modified()? }))
    }
}

fn inode(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|metadata| metadata.ino())
}

/// Makes the file, readable by its owner alone, before SQLite would make it readable by all.
fn create_private(path: &Path) -> io::Result<()> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path).map(drop)
}

/// Takes the lock file next to the database; the system drops it when the process ends, however it ends.
fn lock(database: &Path) -> Result<File, OpenError> {
    let path = database.with_added_extension("lock");
    let unusable = |source| OpenError::Unusable { path: path.clone(), source };
    let file =
        File::options().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: database.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_cannot_be_emptied_is_left_alone_for_ever_longer() {
        let mut rest = Rest::default();
        let mut turns = 0..;
        let mut tries = Vec::new();
        while tries.len() < 8 {
            let turn = turns.next().unwrap();
            if rest.is_over() {
                tries.push(turn);
                rest = rest.longer();
            }
        }
        assert_eq!(tries, [0, 2, 5, 10, 19, 36, 69, 102]);
    }
}
