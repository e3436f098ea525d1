//! Files that only their owner may read.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::Context as _;

/// Makes a directory that only its owner may enter, unless it exists.
pub(crate) fn make_private_directory(path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("can't make the directory {}", path.display()))
}

/// Writes a secret into a new file, and does not return before it is on disk.
pub(crate) fn write_private(path: &Path, secret: &str) -> anyhow::Result<()> {
    let write = || {
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(path)?;
        writeln!(file, "{secret}")?;
        file.sync_all()
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

/// Writes a secret into a file unless there is one: of several processes that try, one does. Whoever reads
/// the file finds all of the secret.
pub(crate) fn propose_private(path: &Path, secret: &str) -> anyhow::Result<()> {
    let draft = path.with_added_extension(std::process::id().to_string());
    replace_private(&draft, secret)?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft).with_context(|| format!("can't remove {}", draft.display()))?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.with_context(|| format!("can't write {}", path.display())),
    }
}

/// Writes a secret in place of what the file held before.
pub(crate) fn replace_private(path: &Path, secret: &str) -> anyhow::Result<()> {
    let fresh = path.with_added_extension(format!("new.{}", std::process::id()));
    let _ = fs::remove_file(&fresh);
    write_private(&fresh, secret)?;
    fs::rename(&fresh, path).with_context(|| format!("can't write {}", path.display()))
}

/// The secret in a file; `None` if there is no such file.
pub(crate) fn read_private(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}
