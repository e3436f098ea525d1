//! Keys in memory, by digest; bounded. Keys with equal rights share one copy of them.
//!
//! A million keys should not need much: half of a digest finds a key here (to meet another key's half,
//! 2^128 texts would have to be tried), and of a key only what a validation asks for is kept.

use std::hash::RandomState;
use std::sync::{Arc, Mutex};

use hokusai_core::id::{AccountId, KeyId};
use hokusai_core::key::{KeyDigest, Lifetime};
use hokusai_core::policy::{KeyFacts, Rights};
use hokusai_core::shared::Shared;
use hokusai_core::time::Timestamp;
use quick_cache::sync::{Cache, DefaultLifecycle, PlaceholderGuard};
use quick_cache::{DefaultHashBuilder, UnitWeighter};

use crate::clock::lock;

type Half = [u8; KeyDigest::LENGTH / 2];

/// A place in the cache that one caller fills while others wait for it.
pub(crate) type EmptySlot<'a> = PlaceholderGuard<
    'a,
    Half,
    Remembered,
    UnitWeighter,
    DefaultHashBuilder,
    DefaultLifecycle<Half, Remembered>,
>;

/// What is kept of a key: [`KeyFacts`], closer together.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    id: KeyId,
    /// `None`: the one that the key opened, which bears its id. Only successors share another's.
    account: Option<Box<AccountId>>,
    expires_at: Timestamp,
    revoked_from: Timestamp,
    rights: Arc<Rights>,
}

impl From<Remembered> for KeyFacts {
    fn from(key: Remembered) -> Self {
        let lifetime = Lifetime {
            expires_at: key.expires_at,
            grace_until: Timestamp::NEVER,
            revoked_at: key.revoked_from,
        };
        Self {
            id: key.id,
            account: key.account.map_or(key.id.into(), |account| *account),
            lifetime,
            rights: key.rights,
        }
    }
}

#[derive(Debug)]
pub(crate) struct KeyCache {
    keys: Cache<Half, Remembered>,
    rights: Mutex<Shared<Rights, RandomState>>,
}

impl KeyCache {
    pub(crate) fn new(capacity: usize) -> Self {
        let keys = Cache::new(capacity);
        // Growing would copy all that is there while validations wait; memory that is not used yet is free.
        keys.reserve(capacity);
        Self { keys, rights: Mutex::new(Shared::new(RandomState::new())) }
    }

    pub(crate) fn get(&self, digest: &KeyDigest) -> Option<KeyFacts> {
        self.keys.get(&half(digest)).map(KeyFacts::from)
    }

    /// The slot to fill, for one caller at a time; `None` once another has filled it.
    pub(crate) async fn empty_slot(&self, digest: &KeyDigest) -> Option<EmptySlot<'_>> {
        self.keys.get_value_or_guard_async(&half(digest)).await.err()
    }

    /// Fills a slot, unless the key was forgotten meanwhile.
    pub(crate) fn fill(&self, slot: EmptySlot<'_>, facts: &KeyFacts) {
        let remembered = Remembered {
            id: facts.id,
            account: (facts.account != facts.id.into()).then(|| Box::new(facts.account)),
            expires_at: facts.lifetime.expires_at,
            revoked_from: facts.lifetime.revoked_from(),
            rights: lock(&self.rights).share(&facts.rights),
        };
        // The slot may have been removed; then nothing is remembered, which is always right.
        let _ = slot.insert(remembered);
    }

    pub(crate) fn forget(&self, digest: &KeyDigest) {
        self.keys.remove(&half(digest));
    }

    pub(crate) fn forget_all(&self) {
        self.keys.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

fn half(digest: &KeyDigest) -> Half {
    *digest.as_bytes().first_chunk().expect("a digest is longer than its half")
}
