//! What is held of accounts, each in a numbered place: whoever remembers the number need not search.

use std::collections::HashMap;

use super::known::Issued;
use crate::id::AccountId;

/// The number of no place.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Room for one account, and what is held of it. Whose it is stands first, and it begins where a piece of memory
/// does that the processor fetches as one.
#[derive(Debug)]
#[repr(C, u8, align(64))]
enum Place<T> {
    Free,
    Of(AccountId, T),
}

/// One `T` for each account.
#[derive(Debug)]
pub(super) struct Places<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    of: HashMap<AccountId, u32, Issued>,
}

impl<T> Place<T> {
    fn held(&mut self) -> Option<&mut T> {
        match self {
            Self::Free => None,
            Self::Of(_, held) => Some(held),
        }
    }
}

impl<T> Places<T> {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), of: HashMap::default() }
    }

    pub(super) fn get(&mut self, account: AccountId) -> Option<&mut T> {
        let place = *self.of.get(&account)?;
        self.places[place as usize].held()
    }

    /// Whether this account is at this place.
    pub(super) fn is_at(&self, place: u32, account: AccountId) -> bool {
        matches!(self.places.get(place as usize), Some(Place::Of(there, _)) if *there == account)
    }

    /// What is held of an account, which `new` makes if nothing is, and its place. It is looked for at
    /// `place` first; there may be another account by now.
    pub(super) fn at(&mut self, place: u32, account: AccountId, new: impl FnOnce() -> T) -> (u32, &mut T) {
        let place = if self.is_at(place, account) { place } else { self.place_of(account, new) };
        (place, self.places[place as usize].held().expect("no place in use is free"))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (AccountId, &mut T)> {
        self.places.iter_mut().filter_map(|place| match place {
            Place::Free => None,
            Place::Of(account, held) => Some((*account, held)),
        })
    }

    /// Keeps only what `keep` says. If little is left, the rest moves closer together.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(AccountId, &mut T) -> bool) {
        for (number, place) in (0..).zip(&mut self.places) {
            if let Place::Of(account, held) = place
                && !keep(*account, held)
            {
                self.of.remove(account);
                self.free.push(number);
                *place = Place::Free;
            }
        }
        if self.of.len() < self.places.capacity() / 4 {
            self.places.retain(|place| matches!(place, Place::Of(..)));
            self.places.shrink_to_fit();
            self.free = Vec::new();
            let accounts: Vec<AccountId> = self.iter_mut().map(|(account, _)| account).collect();
            self.of = accounts.into_iter().zip(0..).collect();
        }
    }

    fn place_of(&mut self, account: AccountId, new: impl FnOnce() -> T) -> u32 {
        if let Some(place) = self.of.get(&account) {
            return *place;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::Free);
            u32::try_from(self.places.len() - 1).expect("there are fewer accounts than that")
        });
        self.places[place as usize] = Place::Of(account, new());
        self.of.insert(account, place);
        place
    }
}
