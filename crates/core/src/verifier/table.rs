//! A bounded table of keys, made so that a key is found with as few steps in memory as can be.
//!
//! A step to memory that is not in the processor's cache costs more than all else that a hit does. So a slot
//! is small, lies where the digest says or shortly behind, and names the places of both the key's entry and
//! its account.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::known::{Entry, Half};
use super::places::NOWHERE;

/// What finds a key.
#[derive(Debug)]
pub(super) struct Slot {
    /// Some of the digest: tells nearly all keys apart, and says where the search begins.
    tag: u32,
    /// Where its account was last found.
    pub(super) place: u32,
    pub(super) entry: Arc<Entry>,
}

impl Slot {
    pub(super) fn is_of(&self, half: &Half) -> bool {
        self.entry.half == *half
    }
}

/// Keys under one lock.
#[derive(Debug)]
pub(super) struct Table {
    /// A power of two of them; a quarter is empty at the least.
    slots: Vec<Option<Slot>>,
    len: usize,
    most: usize,
    /// Where it is looked next for a key that nobody used.
    hand: usize,
}

impl Table {
    /// A table of `most` keys at the most, and one at the least.
    pub(super) fn new(most: usize) -> Self {
        Self { slots: empty(8), len: 0, most: most.max(1), hand: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The first slot that may be this key's: it need not be ([`Slot::is_of`]).
    pub(super) fn guess(&mut self, half: &Half) -> Option<&mut Slot> {
        let at = self.search(half, |_| true)?;
        self.slots[at].as_mut()
    }

    /// The key's slot.
    pub(super) fn find(&mut self, half: &Half) -> Option<&mut Slot> {
        let at = self.search(half, |slot| slot.is_of(half))?;
        self.slots[at].as_mut()
    }

    /// Puts a key in. If there are too many, one goes that was not used lately.
    pub(super) fn insert(&mut self, entry: Arc<Entry>) {
        if let Some(slot) = self.find(&entry.half) {
            slot.entry = entry;
            return;
        }
        if self.len == self.most {
            self.evict();
        }
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.len += 1;
        self.put(Slot { tag: tag(&entry.half), place: NOWHERE, entry });
    }

    pub(super) fn remove(&mut self, half: &Half) {
        if let Some(at) = self.search(half, |slot| slot.is_of(half)) {
            self.take(at);
        }
    }

    pub(super) fn clear(&mut self) {
        self.slots = empty(8);
        (self.len, self.hand) = (0, 0);
    }

    fn search(&self, half: &Half, is_it: impl Fn(&Slot) -> bool) -> Option<usize> {
        let tag = tag(half);
        let mut at = self.home(tag);
        loop {
            let slot = self.slots[at].as_ref()?;
            if slot.tag == tag && is_it(slot) {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    fn put(&mut self, slot: Slot) {
        let mut at = self.home(slot.tag);
        while self.slots[at].is_some() {
            at = self.after(at);
        }
        self.slots[at] = Some(slot);
    }

    /// Empties a slot, and moves those behind it up that would not be found any longer.
    fn take(&mut self, at: usize) {
        self.len -= 1;
        self.slots[at] = None;
        let mut next = self.after(at);
        while let Some(slot) = self.slots[next].take() {
            self.put(slot);
            next = self.after(next);
        }
    }

    fn grow(&mut self) {
        let larger = empty(self.slots.len() * 2);
        for slot in std::mem::replace(&mut self.slots, larger).into_iter().flatten() {
            self.put(slot);
        }
    }

    /// Lets the hand go round: who was used since it last came by gets another chance.
    fn evict(&mut self) {
        loop {
            let at = self.hand % self.slots.len();
            match &self.slots[at] {
                Some(slot) if !slot.entry.used.swap(false, Ordering::Relaxed) => return self.take(at),
                _ => self.hand = self.after(at),
            }
        }
    }

    fn home(&self, tag: u32) -> usize {
        tag as usize & (self.slots.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }
}

fn empty(slots: usize) -> Vec<Option<Slot>> {
    std::iter::repeat_with(|| None).take(slots).collect()
}

fn tag(half: &Half) -> u32 {
    u32::from_le_bytes(*half.first_chunk().expect("half a digest is longer"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::AtomicBool;

    use proptest::prelude::*;

    use super::*;
    use crate::policy::Terms;
    use crate::time::Elapsed;

    /// Few digests, many of them with a tag in common or with neighbouring homes.
    fn digest(number: u8) -> Half {
        let mut half = [0; 16];
        (half[0], half[15]) = (number / 4, number % 4);
        half
    }

    fn entry(number: u8) -> Arc<Entry> {
        let key = crate::verifier::tests::key(u32::from(number), 10);
        Arc::new(Entry {
            half: digest(number),
            terms: Arc::new(Terms::from(&*key.rights)),
            key,
            usable_until: Elapsed(0),
            read_at: 0,
            generation: 0,
            used: AtomicBool::new(false),
        })
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_found_until_it_is_taken_out(steps: Vec<(bool, u8)>) {
            let (mut table, mut model) = (Table::new(1000), BTreeSet::new());
            for (put, number) in steps {
                if put {
                    table.insert(entry(number));
                    model.insert(number);
                } else {
                    table.remove(&digest(number));
                    model.remove(&number);
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for number in 0..=u8::MAX {
                let found = table.find(&digest(number)).map(|slot| slot.entry.half);
                prop_assert_eq!(found, model.contains(&number).then(|| digest(number)));
            }
        }

        #[test]
        fn a_full_table_lets_one_go_for_each_that_comes(numbers: Vec<u8>) {
            let mut table = Table::new(5);
            let mut all = BTreeSet::new();
            for number in numbers {
                table.insert(entry(number));
                all.insert(number);
                prop_assert!(table.find(&digest(number)).is_some());
                prop_assert!(table.len() <= 5);
            }
            prop_assert_eq!(table.len(), all.len().min(5));
            prop_assert_eq!(all.iter().filter(|n| table.find(&digest(**n)).is_some()).count(), table.len());
        }
    }
}
