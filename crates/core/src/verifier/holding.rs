//! Accounts at a verifier: their units, who waits for them, what is owed, and which of their keys changed.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::known::{Entry, Issued};
use super::places::{NOWHERE, Places};
use super::{LONGEST_VALIDITY, lock};
use crate::account::Account;
use crate::id::{AccountId, KeyId};
use crate::time::{Elapsed, Hour};

const SHARDS: usize = 64;
/// Room for so many accounts in line is kept, so that a request that puts one there takes no memory.
const IN_LINE: usize = 1024;
/// For this long it is remembered that a key changed: no entry from before is usable after it.
const CHANGE_KEPT: Duration = LONGEST_VALIDITY;

/// What is held of one account. What every request looks at stands first.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Holding<W> {
    pub(super) account: Account,
    /// Those who wait for a unit.
    pub(super) waiting: Vec<W>,
    /// Units owed in the latest hour that any were owed in.
    owed: Option<(Hour, u32)>,
    /// The highest number of a message about it.
    pub(super) last_seq: i64,
}

/// Accounts whose ids share a hash, under one lock.
#[derive(Debug)]
pub(super) struct Shard<W> {
    number: u32,
    holdings: Places<Holding<W>>,
    /// Keys that changed lately: at which revision, and when it was heard.
    changed: HashMap<KeyId, (i64, Elapsed), Issued>,
    /// Entries from before everything was forgotten this often count no longer.
    generation: u64,
    /// The highest number of a message about an account that was forgotten: what was asked before it may
    /// have been overtaken.
    forgotten: i64,
}

/// All accounts.
#[derive(Debug)]
pub(super) struct Holdings<W> {
    shards: Box<[Mutex<Shard<W>>]>,
    /// Accounts that stand in line for the next message.
    line: Mutex<VecDeque<AccountId>>,
    /// Whether any came into line since this was last looked at.
    bell: AtomicBool,
}

impl<W> Holding<W> {
    pub(super) fn new(now: Elapsed) -> Self {
        Self { account: Account::new(now), waiting: Vec::new(), owed: None, last_seq: 0 }
    }

    pub(super) fn owed_in(&self, hour: Hour) -> u32 {
        self.owed.filter(|(owed_in, _)| *owed_in == hour).map_or(0, |(_, units)| units)
    }

    pub(super) fn owe(&mut self, hour: Hour) {
        self.owed = Some((hour, self.owed_in(hour).saturating_add(1)));
    }

    pub(super) fn forgive(&mut self, hour: Hour) {
        if let Some((owed_in, units)) = &mut self.owed
            && *owed_in == hour
        {
            *units = units.saturating_sub(1);
        }
    }

    /// Whether nobody would miss it. What was owed in the present hour still bounds what may be owed.
    fn can_be_forgotten(&self, now: Elapsed) -> bool {
        let owes = || self.account.allotment.count_on(now).is_none_or(|on| self.owed_in(on.hour) > 0);
        self.waiting.is_empty() && self.account.can_be_forgotten(now) && !(self.owed.is_some() && owes())
    }
}

impl<W> Shard<W> {
    /// Whether a change was applied that this entry does not know of.
    pub(super) fn overtakes(&self, entry: &Entry) -> bool {
        entry.generation < self.generation
            || (!self.changed.is_empty()
                && self.changed.get(&entry.key.id).is_some_and(|(revision, _)| entry.read_at < *revision))
    }

    pub(super) fn get(&mut self, account: AccountId) -> Option<&mut Holding<W>> {
        self.holdings.get(account)
    }

    pub(super) fn entry(&mut self, account: AccountId, now: Elapsed) -> &mut Holding<W> {
        self.holdings.at(NOWHERE, account, || Holding::new(now)).1
    }

    /// As [`Shard::entry`]. It is looked for at `place` first, and where it was found is noted there.
    pub(super) fn entry_at(&mut self, place: &mut u32, account: AccountId, now: Elapsed) -> &mut Holding<W> {
        let (found, holding) = self.holdings.at(*place / SHARDS as u32, account, || Holding::new(now));
        *place = found * SHARDS as u32 + self.number;
        holding
    }

    /// Whether this account is at this place.
    pub(super) fn is_at(&self, place: u32, account: AccountId) -> bool {
        self.holdings.is_at(place / SHARDS as u32, account)
    }

    /// Whether a message of this number may have been overtaken by one about an account that was forgotten.
    pub(super) fn may_be_overtaken(&self, seq: i64) -> bool {
        seq <= self.forgotten
    }

