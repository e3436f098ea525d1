//! An API key: its text with checksum, its digest, its environment and the stages of its life.
//!
//! The text is `hk_live_`, `hk_test_` or `hk_dev_`, 26 random characters (about 155 bits), and a CRC-32 of
//! all before it as 6 digits of base 62. So a mistyped key is refused without a look-up, and a scanner can
//! tell a key from noise.

use std::fmt;

use rand::{CryptoRng, RngExt, distr::Alphanumeric};
use sha2::{Digest, Sha256};

use crate::secret::Secret;
use crate::time::Timestamp;

const RANDOM_LENGTH: usize = 26;
const CHECKSUM_LENGTH: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a key is for; its prefix shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    /// Live systems: `hk_live_`.
    Production,
    /// Tests: `hk_test_`.
    Test,
    /// Work on one's own machine: `hk_dev_`.
    Development,
}

impl Environment {
    /// Every environment, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Production, Self::Test, Self::Development];

    /// The first characters of this environment's keys.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Production => "hk_live_",
            Self::Test => "hk_test_",
            Self::Development => "hk_dev_",
        }
    }

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Test => "test",
            Self::Development => "development",
        }
    }

    /// The environment of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|environment| environment.name() == name)
    }
}

/// A new key's text. It may be shown once and is never stored.
#[derive(Clone, Debug)]
pub struct PlainKey(Secret);

impl PlainKey {
    /// Makes a key for `environment`.
    pub fn generate(environment: Environment, rng: &mut impl CryptoRng) -> Self {
        Self(generate_text(environment.prefix(), rng))
    }

    /// The text, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored and looked up instead of the text.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.expose())
    }

    /// What is shown in lists: the prefix, three characters, and `***`.
    #[must_use]
    pub fn shown_prefix(&self) -> String {
        let text = self.expose();
        let environment = text.rfind('_').map_or(0, |at| at + 1);
        format!("{}***", &text[..environment + 3])
    }
}

/// A text of key form whose checksum is right; nobody has looked yet whether the key exists.
#[derive(Clone, Copy)]
pub struct PresentedKey<'a>(&'a str);

impl<'a> PresentedKey<'a> {
    /// Reads a key; `None` if the form or the checksum is wrong, which no issued key's is.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let environment = Environment::ALL.into_iter().find(|e| text.starts_with(e.prefix()))?;
        has_form(text, environment.prefix()).then_some(Self(text))
    }

    /// What this key is looked up by.
    #[must_use]
    pub fn digest(self) -> KeyDigest {
        KeyDigest::of(self.0)
    }
}

/// SHA-256 of a whole key or token text. It may be stored and is never shown.
///
/// No slow hash: the text holds 155 random bits, so there is nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; Self::LENGTH]);

impl KeyDigest {
    /// Bytes of a digest.
    pub const LENGTH: usize = 32;

    /// The digest of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The digest as the store keeps it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A digest read back from the store; `None` if it is not 32 bytes long.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It works.
    Active,
    /// It was rotated and works until its grace ends.
    Rotating,
    /// Its time is over; a new expiry brings it back.
    Expired,
    /// It was revoked, or its grace is over; for good.
    Revoked,
}

impl KeyStatus {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Rotating => "rotating",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether a key in this stage is accepted.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::Rotating)
    }
}

/// The instants that bound a key's life. An instant counts as reached when `now` equals it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When it stops unless renewed; [`Timestamp::NEVER`] if never.
    pub expires_at: Timestamp,
    /// When the grace after a rotation ends; [`Timestamp::NEVER`] if it was not rotated.
    pub grace_until: Timestamp,
    /// When it was revoked; [`Timestamp::NEVER`] if it was not.
    pub revoked_at: Timestamp,
}

impl Lifetime {
    /// The stage at `now`. Revocation outweighs expiry, which outweighs rotation.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        if now >= self.revoked_from() {
            KeyStatus::Revoked
        } else if now >= self.expires_at {
            KeyStatus::Expired
        } else if self.grace_until != Timestamp::NEVER {
            KeyStatus::Rotating
        } else {
            KeyStatus::Active
        }
    }

    /// The instant from which the key is refused for good: its revocation or the end of its grace.
    #[must_use]
    pub fn revoked_from(&self) -> Timestamp {
        self.revoked_at.min(self.grace_until)
    }
}

