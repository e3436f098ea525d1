//! The promises, checked after every step that could break one.

use std::collections::{HashMap, HashSet, VecDeque};

use hokusai_core::debt::DebtId;
use hokusai_core::id::{AccountId, KeyId};
use hokusai_core::time::{HOUR, Hour, SECOND};

use crate::world::Instant;

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests admitted with a unit.
    pub admitted: u64,
    /// Requests admitted as debt.
    pub lent: u64,
    /// Requests whose key was refused.
    pub refused: u64,
    /// Requests over the limit.
    pub limited: u64,
    /// Requests that could not be decided.
    pub unreachable: u64,
    /// Revocations that were known everywhere before the answer.
    pub prompt: u64,
    /// Revocations that could only name the latest time.
    pub bounded: u64,
}

/// What is watched.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) violation: Option<String>,
    pub(crate) events: u64,
    pub(crate) counts: Counts,
    /// Units admitted of an account in an hour.
    units: HashMap<(AccountId, Hour), u32>,
    /// What each process admitted of an account in an hour: units, and debts.
    by_process: HashMap<(usize, u32, AccountId, Hour), u32>,
    /// Accounts that a process has told to be out of units, in which hour.
    out: HashSet<(usize, u32, AccountId, Hour)>,
    /// Every debt that a request was admitted by.
    pub(crate) debts: HashMap<DebtId, u32>,
    /// Limits, with the instant from which each was in force.
    limits: HashMap<AccountId, Vec<(Instant, u32)>>,
    /// Limits that are known everywhere, and since when.
    effective: HashMap<AccountId, (Instant, u32)>,
    /// From when on nobody may admit a key any longer.
    dead_from: HashMap<KeyId, Instant>,
    /// When a key was last admitted.
    last: HashMap<KeyId, Instant>,
    /// When others were last told that an account is short of units.
    hints: HashMap<AccountId, VecDeque<Instant>>,
}

/// The most hints about one account in a second.
const HINTS: usize = 4;

/// One request that was admitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted {
    pub(crate) process: (usize, u32),
    pub(crate) key: KeyId,
    pub(crate) account: AccountId,
    /// The account that all its rotations share.
    pub(crate) family: AccountId,
    pub(crate) hour: Hour,
    /// How long nothing was heard of the service.
    pub(crate) silence: i64,
    /// Whether every node was asked for this request, in vain.
    pub(crate) in_vain: bool,
    pub(crate) debt: Option<DebtId>,
    /// Until when the word that it was admitted by may be used, as seen from outside.
    pub(crate) word_until: Instant,
    /// Until when its unit may be spent, as seen from outside.
    pub(crate) unit_until: Instant,
}

