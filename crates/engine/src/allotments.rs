//! Spending units of limits from memory, and asking the store for more.
//!
//! A request spends a unit at hand, or waits for the one task that speaks with the store. While a message
//! is under way, other requests and accounts gather for the next: many accounts share one commit.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use hokusai_core::account::{ASK_AGAIN, Account, Heard, Rest, Waiting};
use hokusai_core::allotment::{Answer, Quota, Spend};
use hokusai_core::id::AccountId;
use hokusai_core::policy::KeyFacts;
use hokusai_core::time::{Elapsed, Timestamp};
use hokusai_store::{AccountAsk, StoreError};
use tokio::sync::{Notify, oneshot};

use crate::clock::lock;
use crate::engine::Engine;
use crate::refusal::Declined;

const SHARDS: usize = 64;
/// The most accounts in one message for which requests wait.
const MOST_ASKS: usize = 512;
/// The most accounts that settle in one message for which nobody waits.
const MOST_SETTLING: usize = 64;
/// So many more accounts settle in a message for which requests wait than those ask for: the line of
/// settling accounts gets shorter, and no request waits for much of it.
const MORE_SETTLING: usize = 4;

/// Whether a validation spends a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeKind {
    /// It spends one.
    Spend,
    /// It only asks whether there is one.
    Look,
}

/// What came of a charge.
#[derive(Clone, Copy, Debug)]
pub enum Charge {
    /// It went through.
    Spent {
        /// How the limit stands.
        quota: Quota,
        /// Whether the store had to be asked first.
        waited: bool,
    },
    /// Nothing is left in this hour.
    NothingLeft(Quota),
    /// The account has no living key.
    KeyGone,
}

/// All accounts that were used lately.
#[derive(Debug)]
pub(crate) struct Allotments {
    shards: Box<[Mutex<Shard>]>,
    pending: Mutex<Pending>,
    bell: Notify,
    /// Numbers the messages of this process; starts where no earlier message can be.
    seq: AtomicI64,
}

#[derive(Debug, Default)]
struct Shard {
    accounts: HashMap<AccountId, Held>,
}

/// Accounts about which the store is to be told something.
#[derive(Debug, Default)]
struct Pending {
    asking: Vec<AccountId>,
    settling: Vec<AccountId>,
}

/// An account, and who waits for units of it.
#[derive(Debug)]
struct Held {
    account: Account,
    waiting: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    kind: ChargeKind,
    answer: oneshot::Sender<Result<Charge, StoreError>>,
}

impl Held {
    fn new(now: Elapsed) -> Self {
        Self { account: Account::new(now), waiting: Vec::new() }
    }

    fn charge(&mut self, kind: ChargeKind, now: Elapsed) -> Option<Charge> {
        let allotment = &mut self.account.allotment;
        if kind == ChargeKind::Look {
            let quota = allotment.quota(now)?;
            let some_left = quota.remaining > 0;
            return Some(if some_left {
                Charge::Spent { quota, waited: false }
            } else {
                Charge::NothingLeft(quota)
            });
        }
        let spend = allotment.spend(now);
        let quota = allotment.quota(now)?;
        match spend {
            Spend::Admitted => Some(Charge::Spent { quota, waited: false }),
            Spend::Dry => Some(Charge::NothingLeft(quota)),
            Spend::Empty => None,
        }
    }

    /// Serves those who wait, in their order, for as long as units are at hand.
    fn serve(&mut self, now: Elapsed) {
        let waiting = std::mem::take(&mut self.waiting);
        for waiter in waiting {
            if waiter.answer.is_closed() {
                continue;
            }
            match self.charge(waiter.kind, now) {
                Some(Charge::Spent { quota, .. }) => waiter.tell(Ok(Charge::Spent { quota, waited: true })),
                Some(other) => waiter.tell(Ok(other)),
                None => self.waiting.push(waiter),
            }
        }
    }

