//! Debts on disk: written before the request goes on, read again by the next process, dropped once the
//! service knows of them.
//!
//! A line is `debtor account hour` and stands for one unit. A line that broke off when its process ended
//! stands for none: its request did not go on.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use hokusai_core::debt::{Debt, DebtId};
use hokusai_core::time::Hour;

use crate::clock::lock;

const FILE: &str = "debts";

/// Why a journal can't be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory or its file can't be made, read or written.
    #[error("{} can't be used", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Another process writes it.
    #[error("{} is in use by another process; give each its own directory", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

pub(crate) struct Journal {
    file: Mutex<File>,
    inherited: Vec<Debt>,
}

impl Journal {
    pub(crate) fn open(directory: &Path) -> Result<Self, JournalError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |cause| JournalError::Unusable { path, cause }
        };
        std::fs::create_dir_all(directory).map_err(unusable(directory))?;
        let path = directory.join(FILE);
        let open = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
        let mut file = open.map_err(unusable(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse { path }),
            Err(TryLockError::Error(cause)) => return Err(JournalError::Unusable { path, cause }),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unusable(&path))?;
        let inherited = read(&String::from_utf8_lossy(&bytes));
        // What broke off must not run into the next line.
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            file.write_all(b"\n").map_err(unusable(&path))?;
        }
        Ok(Self { file: Mutex::new(file), inherited })
    }

    /// What processes before this one owe.
    pub(crate) fn inherited(&self) -> Vec<Debt> {
        self.inherited.clone()
    }

    /// Writes one unit down.
    pub(crate) fn owe(&self, debt: DebtId) -> std::io::Result<()> {
        let line = format!("{} {} {}\n", debt.debtor, debt.account, debt.hour.0);
        lock(&self.file).write_all(line.as_bytes())
    }

    /// Drops everything, unless something is owed after all. Nothing is written meanwhile.
    pub(crate) fn clear_if(&self, nothing_is_owed: impl FnOnce() -> bool) {
        let mut file = lock(&self.file);
        if nothing_is_owed() && file.set_len(0).is_ok() {
            // What stays is settled once more, which changes nothing.
            let _ = file.rewind();
        }
    }
}

fn read(text: &str) -> Vec<Debt> {
    let mut owed: BTreeMap<DebtId, u32> = BTreeMap::new();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for id in whole.lines().filter_map(read_line) {
        *owed.entry(id).or_insert(0) += 1;
    }
    owed.into_iter().map(|(id, units)| Debt { id, units }).collect()
}

fn read_line(line: &str) -> Option<DebtId> {
    let mut words = line.split(' ');
    let (debtor, account, hour) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    Some(DebtId {
        debtor: debtor.parse().ok()?,
        account: account.parse().ok()?,
        hour: Hour(hour.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(hour: i64) -> DebtId {
        let one = "018f0000-0000-7000-8000-000000000001";
        DebtId { debtor: one.parse().unwrap(), account: one.parse().unwrap(), hour: Hour(hour) }
    }

    #[test]
    fn debts_outlive_their_process_and_a_broken_line_counts_for_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(directory.path()).unwrap();
        for hour in [1, 2, 2] {
            journal.owe(id(hour)).unwrap();
        }
        drop(journal);
        let path = directory.path().join(FILE);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("018f0000-0000-7000-8000-000000000001 018f0000-0000-7000-8000-00000000");
        std::fs::write(&path, text).unwrap();
        let journal = Journal::open(directory.path()).unwrap();
        let owed = [Debt { id: id(1), units: 1 }, Debt { id: id(2), units: 2 }];
        assert_eq!(journal.inherited(), owed);
        journal.owe(id(1)).unwrap();
        drop(journal);
        let owed = [Debt { id: id(1), units: 2 }, Debt { id: id(2), units: 2 }];
        assert_eq!(Journal::open(directory.path()).unwrap().inherited(), owed);
    }

    #[test]
    fn settled_debts_are_dropped_and_new_ones_stay() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(directory.path()).unwrap();
        journal.owe(id(1)).unwrap();
        journal.clear_if(|| false);
        journal.owe(id(1)).unwrap();
        journal.clear_if(|| true);
        journal.owe(id(3)).unwrap();
        drop(journal);
        let owed = [Debt { id: id(3), units: 1 }];
        assert_eq!(Journal::open(directory.path()).unwrap().inherited(), owed);
    }

    #[test]
    fn a_journal_is_written_by_one_process_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Journal::open(directory.path()).unwrap();
        assert!(matches!(Journal::open(directory.path()), Err(JournalError::InUse { .. })));
    }
}
