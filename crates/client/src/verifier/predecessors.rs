//! The ids of the processes that had a journal's directory before, until the service knows that they are gone.
//!
//! Whoever holds the directory's lock is the only one that lives: the others that had it ended. Each writes its
//! id down before it admits anything, and takes it out when it has said goodbye.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use hokusai_core::id::HolderId;

use super::journal::JournalError;
use crate::clock::lock;

const FILE: &str = "holders";
/// The most that are remembered: the latest. The service drops the others by itself, in minutes.
const MOST: usize = 1000;

#[derive(Debug)]
pub(crate) struct Predecessors {
    path: PathBuf,
    /// The present process is the last.
    holders: Mutex<Vec<HolderId>>,
}

impl Predecessors {
    /// Reads who had this directory before `holder`, and writes that down, too. The directory is locked.
    pub(crate) fn open(directory: &Path, holder: HolderId) -> Result<Self, JournalError> {
        let path = directory.join(FILE);
        let unusable = |cause| JournalError::Unusable { path: path.clone(), cause };
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(unusable)?,
        };
        let lines = String::from_utf8_lossy(&text);
        let mut holders: Vec<HolderId> = lines.lines().filter_map(|line| line.parse().ok()).collect();
        holders.push(holder);
        holders.drain(..holders.len().saturating_sub(MOST));
        write(&path, &holders).map_err(unusable)?;
        Ok(Self { holders: Mutex::new(holders), path })
    }

    /// Those that are gone and of which the service may not know that.
    pub(crate) fn gone(&self) -> Vec<HolderId> {
        let holders = lock(&self.holders);
        holders.split_last().map_or_else(Vec::new, |(_, gone)| gone.to_owned())
    }

    /// The service knows that this one is gone.
    pub(crate) fn forget(&self, holder: HolderId) {
        let mut holders = lock(&self.holders);
        holders.retain(|known| *known != holder);
        // What stays is said once more, which changes nothing.
        let _ = write(&self.path, &holders);
    }
}

/// Writes another file and puts it in the place of this one: no crash leaves half of it.
fn write(path: &Path, holders: &[HolderId]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let open = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft);
    let lines: String = holders.iter().map(|holder| format!("{holder}\n")).collect();
    open?.write_all(lines.as_bytes())?;
    std::fs::rename(draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> HolderId {
        format!("018f0000-0000-7000-8000-{number:012}").parse().unwrap()
    }

    #[test]
    fn who_had_the_directory_is_known_until_the_service_knows() {
        let directory = tempfile::tempdir().unwrap();
        let open = |number| Predecessors::open(directory.path(), id(number)).unwrap();
        assert_eq!(open(1).gone(), []);
        let second = open(2);
        assert_eq!(second.gone(), [id(1)]);
        drop(second);
        let third = open(3);
        assert_eq!(third.gone(), [id(1), id(2)]);
        third.forget(id(1));
        assert_eq!(third.gone(), [id(2)]);
        drop(third);
        let fourth = open(4);
        assert_eq!(fourth.gone(), [id(2), id(3)]);
        // It says goodbye itself.
        fourth.forget(id(4));
        drop(fourth);
        assert_eq!(open(5).gone(), [id(2), id(3)]);
    }

    #[test]
    fn what_is_no_id_is_passed_over_and_the_latest_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let ids: String = (1..=2000).map(|number| format!("{}\n", id(number))).collect();
        std::fs::write(directory.path().join(FILE), format!("{ids}\nno id\n018f0000-00")).unwrap();
        let gone = Predecessors::open(directory.path(), id(3000)).unwrap().gone();
        assert_eq!((gone.len(), gone[0], gone[MOST - 2]), (MOST - 1, id(1002), id(2000)));
    }
}
