//! A verifier: admits requests by API keys from memory, within exact limits, and not a moment longer than
//! it may.
//!
//! It is a state machine. It is told what was asked for, what the service answered, what changed and how
//! late it is; it says whom to admit, what to ask, and who need not wait any longer. It never waits itself,
//! so a program drives it over a network and a simulator drives it through years of mishaps.
//!
//! Checking an entry and spending its unit is one step, under the lock of the account. A change takes the
//! same lock: after [`Verifier::follow`] has returned, nothing is admitted by what it overtook, and the
//! position may be acknowledged.

mod answers;
mod holding;
mod known;
mod messages;
mod places;
mod table;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::allotment::{Quota, Spend};
use crate::debt::{DebtBook, DebtId};
use crate::feed::{Follower, Position};
use crate::id::HolderId;
use crate::key::KeyDigest;
use crate::lookup_cap::LookupCap;
use crate::policy::{Attempt, Refusal};
use crate::time::Elapsed;

pub use answers::{FeedItem, FeedPage, KeyAnswer, Taken};
pub use known::KnownKey;
pub use messages::Message;

use holding::{Holding, Holdings, Shard};
use known::{Entry, Known, LookUps, half};
use table::Slot;

/// The longest that an entry may be used: the seeds' five minutes.
pub const LONGEST_VALIDITY: Duration = Duration::from_secs(300);
/// After so long without a word from the service, and with every node tried in vain, it is an outage.
pub const SILENCE: Duration = Duration::from_secs(5);
/// So many times the look-ups of one client address are allowed to all addresses together.
pub const TOGETHER: u32 = 10;

/// What to do with a good key that has no unit at hand while the service is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutagePolicy {
    /// Admit it, write it down, and settle it later.
    Allow,
    /// Say that its limit is reached.
    Deny,
}

/// What can be set.
#[derive(Clone, Copy, Debug)]
pub struct VerifierOptions {
    /// The most keys that are remembered.
    pub cached_keys: usize,
    /// The longest that a key is remembered, up to [`LONGEST_VALIDITY`].
    pub validation_ttl: Duration,
    /// What to do in an outage.
    pub outage: OutagePolicy,
    /// Look-ups of unknown keys a second for each client address; of all together [`TOGETHER`] times as many
    /// that turn out to be no keys.
    pub lookups_per_second: u32,
    /// Chance, so that nobody can choose keys that share a place in memory.
    pub seed: u64,
}

/// A request that wants to pass.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The key that it bears.
    pub digest: KeyDigest,
    /// What it attempts.
    pub attempt: Attempt<'a>,
    /// Whom look-ups are counted against; `None`: nobody.
    pub stranger: Option<IpAddr>,
    /// Whether every node of the service was asked for this request, in vain.
    pub in_vain: bool,
    /// Now.
    pub now: Elapsed,
}

/// What is to be done with a request.
#[derive(Clone, Debug)]
pub enum Step {
    /// It is decided.
    Done(Verdict),
    /// Its waiter is woken once there is news. If there is a look-up, the caller has to carry it out.
    Wait(Option<LookUp>),
    /// The service would have to be asked, and can't be reached.
    Unreachable,
    /// Too much is being looked up already, or by this address.
    Busy,
}

/// How a request was decided.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It may pass; a unit was spent, or is owed.
    Admitted(Admission),
    /// Its key is refused.
    Refused(Refusal),
    /// Nothing is left of its key's limit in this hour.
    Limited(Quota),
}

/// A request that may pass.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Its key. (When it ends is not said: the entry ends before.)
    pub key: KnownKey,
    /// How the limit stands.
    pub quota: Quota,
    /// If the service could not be asked: the debt that has to be written down before the request goes on.
    pub debt: Option<DebtId>,
}

/// A key that has to be looked up at the service.
#[derive(Clone, Copy, Debug)]
pub struct LookUp {
    /// The key.
    pub digest: KeyDigest,
    /// The number of the question, among all messages about limits.
    pub seq: i64,
    /// When it was counted among those of strangers, if it was.
    counted: Option<Elapsed>,
}

/// What a waiter is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Try again: something is known that was not before.
    TryAgain,
    /// The account has no living key left: forget the key, and try again.
    Gone,
    /// The key is refused.
    Refused(Refusal),
    /// The service could not be asked.
    InVain,
}

/// Waiters that need wait no longer.
pub type Woken<W> = Vec<(W, News)>;

