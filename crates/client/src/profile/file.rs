//! The file with the client's configuration: where it is, and who can read it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hokusai_core::secret::Secret;

use super::ConfigError;
use super::document::Document;

/// Where the file is unless a variable names another.
pub(super) const USUAL_PLACE: &str = "~/.hokusai/config";
/// No file that somebody wrote by hand is larger.
const MOST_BYTES: u64 = 64 * 1024;

/// Where the file is, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigPath {
    path: PathBuf,
    shown: String,
}

/// Something to tell a person who may want to put it right.
#[derive(Debug, PartialEq, Eq)]
pub struct Warning {
    /// What is odd.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

impl ConfigPath {
    /// The file that was chosen, else the one in the home directory; `None` if there is neither.
    #[must_use]
    pub fn choose(chosen: Option<OsString>, home: Option<OsString>) -> Option<Self> {
        if let Some(path) = chosen.map(PathBuf::from) {
            let shown = path.display().to_string();
            return Some(Self { path, shown });
        }
        let path = PathBuf::from(home?).join(".hokusai/config");
        Some(Self { path, shown: USUAL_PLACE.to_owned() })
    }

    /// The path itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path as people write it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What the file says; nothing if there is none.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`] for a file that is no configuration, [`ConfigError::Unreadable`] for one that can't be
    /// read.
    pub fn read(&self) -> Result<Document, ConfigError> {
        let Some(bytes) = self.bytes()? else { return Ok(Document::default()) };
        let text = String::from_utf8(bytes).map_err(|_| {
            self.unusable(
                "it is not UTF-8",
                "save it as UTF-8, or move it away and run `hokusai auth config init`",
            )
        })?;
        Document::parse(Secret::new(text).expose())
            .map_err(|fault| self.unusable(&format!("line {}: {}", fault.line, fault.what), &fault.hint))
    }

    /// What to warn of: lines that nobody reads, and others who can read the file.
    #[must_use]
    pub fn warnings(&self, document: &Document) -> Vec<Warning> {
        let odd = document.oddities().into_iter().map(|odd| {
            let what = format!("{} line {}: {}", self.shown, odd.line, odd.what);
            Warning { what, hint: odd.hint }
        });
        odd.chain(self.openness()).collect()
    }

    /// Others can read the file, or put another in its place.
    fn openness(&self) -> Option<Warning> {
        let file = fs::metadata(&self.path).ok().filter(fs::Metadata::is_file)?;
        let shown = &self.shown;
        if file.permissions().mode() & 0o077 != 0 {
            let what = format!("others than you can read the secrets in {shown}");
            return Some(Warning { what, hint: format!("chmod 600 {shown}") });
        }
        let directory = self.path.parent().and_then(|directory| fs::metadata(directory).ok())?;
        let mode = directory.permissions().mode();
        // In a directory with the sticky bit nobody can replace the files of others.
        let can_replace = mode & 0o022 != 0 && mode & 0o1000 == 0;
        can_replace.then(|| {
            let shown = Path::new(shown).parent().unwrap_or(Path::new(".")).display();
            let what = format!("others than you can replace files in {shown}");
            Warning { what, hint: format!("chmod 700 {shown}") }
        })
    }

    fn bytes(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unreadable(error)),
        };
        if file.metadata().map_err(|error| self.unreadable(error))?.is_dir() {
            return Err(self.unusable(
                "it is a directory",
                "move it away, or name another file by HOKUSAI_CLIENT_CONFIG",
            ));
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| self.unreadable(error))?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(self
                .unusable("it is larger than 64 KiB", "a profile takes four lines; is it the right file?"));
        }
        Ok(Some(bytes))
    }

    fn unusable(&self, why: &str, hint: &str) -> ConfigError {
        ConfigError::wrong(format!("can't use {}: {why}", self.shown), hint)
    }

    fn unreadable(&self, error: io::Error) -> ConfigError {
        let hint = format!("see who owns it: ls -l {}", self.shown);
        ConfigError::Unreadable { shown: self.shown.clone(), hint, cause: error }
    }
}