/// A random text with `prefix` and checksum, as keys and admin tokens have.
pub(crate) fn generate_text(prefix: &str, rng: &mut impl CryptoRng) -> Secret {
    let mut text = String::with_capacity(prefix.len() + RANDOM_LENGTH + CHECKSUM_LENGTH);
    text.push_str(prefix);
    text.extend(rng.sample_iter(Alphanumeric).take(RANDOM_LENGTH).map(char::from));
    let checksum = checksum(text.as_bytes());
    text.extend(checksum.map(char::from));
    Secret::new(text)
}

/// Whether `text` is `prefix`, 26 letters or digits, and the checksum of both.
pub(crate) fn has_form(text: &str, prefix: &str) -> bool {
    let Some(rest) = text.strip_prefix(prefix) else { return false };
    // Looks at every byte: that is faster than to stop at the first wrong one, which hardly any text has.
    let is_alphanumeric = || rest.bytes().fold(true, |all, b| all & b.is_ascii_alphanumeric());
    if rest.len() != RANDOM_LENGTH + CHECKSUM_LENGTH || !is_alphanumeric() {
        return false;
    }
    let (body, last) = text.as_bytes().split_at(text.len() - CHECKSUM_LENGTH);
    *last == checksum(body)
}

/// The CRC-32 in digits of base 62.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32fast::hash(body);
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn key(seed: u64, environment: Environment) -> PlainKey {
        PlainKey::generate(environment, &mut StdRng::seed_from_u64(seed))
    }

    #[test]
    fn a_key_has_the_documented_form() {
        for environment in Environment::ALL {
            let key = key(7, environment);
            assert!(key.expose().starts_with(environment.prefix()));
            assert_eq!(key.expose().len(), environment.prefix().len() + 32);
            assert_eq!(key.shown_prefix().len(), environment.prefix().len() + 6);
            assert!(key.expose().starts_with(key.shown_prefix().trim_end_matches('*')));
        }
    }

    #[test]
    fn the_prefix_is_under_the_checksum() {
        let text = key(7, Environment::Production).expose().replace("hk_live_", "hk_test_");
        assert!(PresentedKey::parse(&text).is_none());
    }

    #[test]
    fn a_key_shows_nothing_of_itself_in_debug() {
        let key = key(7, Environment::Test);
        assert_eq!(format!("{key:?} {:?}", key.digest()), "PlainKey([secret]) KeyDigest(..)");
    }

    #[test]
    fn the_checksum_is_the_one_that_is_documented() {
        for text in ["hk_test_000000000000000000000000001tcB9d", "hk_live_abcdefghijklmnopqrstuvwxyz2PmCI3"] {
            assert!(PresentedKey::parse(text).is_some(), "{text}");
        }
    }

    #[test]
    fn texts_of_other_forms_are_no_keys() {
        for text in ["", "hk_live_", "hk_live_é", "sk_live_0000", "hk_live_00000000000000000000000000000000"]
        {
            assert!(PresentedKey::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_life_ends_to_the_microsecond() {
        let (expires_at, end) = (Timestamp(100), Timestamp::NEVER);
        let life = Lifetime { expires_at, grace_until: end, revoked_at: end };
        assert_eq!(life.status(Timestamp(99)), KeyStatus::Active);
        assert_eq!(life.status(Timestamp(100)), KeyStatus::Expired);

        let rotated = Lifetime { grace_until: Timestamp(50), ..life };
        assert_eq!(rotated.status(Timestamp(49)), KeyStatus::Rotating);
        assert_eq!(rotated.status(Timestamp(50)), KeyStatus::Revoked);

        let revoked = Lifetime { revoked_at: Timestamp(40), ..rotated };
        assert_eq!(revoked.status(Timestamp(40)), KeyStatus::Revoked);
    }

    proptest! {
        #[test]
        fn every_generated_key_is_recognised(seed: u64) {
            for environment in Environment::ALL {
                prop_assert!(PresentedKey::parse(key(seed, environment).expose()).is_some());
            }
        }

        #[test]
        fn one_changed_letter_is_noticed(seed: u64, at in 0usize..40, letter in "[0-9A-Za-z_]") {
            let text = key(seed, Environment::Production).expose().to_owned();
            let mut changed = text.clone();
            changed.replace_range(at..=at, &letter);
            prop_assert_eq!(PresentedKey::parse(&changed).is_some(), changed == text);
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            prop_assert!(PresentedKey::parse(&text).is_none());
        }
    }
}
