//! Keys in memory, bounded: those that are good, those that were refused lately, and those that are being
//! looked up.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::lock;
use super::table::Table;
use crate::key::KeyDigest;
use crate::policy::{KeyFacts, Refusal, Terms};
use crate::shared::Shared;
use crate::time::Elapsed;

/// How long a refused key is remembered.
pub(super) const REFUSED_FOR: Duration = Duration::from_secs(10);
/// The most refused keys that are remembered.
const MOST_REFUSED: usize = 10_000;
/// The most keys that are being looked up at once.
const MOST_LOOK_UPS: usize = 1024;

/// Keys are kept in so many tables at the most, each under a lock of its own, and so many keys in one at the
/// least.
const MOST_TABLES: usize = 256;
const KEYS_IN_A_TABLE: usize = 1024;

/// Half of a digest finds a key: to meet another key's half, 2^128 texts would have to be tried.
pub(super) type Half = [u8; KeyDigest::LENGTH / 2];

/// A good key, and how long its word is good.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) half: Half,
    pub(super) key: KeyFacts,
    /// What attempts are judged by. Unlike the key's rights it is one for many keys, and so near at hand.
    pub(super) terms: Arc<Terms>,
    pub(super) usable_until: Elapsed,
    /// The revision that it stands for.
    pub(super) read_at: i64,
    /// How often everything had been forgotten before.
    pub(super) generation: u64,
    /// Whether it was used since it was last thought of letting it go.
    pub(super) used: AtomicBool,
}

/// A key that a verifier has in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct KnownKey(pub(super) Arc<Entry>);

impl Deref for KnownKey {
    type Target = KeyFacts;

    fn deref(&self) -> &KeyFacts {
        &self.0.key
    }
}

/// For ids. They come from the service and are full of chance: nobody can choose them, and their last bytes
/// are as good as any hash.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IssuedHasher(u64);

impl Hasher for IssuedHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            // Ids have fixed bits among them; a hash table looks at the highest bits and the lowest.
            self.0 = u64::from_le_bytes(*last).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(super) type Issued = BuildHasherDefault<IssuedHasher>;

/// The good keys.
#[derive(Debug)]
pub(super) struct Known {
    tables: Box<[Mutex<Table>]>,
    terms: Mutex<Shared<Terms, Seeded>>,
}

impl Known {
    pub(super) fn new(capacity: usize, seed: u64) -> Self {
        let tables = (capacity / KEYS_IN_A_TABLE).clamp(1, MOST_TABLES);
        let table = |_| Mutex::new(Table::new(capacity / tables));
        Self { tables: (0..tables).map(table).collect(), terms: Mutex::new(Shared::new(Seeded(seed))) }
    }

    /// The keys among which this one is, if it is known. It is locked before any account.
    pub(super) fn of(&self, half: &Half) -> MutexGuard<'_, Table> {
        // Not the bytes that the table goes by.
        let [.., a, b] = half;
        lock(&self.tables[usize::from(u16::from_le_bytes([*a, *b])) % self.tables.len()])
    }

    pub(super) fn insert(&self, entry: Entry) {
        self.of(&entry.half).insert(Arc::new(entry));
    }

    /// What attempts with this key are judged by.
    pub(super) fn terms(&self, key: &KeyFacts) -> Arc<Terms> {
        lock(&self.terms).share(&Arc::new(Terms::from(&*key.rights)))
    }

    pub(super) fn forget(&self, half: &Half) {
        self.of(half).remove(half);
    }

    pub(super) fn forget_all(&self) {
        for table in &self.tables {
            lock(table).clear();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tables.iter().map(|table| lock(table).len()).sum()
    }
}

/// Keys that anybody may have sent: bounded, and hashed with a secret.
#[derive(Debug)]
pub(super) struct LookUps<W> {
    under_way: HashMap<KeyDigest, Vec<W>, Seeded>,
    refused: HashMap<KeyDigest, (Refusal, Elapsed), Seeded>,
}

impl<W> LookUps<W> {
    pub(super) fn new(seed: u64) -> Self {
        Self { under_way: HashMap::with_hasher(Seeded(seed)), refused: HashMap::with_hasher(Seeded(seed)) }
    }

    /// Those who wait for a look-up that is under way.
    pub(super) fn under_way(&mut self, digest: &KeyDigest) -> Option<&mut Vec<W>> {
        self.under_way.get_mut(digest)
    }

    /// How many look-ups are under way.
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// How many refused keys are remembered.
    pub(super) fn refused_keys(&self) -> usize {
        self.refused.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.under_way.len() >= MOST_LOOK_UPS
    }

    pub(super) fn begin(&mut self, digest: KeyDigest, waiter: W) {
        self.under_way.insert(digest, vec![waiter]);
    }

    /// Those who waited for a look-up that is over.
    pub(super) fn end(&mut self, digest: &KeyDigest) -> Vec<W> {
        self.under_way.remove(digest).unwrap_or_default()
    }

    pub(super) fn refused(&self, digest: &KeyDigest, now: Elapsed) -> Option<Refusal> {
        self.refused.get(digest).filter(|(_, until)| now < *until).map(|(refusal, _)| *refusal)
    }

    /// Remembers a refused key, unless there are too many.
    pub(super) fn refuse(&mut self, digest: KeyDigest, refusal: Refusal, until: Elapsed, now: Elapsed) {
        if self.refused.len() >= MOST_REFUSED {
            self.refused.retain(|_, (_, until)| now < *until);
        }
        if self.refused.len() < MOST_REFUSED {
            self.refused.insert(digest, (refusal, until));
        }
    }

    /// Something changed: what was refused may be good now.
    pub(super) fn forget_refused(&mut self) {
        self.refused.clear();
    }
}

/// A hash that begins with a secret.
#[derive(Clone, Copy, Debug)]
struct Seeded(u64);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

pub(super) fn half(digest: &KeyDigest) -> Half {
    *digest.as_bytes().first_chunk().expect("a digest is longer than its half")
}