    /// Applies what the store said, or why it did not. Says whether to leave other holders a moment
    /// to give back before those who still wait are asked for again.
    fn apply(&mut self, answer: Result<&Answer, &StoreError>, now: Elapsed) -> bool {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.account.lost();
                self.tell_all(&Err(error.clone()));
                return false;
            }
        };
        match self.account.hear(answer) {
            Heard::Nothing => return false,
            Heard::Gone => {
                self.tell_all(&Ok(Charge::KeyGone));
                return false;
            }
            Heard::News => self.serve(now),
        }
        match self.account.rest(answer, !self.waiting.is_empty(), now) {
            Rest::AskNow => false,
            Rest::AskSoon => true,
            Rest::Dry(quota) => {
                self.tell_all(&Ok(Charge::NothingLeft(quota)));
                false
            }
        }
    }

    /// Whom a message would be for.
    fn waiting(&mut self) -> Waiting {
        self.waiting.retain(|waiter| !waiter.answer.is_closed());
        let spending = self.waiting.iter().filter(|waiter| waiter.kind == ChargeKind::Spend).count();
        Waiting {
            spending: u32::try_from(spending).unwrap_or(u32::MAX),
            counted: true,
            looking: spending < self.waiting.len(),
        }
    }

    fn tell_all(&mut self, outcome: &Result<Charge, StoreError>) {
        for waiter in std::mem::take(&mut self.waiting) {
            waiter.tell(outcome.clone());
        }
    }
}

impl Waiter {
    /// A waiter that has gone is no loss.
    fn tell(self, outcome: Result<Charge, StoreError>) {
        let _ = self.answer.send(outcome);
    }
}

impl Allotments {
    pub(crate) fn new(now: Timestamp) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, pending: Mutex::default(), bell: Notify::new(), seq: AtomicI64::new(now.0) }
    }

    /// The account's key or limit changed: what was allotted before does not count any longer, and is
    /// given back.
    pub(crate) fn change(&self, account: AccountId) {
        let mut shard = lock(self.shard(account));
        if let Some(known) = shard.accounts.get_mut(&account) {
            known.account.change();
            lock(&self.pending).settling.push(account);
            self.bell.notify_one();
        }
    }

    /// As [`Allotments::change`], for every account.
    pub(crate) fn change_all(&self) {
        for shard in &self.shards {
            let accounts: Vec<AccountId> = lock(shard).accounts.keys().copied().collect();
            for account in accounts {
                self.change(account);
            }
        }
    }

    /// Others need what lies here: it is given back.
    pub(crate) fn hint(&self, dry: &[AccountId]) {
        for account in dry {
            if let Some(known) = lock(self.shard(*account)).accounts.get_mut(account) {
                if known.account.allotment.is_settled() || !known.waiting.is_empty() {
                    continue;
                }
                known.account.give_back();
                lock(&self.pending).settling.push(*account);
                self.bell.notify_one();
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).accounts.len()).sum()
    }

    /// Units that this process spent in the account's present hour, if it knows.
    pub(crate) fn used(&self, account: AccountId) -> Option<(hokusai_core::time::Hour, u32)> {
        lock(self.shard(account)).accounts.get(&account).and_then(|known| known.account.allotment.used())
    }

    /// Gives idle units back and forgets what is settled.
    pub(crate) fn sweep(&self, now: Elapsed) {
        let mut settling = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.accounts.retain(|id, known| {
                if known.account.allotment.should_settle(now) {
                    known.account.give_back();
                    settling.push(*id);
                }
                !(known.waiting.is_empty() && known.account.can_be_forgotten(now))
            });
            if shard.accounts.len() < shard.accounts.capacity() / 4 {
                shard.accounts.shrink_to_fit();
            }
        }
        self.settle(settling);
    }

    /// Makes every account give back what it holds. Says how many still have something to say.
    pub(crate) fn give_all_back(&self) -> usize {
        let mut settling = Vec::new();
        let mut open = 0;
        for shard in &self.shards {
            for (id, known) in &mut lock(shard).accounts {
                let units = &known.account.allotment;
                if units.is_asking() || !units.is_settled() {
                    open += 1;
                    known.account.give_back();
                    settling.push(*id);
                }
            }
        }
        self.settle(settling);
        open
    }

    /// The store has no such account (any more): there is nothing to say of it.
    fn drop_unknown(&self, account: AccountId) {
        if let Some(mut known) = lock(self.shard(account)).accounts.remove(&account) {
            known.tell_all(&Err(StoreError::Damaged { what: "account" }));
        }
    }

    fn settle(&self, mut accounts: Vec<AccountId>) {
        if !accounts.is_empty() {
            let mut pending = lock(&self.pending);
            // What an earlier sweep asked for and is still in line need not stand there twice.
            if pending.settling.len() < accounts.len() {
                pending.settling.append(&mut accounts);
            }
            drop(pending);
            self.bell.notify_one();
        }
    }

    fn shard(&self, account: AccountId) -> &Mutex<Shard> {
        use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(account);
        &self.shards[hash as usize % SHARDS]
    }

    fn queue(&self, account: AccountId) {
        lock(&self.pending).asking.push(account);
        self.bell.notify_one();
    }

    /// Takes what the next message is about: first those for whom requests wait.
    fn take_pending(&self) -> Vec<AccountId> {
        let mut pending = lock(&self.pending);
        let asking = pending.asking.len().min(MOST_ASKS);
        let most_settling =
            if asking == 0 { MOST_SETTLING } else { MOST_SETTLING.min(asking + MORE_SETTLING) };
        let settling = pending.settling.len().min(most_settling);
        let mut accounts: Vec<AccountId> = pending.asking.drain(..asking).collect();
        accounts.extend(pending.settling.drain(..settling));
        if !(pending.asking.is_empty() && pending.settling.is_empty()) {
            self.bell.notify_one();
        }
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }

    fn message(&self, account: AccountId, now: Elapsed) -> Option<AccountAsk> {
        let mut shard = lock(self.shard(account));
        let known = shard.accounts.get_mut(&account)?;
        let waiting = known.waiting();
        let seq = || self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        let ask = known.account.message(waiting, now, seq)?;
        Some(AccountAsk { account, ask })
    }
}