/// A verifier. `W` is whatever the caller wakes a waiting request by.
#[derive(Debug)]
pub struct Verifier<W> {
    options: VerifierOptions,
    /// Under which this process's debts are known.
    debtor: HolderId,
    known: Known,
    look_ups: Mutex<LookUps<W>>,
    lookup_cap: Mutex<LookupCap>,
    holdings: Holdings<W>,
    feed: Mutex<Feed>,
    debts: Mutex<DebtBook>,
    /// When the service last said something sensible.
    heard: AtomicI64,
    /// Numbers the messages of this process.
    seq: AtomicI64,
}

/// The place in the feed. It is locked before any account.
#[derive(Debug)]
struct Feed {
    follower: Follower,
    /// Counts how often everything was forgotten.
    generation: u64,
}

impl<W> Verifier<W> {
    /// A verifier that knows nothing yet. `first_seq` must be higher than the number of any message that was
    /// sent in this holder's name before.
    #[must_use]
    pub fn new(options: VerifierOptions, debtor: HolderId, first_seq: i64, now: Elapsed) -> Self {
        Self {
            debtor,
            known: Known::new(options.cached_keys, options.seed),
            look_ups: Mutex::new(LookUps::new(options.seed)),
            lookup_cap: Mutex::new(
                LookupCap::new(options.lookups_per_second)
                    .in_all(options.lookups_per_second.saturating_mul(TOGETHER)),
            ),
            holdings: Holdings::new(),
            feed: Mutex::new(Feed { follower: Follower::new(), generation: 0 }),
            debts: Mutex::new(DebtBook::new()),
            heard: AtomicI64::new(now.0),
            seq: AtomicI64::new(first_seq),
            options,
        }
    }

    /// Decides a request, if what is remembered suffices. Else `waiter` is called for something to wake it by.
    pub fn admit(&self, request: &Request<'_>, waiter: impl FnOnce() -> W) -> Step {
        let half = half(&request.digest);
        let mut table = self.known.of(&half);
        let Some(slot) = table.guess(&half) else {
            drop(table);
            return self.find(request, false, waiter);
        };
        // Locked before the entry is looked at, so that entry and account come from memory at the same time.
        let shard = self.holdings.around(slot.place);
        let decided = if slot.is_of(&half) && shard.is_at(slot.place, slot.entry.key.account) {
            self.decide(slot, shard, request, waiter)
        } else {
            drop(shard);
            let Some(slot) = table.find(&half) else {
                drop(table);
                return self.find(request, false, waiter);
            };
            let shard = self.holdings.of(slot.entry.key.account);
            self.decide(slot, shard, request, waiter)
        };
        drop(table);
        decided.unwrap_or_else(|waiter| self.find(request, true, waiter))
    }

    /// Decides a request by a key in memory, unless it has to be looked up again. Checking the entry and
    /// spending the unit is one step.
    fn decide<F: FnOnce() -> W>(
        &self,
        slot: &mut Slot,
        mut shard: MutexGuard<'_, Shard<W>>,
        request: &Request<'_>,
        waiter: F,
    ) -> Result<Step, F> {
        let Slot { entry, place, .. } = slot;
        if request.now >= entry.usable_until || shard.overtakes(entry) {
            return Err(waiter);
        }
        // Only the service knows when a key ends; the entry ends before.
        if let Err(refusal) = entry.terms.judge(&request.attempt) {
            return Ok(Step::Done(Verdict::Refused(refusal)));
        }
        entry.used.store(true, Ordering::Relaxed);
        let holding = shard.entry_at(place, entry.key.account, request.now);
        Ok(self.charge(holding, entry, request, waiter))
    }

    fn charge(
        &self,
        holding: &mut Holding<W>,
        entry: &Arc<Entry>,
        request: &Request<'_>,
        waiter: impl FnOnce() -> W,
    ) -> Step {
        let (account, now) = (entry.key.account, request.now);
        let spent = holding.account.allotment.spend(now);
        if holding.account.allotment.runs_low(now) {
            self.holdings.queue(account, holding);
        }
        let quota = holding.account.allotment.quota(now);
        match (spent, quota) {
            (Spend::Admitted, Some(quota)) => {
                Step::Done(Verdict::Admitted(Admission { key: KnownKey(entry.clone()), quota, debt: None }))
            }
            (Spend::Dry, Some(quota)) => Step::Done(Verdict::Limited(quota)),
            _ if request.in_vain && self.is_outage(now) => self.lend(holding, entry, now),
            _ => {
                holding.waiting.push(waiter());
                self.holdings.queue(account, holding);
                Step::Wait(None)
            }
        }
    }

