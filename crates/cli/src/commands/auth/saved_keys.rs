//! The file that new keys are written to, one JSON object to a line, each on disk before the next is made.

use std::collections::HashSet;
use std::fs::{File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use hokusai_api::keys::CreatedKey;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

#[derive(Serialize, Deserialize)]
struct SavedKey {
    key_id: String,
    name: String,
    environment: String,
    rotated_from: Option<String>,
    api_key: String,
}

pub(crate) struct SavedKeys {
    file: File,
    ids: HashSet<String>,
}

impl SavedKeys {
    /// Opens or makes the file, readable by its owner alone, and reads what is there.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let other = |what: String| Failure::wrong_use(what, "name a file that does not exist yet");
        let open = File::options().read(true).append(true).create(true).mode(0o600).open(path);
        let mut file = open.with_context(|| format!("can't open {}", path.display()))?;
        if !file.metadata()?.is_file() {
            return Err(other(format!("{} is no file that could keep keys", path.display())));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(|| format!("can't read {}", path.display()))?;
        let ids = read(&bytes)
            .map_err(|line| other(format!("line {line} of {} is not a saved key", path.display())))?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        if bytes.last().is_some_and(|last| *last != b'\n') {
            // The last line was cut off; what follows must not be joined to it.
            file.write_all(b"\n")?;
        }
        Ok(Self { file, ids })
    }

    pub(crate) fn add(&mut self, created: &CreatedKey) -> Result<(), Failure> {
        let saved = SavedKey {
            key_id: created.key_id.clone(),
            name: created.key_info.name.clone(),
            environment: created.key_info.environment.clone(),
            rotated_from: created.key_info.rotated_from.clone(),
            api_key: created.api_key.clone(),
        };
        let mut line = serde_json::to_vec(&saved)?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).context("can't save a new key")?;
        self.ids.insert(saved.key_id);
        Ok(())
    }

    pub(crate) fn holds(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }
}

/// The ids of the keys in these lines, or the number of the first line that is no saved key. A line that was
/// cut off holds none: its key is rotated again.
fn read(bytes: &[u8]) -> Result<HashSet<String>, usize> {
    let mut ids = HashSet::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice::<SavedKey>(line) {
            Ok(saved) => {
                ids.insert(saved.key_id);
            }
            Err(error) if error.is_eof() => {}
            Err(_) => return Err(number + 1),
        }
    }
    Ok(ids)
}