impl Engine {
    /// Spends a unit of the key's limit, or looks whether there is one.
    pub(crate) async fn charge(&self, key: &KeyFacts, kind: ChargeKind) -> Result<Charge, Declined> {
        let now = self.clock.elapsed();
        let answer = {
            let mut shard = lock(self.allotments.shard(key.account));
            let known = shard.accounts.entry(key.account).or_insert_with(|| Held::new(now));
            let charge = known.charge(kind, now);
            let must_ask = charge.is_none() || known.account.allotment.runs_low(now);
            let answer = charge.ok_or_else(|| {
                let (sender, receiver) = oneshot::channel();
                known.waiting.push(Waiter { kind, answer: sender });
                receiver
            });
            if must_ask && known.account.queue() {
                self.allotments.queue(key.account);
            }
            answer
        };
        match answer {
            Ok(charge) => Ok(charge),
            Err(receiver) => Ok(receiver.await.unwrap_or(Err(StoreError::TimedOut))?),
        }
    }

    /// Speaks with the store about limits, one message after the other, for as long as the engine lives.
    pub(crate) async fn speak(self: &std::sync::Arc<Self>) {
        loop {
            let accounts = self.allotments.take_pending();
            if accounts.is_empty() {
                self.allotments.bell.notified().await;
                continue;
            }
            self.say(&accounts).await;
        }
    }

    async fn say(self: &std::sync::Arc<Self>, accounts: &[AccountId]) {
        let now = self.clock.elapsed();
        let asks: Vec<AccountAsk> =
            accounts.iter().filter_map(|account| self.allotments.message(*account, now)).collect();
        if asks.is_empty() {
            return;
        }
        metrics::counter!("hokusai_allotment_messages_total").increment(1);
        metrics::counter!("hokusai_allotment_accounts_total").increment(asks.len() as u64);
        match self.store.allot(self.holder, &asks).await {
            Ok(answers) => {
                for (ask, answer) in asks.iter().zip(&answers) {
                    match answer {
                        Some(answer) => self.hear(ask.account, Ok(answer)),
                        None => self.allotments.drop_unknown(ask.account),
                    }
                }
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "limits can't be charged");
                for ask in &asks {
                    self.hear(ask.account, Err(&error));
                }
            }
        }
    }

    fn hear(self: &std::sync::Arc<Self>, id: AccountId, answer: Result<&Answer, &StoreError>) {
        let now = self.clock.elapsed();
        let mut shard = lock(self.allotments.shard(id));
        let Some(known) = shard.accounts.get_mut(&id) else { return };
        let ask_soon = known.apply(answer, now);
        // Something may have come up while the message was under way.
        let has_more = known.account.must_speak() || !known.waiting.is_empty();
        if !(has_more && known.account.queue()) {
            return;
        }
        if ask_soon {
            let engine = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(ASK_AGAIN).await;
                engine.allotments.queue(id);
            });
        } else {
            self.allotments.queue(id);
        }
    }
}