    /// Admits without a unit, while nobody can be asked for one; but never more than the limit here.
    fn lend(&self, holding: &mut Holding<W>, entry: &Arc<Entry>, now: Elapsed) -> Step {
        let limit = entry.key.rights.rate_limit_per_hour;
        let Some(hour) = holding.account.allotment.count_on(now) else { return Step::Unreachable };
        let used = hour.used.saturating_add(holding.owed_in(hour.hour));
        let remaining = limit.saturating_sub(used);
        let quota = |remaining| Quota { limit, remaining, hour: hour.hour, ends_in: hour.ends_in };
        if self.options.outage == OutagePolicy::Deny || hour.ran_dry || remaining == 0 {
            return Step::Done(Verdict::Limited(quota(0)));
        }
        let debt = DebtId { debtor: self.debtor, account: entry.key.account, hour: hour.hour };
        if holding.account.allotment.is_asking() {
            // What is answered to a message from before the debt does not reckon with it.
            holding.account.change();
        }
        holding.owe(hour.hour);
        lock(&self.debts).owe(debt);
        let quota = quota(remaining - 1);
        Step::Done(Verdict::Admitted(Admission { key: KnownKey(entry.clone()), quota, debt: Some(debt) }))
    }

    /// The debt could not be written down, so its request does not go on.
    pub fn forgive(&self, debt: DebtId) {
        if let Some(holding) = self.holdings.of(debt.account).get(debt.account) {
            holding.forgive(debt.hour);
        }
        lock(&self.debts).forgive(debt);
    }

    /// A key that is not in memory, or not any longer. Whoever asks for it first looks it up for all.
    fn find(&self, request: &Request<'_>, was_known: bool, waiter: impl FnOnce() -> W) -> Step {
        let mut look_ups = lock(&self.look_ups);
        if let Some(refusal) = look_ups.refused(&request.digest, request.now) {
            return Step::Done(Verdict::Refused(refusal));
        }
        if request.in_vain {
            return Step::Unreachable;
        }
        if let Some(waiting) = look_ups.under_way(&request.digest) {
            waiting.push(waiter());
            return Step::Wait(None);
        }
        if look_ups.is_full() || !(was_known || self.may_look_up(request)) {
            return Step::Busy;
        }
        look_ups.begin(request.digest, waiter());
        let counted = (!was_known).then_some(request.now);
        Step::Wait(Some(LookUp { digest: request.digest, seq: self.next_seq(), counted }))
    }

    fn may_look_up(&self, request: &Request<'_>) -> bool {
        let mut cap = lock(&self.lookup_cap);
        match request.stranger {
            Some(address) => cap.take(address, request.now),
            None => cap.take_any(request.now),
        }
    }

    fn next_seq(&self) -> i64 {
        self.seq.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Forgets one key.
    pub fn forget(&self, digest: &KeyDigest) {
        self.known.forget(&half(digest));
    }

    /// The service said something sensible.
    pub fn heard(&self, now: Elapsed) {
        self.heard.fetch_max(now.0, Ordering::Relaxed);
    }

    /// Whether nothing was heard for so long that the service must be taken for away.
    #[must_use]
    pub fn is_outage(&self, now: Elapsed) -> bool {
        self.silent_for(now) >= SILENCE
    }

    /// How long ago the service last said something sensible.
    #[must_use]
    pub fn silent_for(&self, now: Elapsed) -> Duration {
        now.since(Elapsed(self.heard.load(Ordering::Relaxed)))
    }

    /// The place that all changes are applied up to. To ask for what came after it acknowledges it.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        lock(&self.feed).follower.position()
    }

    /// Keys that are remembered now.
    #[must_use]
    pub fn known_keys(&self) -> usize {
        self.known.len()
    }

    /// Refused keys that are remembered now.
    #[must_use]
    pub fn refused_keys(&self) -> usize {
        lock(&self.look_ups).refused_keys()
    }

    /// Keys that are being looked up.
    #[must_use]
    pub fn look_ups_under_way(&self) -> usize {
        lock(&self.look_ups).len()
    }

    /// Units that are owed and not settled.
    #[must_use]
    pub fn open_debt(&self) -> u64 {
        lock(&self.debts).open_units()
    }
}

/// A mutex of plain data is usable even after a panic elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
