//! Identifiers: UUIDs of version 7, each kind its own type so that none is taken for another.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use uuid::Uuid;

use crate::time::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id: the time in front, chance behind.
            pub fn new(now: Timestamp, rng: &mut impl Rng) -> Self {
                let mut random = [0; 10];
                rng.fill_bytes(&mut random);
                let millis = u64::try_from(now.0 / 1000).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

id! {
    /// One API key.
    KeyId
}
id! {
    /// One quota account: the count that a key and its rotation successors share.
    AccountId
}
id! {
    /// One admin token.
    TokenId
}
id! {
    /// One process that admits requests from memory. Made at its start, never configured.
    HolderId
}
id! {
    /// One life of a store's history: a restore begins a new one.
    Epoch
}

impl From<KeyId> for AccountId {
    /// The account that a key opens when it is created.
    fn from(key: KeyId) -> Self {
        Self(key.0)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn an_id_is_a_lower_case_uuid_of_version_7_and_reads_back() {
        let id = KeyId::new(Timestamp(1_700_000_000_000_000), &mut StdRng::seed_from_u64(1));
        let text = id.to_string();
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "7");
        assert_eq!(text, text.to_lowercase());
        assert_eq!(text.parse::<KeyId>().unwrap(), id);
    }
}
