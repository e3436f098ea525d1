//! The audit chain: each entry is sealed together with the seal of the one before it.
//!
//! The sealing key is not in the database. So whoever can write the database, but does not hold the key,
//! can't change, drop, insert or move an entry unseen.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;
use crate::time::Timestamp;

mod walker;

pub use walker::{Fault, Finding, Head, Walker};

/// The key of the chain: 32 bytes or more, of any form.
#[derive(Clone, Debug)]
pub struct AuditKey(Secret);

/// The seal of an entry, and by it of all before.
pub type Seal = [u8; 32];

/// The seal before the first entry.
pub const FIRST: Seal = [0; 32];

/// One thing that was done. The texts are bounded by whoever makes the entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the chain, from 1 without a gap.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// Who: the user.
    pub user_id: String,
    /// By which admin token; empty for the system itself.
    pub token_id: String,
    /// What: `key.create`, `key.revoke` …
    pub action: String,
    /// To which key, token or user.
    pub target: String,
    /// From which address; empty for the system itself.
    pub address: String,
    /// The request's id; empty for the system itself.
    pub request_id: String,
    /// The rest, as JSON; never a secret.
    pub detail: String,
}

/// An entry as it is kept. Its seal can be of any form: whoever can write the database may have written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedEntry {
    /// What was done.
    pub entry: Entry,
    /// What seals it.
    pub seal: Vec<u8>,
    /// Whether it was found in the form in which entries are written.
    pub form: Form,
}

/// The form in which an entry was found: some databases keep anything in any place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each part is of its type.
    Whole,
    /// Some part is of another type, or a text that can't be read: what is shown in its place is only what
    /// comes nearest to it.
    Damaged,
    /// Its number is no whole number, so it has no place.
    Unnumbered,
}

/// How far the chain goes: kept elsewhere, it shows later that nothing before it was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last entry's number; 0 if there is none.
    pub number: i64,
    /// The last entry's seal.
    pub seal: Seal,
}

/// A text that is no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCheckpoint;

impl fmt::Display for NoCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a checkpoint is NUMBER:SEAL, with 64 digits of 0-9 and a-f for the seal")
    }
}

impl std::error::Error for NoCheckpoint {}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, hex(&self.seal))
    }
}

impl FromStr for Checkpoint {
    type Err = NoCheckpoint;

    fn from_str(text: &str) -> Result<Self, NoCheckpoint> {
        let (number, digits) = text.trim().split_once(':').ok_or(NoCheckpoint)?;
        let number = number.parse().ok().filter(|number| *number >= 0).ok_or(NoCheckpoint)?;
        if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NoCheckpoint);
        }
        let mut seal = FIRST;
        for (byte, at) in seal.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| NoCheckpoint)?;
        }
        Ok(Self { number, seal })
    }
}

/// A seal as people and programs are shown it.
#[must_use]
pub fn hex(seal: &[u8]) -> String {
    seal.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl AuditKey {
    /// Takes a key's text; `None` if it is shorter than 32 bytes.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        (text.len() >= 32).then(|| Self(Secret::new(text)))
    }

    /// Tells keys apart without telling the key: kept in the store, to notice a wrong one.
    #[must_use]
    pub fn fingerprint(&self) -> Seal {
        self.mac(&[b"hokusai audit key"])
    }

    /// Seals `entry` after `previous`.
    #[must_use]
    pub fn seal(&self, previous: &Seal, entry: &Entry) -> Seal {
        let (number, at) = (entry.number.to_be_bytes(), entry.at.0.to_be_bytes());
        let parts: [&[u8]; 10] = [
            previous,
            &number,
            &at,
            entry.user_id.as_bytes(),
            entry.token_id.as_bytes(),
            entry.action.as_bytes(),
            entry.target.as_bytes(),
            entry.address.as_bytes(),
            entry.request_id.as_bytes(),
            entry.detail.as_bytes(),
        ];
        self.mac(&parts)
    }

    /// Each part goes in behind its length, so that no two entries read alike.
    fn mac(&self, parts: &[&[u8]]) -> Seal {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose().as_bytes())
            .expect("HMAC takes a key of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: i64) -> Entry {
        Entry {
            number,
            at: Timestamp(5),
            user_id: "ada".into(),
            token_id: String::new(),
            action: "key.create".into(),
            target: "k".into(),
            address: String::new(),
            request_id: String::new(),
            detail: "{}".into(),
        }
    }

    #[test]
    fn a_seal_depends_on_every_part_and_on_what_came_before() {
        let key = AuditKey::new("k".repeat(32)).unwrap();
        let seal = key.seal(&FIRST, &entry(1));
        assert_eq!(seal, key.seal(&FIRST, &entry(1)));
        let shifted = Entry { user_id: "ad".into(), token_id: "a".into(), ..entry(1) };
        let other_key = AuditKey::new("x".repeat(32)).unwrap();
        for other in [
            key.seal(&seal, &entry(1)),
            key.seal(&FIRST, &entry(2)),
            key.seal(&FIRST, &shifted),
            other_key.seal(&FIRST, &entry(1)),
        ] {
            assert_ne!(seal, other);
        }
    }

    #[test]
    fn a_checkpoint_is_read_as_it_is_written() {
        let mut seal = FIRST;
        (seal[0], seal[31]) = (0xab, 0x01);
        let checkpoint = Checkpoint { number: 12, seal };
        assert_eq!(checkpoint.to_string(), format!("12:ab{}01", "0".repeat(60)));
        assert_eq!(format!(" {checkpoint}\n").parse(), Ok(checkpoint));
        let digits = "0".repeat(64);
        for wrong in
            ["", "12", "12:", ":", &format!("-1:{digits}"), &format!("1:{digits}0"), &format!("x:{digits}")]
        {
            assert_eq!(wrong.parse::<Checkpoint>(), Err(NoCheckpoint), "{wrong}");
        }
        assert_eq!(format!("1:{}é", "0".repeat(62)).parse::<Checkpoint>(), Err(NoCheckpoint));
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(AuditKey::new("k".repeat(31)).is_none());
    }
}