    /// Notes that a key changed, and with it its account.
    pub(super) fn change(&mut self, key: KeyId, account: AccountId, revision: i64, now: Elapsed) -> bool {
        self.changed.insert(key, (revision, now));
        let Some(holding) = self.holdings.get(account) else { return false };
        holding.account.change();
        holding.account.queue()
    }

    /// Notes that everything may have changed.
    pub(super) fn change_all(&mut self, generation: u64) -> Vec<AccountId> {
        self.generation = generation;
        self.changed.clear();
        let mut in_line = Vec::new();
        for (account, holding) in self.holdings.iter_mut() {
            holding.account.change();
            if holding.account.queue() {
                in_line.push(account);
            }
        }
        in_line
    }

    /// Puts accounts in line whose units nobody uses, and forgets those that nobody would miss.
    pub(super) fn sweep(&mut self, now: Elapsed) -> Vec<AccountId> {
        let mut in_line = Vec::new();
        let forgotten = &mut self.forgotten;
        self.holdings.retain(|account, holding| {
            if holding.account.allotment.should_settle(now) {
                holding.account.give_back();
                if holding.account.queue() {
                    in_line.push(account);
                }
            }
            let forget = holding.can_be_forgotten(now);
            if forget {
                *forgotten = (*forgotten).max(holding.last_seq);
            }
            !forget
        });
        self.changed.retain(|_, (_, at)| now.since(*at) < CHANGE_KEPT);
        in_line
    }

    /// Puts every account in line that has something to say.
    pub(super) fn give_all_back(&mut self) -> (usize, Vec<AccountId>) {
        let (mut open, mut in_line) = (0, Vec::new());
        for (account, holding) in self.holdings.iter_mut() {
            let units = &holding.account.allotment;
            if units.is_asking() || !units.is_settled() {
                open += 1;
                holding.account.give_back();
                if holding.account.queue() {
                    in_line.push(account);
                }
            }
        }
        (open, in_line)
    }
}

impl<W> Holdings<W> {
    pub(super) fn new() -> Self {
        let shard = |number| Shard {
            number,
            holdings: Places::new(),
            changed: HashMap::default(),
            generation: 0,
            forgotten: i64::MIN,
        };
        Self {
            shards: (0..SHARDS as u32).map(|number| Mutex::new(shard(number))).collect(),
            line: Mutex::new(VecDeque::with_capacity(IN_LINE)),
            bell: AtomicBool::new(false),
        }
    }

    /// The accounts among which is the one at this place.
    pub(super) fn around(&self, place: u32) -> MutexGuard<'_, Shard<W>> {
        lock(&self.shards[place as usize % SHARDS])
    }

    /// The accounts that share this one's lock.
    pub(super) fn of(&self, account: AccountId) -> MutexGuard<'_, Shard<W>> {
        // Not the bits that the table behind it goes by.
        let hash = Issued::default().hash_one(account) >> 32;
        lock(&self.shards[hash as usize % SHARDS])
    }

    /// All of them, one lock after the other.
    pub(super) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Shard<W>>> {
        self.shards.iter().map(lock)
    }

    /// Puts an account in line, unless it stands there or is being spoken of.
    pub(super) fn queue(&self, account: AccountId, holding: &mut Holding<W>) {
        if holding.account.queue() {
            self.put_in_line(account);
        }
    }

    pub(super) fn put_in_line(&self, account: AccountId) {
        lock(&self.line).push_back(account);
        self.bell.store(true, Ordering::Release);
    }

    /// Puts accounts in line, in an order that does not depend on where they lie in memory.
    pub(super) fn put_all_in_line(&self, mut accounts: Vec<AccountId>) {
        accounts.sort_unstable();
        if !accounts.is_empty() {
            lock(&self.line).extend(accounts);
            self.bell.store(true, Ordering::Release);
        }
    }

    pub(super) fn take_from_line(&self, most: usize) -> Vec<AccountId> {
        let mut line = lock(&self.line);
        let some = line.len().min(most);
        let mut accounts: Vec<AccountId> = line.drain(..some).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }

    /// Whether any account came into line since this was last asked.
    pub(super) fn rings(&self) -> bool {
        self.bell.load(Ordering::Acquire) && self.bell.swap(false, Ordering::AcqRel)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.each().map(|shard| shard.holdings.len()).sum()
    }

    pub(super) fn is_line_empty(&self) -> bool {
        lock(&self.line).is_empty()
    }
}
