//! Keys in memory, by digest; bounded. Keys with equal rights share one copy of them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use hokusai_core::key::KeyDigest;
use hokusai_core::policy::{KeyFacts, Rights};
use quick_cache::sync::{Cache, DefaultLifecycle, PlaceholderGuard};
use quick_cache::{DefaultHashBuilder, UnitWeighter};

use crate::clock::lock;

/// A place in the cache that one caller fills while others wait for it.
pub(crate) type EmptySlot<'a> = PlaceholderGuard<
    'a,
    KeyDigest,
    KeyFacts,
    UnitWeighter,
    DefaultHashBuilder,
    DefaultLifecycle<KeyDigest, KeyFacts>,
>;

#[derive(Debug)]
pub(crate) struct KeyCache {
    keys: Cache<KeyDigest, KeyFacts>,
    rights: Mutex<SharedRights>,
}

/// Every distinct set of rights in use, once. Those that nobody uses go when their number has doubled.
#[derive(Debug)]
struct SharedRights {
    known: HashSet<Arc<Rights>>,
    tidy_at: usize,
}

impl KeyCache {
    pub(crate) fn new(capacity: usize) -> Self {
        let rights = SharedRights { known: HashSet::new(), tidy_at: 1024 };
        Self { keys: Cache::new(capacity), rights: Mutex::new(rights) }
    }

    pub(crate) fn get(&self, digest: &KeyDigest) -> Option<KeyFacts> {
        self.keys.get(digest)
    }

    /// The slot to fill, for one caller at a time; `None` once another has filled it.
    pub(crate) async fn empty_slot(&self, digest: &KeyDigest) -> Option<EmptySlot<'_>> {
        self.keys.get_value_or_guard_async(digest).await.err()
    }

    /// Fills a slot, unless the key was forgotten meanwhile.
    pub(crate) fn fill(&self, slot: EmptySlot<'_>, mut facts: KeyFacts) {
        facts.rights = self.shared(facts.rights);
        // The slot may have been removed; then nothing is remembered, which is always right.
        let _ = slot.insert(facts);
    }

    pub(crate) fn forget(&self, digest: &KeyDigest) {
        self.keys.remove(digest);
    }

    pub(crate) fn forget_all(&self) {
        self.keys.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    fn shared(&self, rights: Arc<Rights>) -> Arc<Rights> {
        let mut shared = lock(&self.rights);
        if let Some(known) = shared.known.get(&rights) {
            return known.clone();
        }
        if shared.known.len() >= shared.tidy_at {
            shared.known.retain(|rights| Arc::strong_count(rights) > 1);
            shared.tidy_at = (2 * shared.known.len()).max(1024);
        }
        shared.known.insert(rights.clone());
        rights
    }
}