impl Checks {
    pub(crate) fn fail(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// A limit is in force from now on.
    pub(crate) fn limit(&mut self, account: AccountId, limit: u32, now: Instant) {
        self.limits.entry(account).or_default().push((now, limit));
        self.effective.remove(&account);
        self.changed(account);
    }

    /// Something about the account changed: what was said of its units before may not hold.
    pub(crate) fn changed(&mut self, account: AccountId) {
        self.out.retain(|(_, _, out, _)| *out != account);
    }

    /// The account's latest limit is known everywhere.
    pub(crate) fn limit_is_effective(&mut self, account: AccountId, limit: u32, now: Instant) {
        let is_latest =
            self.limits.get(&account).and_then(|all| all.last()).is_some_and(|last| last.1 == limit);
        if is_latest {
            self.effective.insert(account, (now, limit));
        }
    }

    /// Nobody may admit the key any longer from this instant on.
    pub(crate) fn dead(&mut self, key: KeyId, from: Instant) {
        let known = self.dead_from.entry(key).or_insert(from);
        *known = from.min(*known);
        // It may be told of an instant that has passed.
        if let Some(last) = self.last.get(&key).copied() {
            self.not_dead(key, last);
        }
    }

    /// The largest limit that was in force in the last two hours.
    fn largest_limit(&self, account: AccountId, now: Instant) -> u32 {
        let recent = Instant(now.0 - 2 * HOUR);
        let all = self.limits.get(&account).map_or(&[][..], Vec::as_slice);
        let ends = all.iter().skip(1).map(|(from, _)| *from).chain([now]);
        all.iter()
            .zip(ends)
            .filter(|(_, end)| *end >= recent)
            .map(|((_, limit), _)| *limit)
            .max()
            .unwrap_or(0)
    }

    fn not_dead(&mut self, key: KeyId, now: Instant) {
        let last = self.last.entry(key).or_insert(now);
        *last = now.max(*last);
        if let Some(from) = self.dead_from.get(&key).filter(|from| now > **from) {
            let late = now.0 - from.0;
            self.fail(format!("promise 3: {key} was admitted {late} µs after nobody should any longer"));
        }
    }

    /// A node said of a key whether it is good.
    pub(crate) fn judged(&mut self, key: KeyId, is_good: bool, now: Instant) {
        if is_good {
            self.not_dead(key, now);
        }
    }

    /// A key was refused that nobody has ended.
    pub(crate) fn refused_alive(&mut self, key: KeyId) {
        self.fail(format!("{key} was refused, and lives"));
    }

    /// Others were told that an account is short of units; by a clock that was set lately, or not.
    pub(crate) fn hinted(&mut self, account: AccountId, now: Instant, is_steady: bool) {
        let hints = self.hints.entry(account).or_default();
        hints.push_back(now);
        if hints.len() > HINTS {
            let first = hints.pop_front().unwrap_or(now);
            if is_steady && now.0 - first.0 < SECOND {
                self.fail(format!("more than {HINTS} hints about {account} in a second"));
            }
        }
    }

    pub(crate) fn admitted(&mut self, admitted: &Admitted, now: Instant) {
        let Admitted { process, key, account: held, family: account, hour, debt, word_until, .. } = *admitted;
        self.not_dead(key, now);
        if now > word_until {
            let late = now.0 - word_until.0;
            self.fail(format!("an entry of {key} was used {late} µs past its time"));
        }
        let largest = self.largest_limit(account, now);
        let own = self.by_process.entry((process.0, process.1, account, hour)).or_insert(0);
        *own += 1;
        if *own > largest {
            let own = *own;
            self.fail(format!("one process admitted {own} of {account} in {hour:?}; the limit is {largest}"));
        }
        if let Some(debt) = debt {
            self.counts.lent += 1;
            let silence = admitted.silence;
            if !admitted.in_vain {
                self.fail(format!("{key} was lent to before every node was asked"));
            }
            if silence < 5 * SECOND {
                self.fail(format!("{key} was lent to {silence} µs after the service was heard"));
            }
            if self.out.contains(&(process.0, process.1, held, hour)) {
                self.fail(format!("{key} was lent to in {hour:?}, which was known to be used up"));
            }
            *self.debts.entry(debt).or_insert(0) += 1;
            return;
        }
        self.counts.admitted += 1;
        if now >= admitted.unit_until {
            let late = now.0 - admitted.unit_until.0;
            self.fail(format!("a unit of {account} in {hour:?} was spent {late} µs past its time"));
        }
        let units = self.units.entry((account, hour)).or_insert(0);
        *units += 1;
        let units = *units;
        if units > largest {
            self.fail(format!("promise 1: {units} of {account} in {hour:?}; the limit is {largest}"));
        }
        if let Some((since, limit)) = self.effective.get(&account).copied()
            && now > since
            && units > limit
        {
            self.fail(format!("promise 1: unit {units} of {account} after its limit {limit} was effective"));
        }
    }

    /// A process said that nothing is left of an account in an hour.
    pub(crate) fn used_up(&mut self, process: (usize, u32), account: AccountId, hour: Hour) {
        self.out.insert((process.0, process.1, account, hour));
    }

    /// A process was given units of an account, or heard that some are left: it is not out of them any longer.
    pub(crate) fn given(&mut self, process: (usize, u32), account: AccountId) {
        self.out.retain(|(index, life, out, _)| ((*index, *life), *out) != (process, account));
    }

    /// Units that were admitted of an account in an hour.
    pub(crate) fn units(&self, account: AccountId, hour: Hour) -> u32 {
        self.units.get(&(account, hour)).copied().unwrap_or(0)
    }

    /// Everything is at rest: what was lent has to be known to the store, to the unit.
    pub(crate) fn settled(&mut self, known: impl Fn(DebtId) -> u32) {
        let mut wrong: Vec<String> = self
            .debts
            .iter()
            .filter(|(id, units)| known(**id) != **units)
            .map(|(id, units)| format!("{id:?}: {units} were lent, {} are known", known(*id)))
            .collect();
        wrong.sort();
        if let Some(first) = wrong.first() {
            self.fail(format!("a debt is not settled: {first}"));
        }
    }

    /// A request was refused for want of units while nothing was amiss.
    pub(crate) fn refused_in_calm(&mut self, account: AccountId, hour: Hour, limit: u32) {
        let units = self.units(account, hour);
        if units < limit {
            self.fail(format!("promise 2: refused after {units} of {limit} of {account} in {hour:?}"));
        }
    }
}
