//! What the service says, and what follows from it.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::known::{Entry, REFUSED_FOR, half};
use super::{LONGEST_VALIDITY, LookUp, News, Verifier, Woken, lock};
use crate::account::{Heard, Rest};
use crate::allotment::Answer;
use crate::feed::{Change, Position, Step};
use crate::id::AccountId;
use crate::policy::{KeyFacts, Refusal};
use crate::time::Elapsed;

/// What was said of a key that was looked up.
#[derive(Clone, Debug)]
pub enum KeyAnswer {
    /// It is good.
    Good {
        /// The key, without its end: the service says how long its word may be used.
        key: KeyFacts,
        /// How long the word may be used, from when the question was sent; zero if this holder is not in the
        /// register.
        valid_for: Duration,
        /// Up to where whoever judged had applied the feed.
        position: Position,
        /// The first units of its account, if there were none of this holder's yet.
        allotment: Option<Answer>,
    },
    /// It is refused.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Up to where whoever judged had applied the feed.
        position: Position,
    },
    /// No node could be asked.
    InVain,
}

/// What to do about an answer.
#[derive(Clone, Debug)]
pub enum Taken<W> {
    /// Those who waited for it need wait no longer.
    Wake(Woken<W>),
    /// It was overtaken by a change: the same is to be asked again.
    AskAgain,
    /// This holder is not in the register: it has to follow the feed first, and to ask again then.
    Follow,
}

/// One change, as the feed tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedItem {
    /// The change.
    pub change: Change,
    /// Whether the key is a new one: nobody can know it from before.
    pub is_new: bool,
}

/// What the feed says.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// Where it stands.
    pub head: Position,
    /// Whether the place that was asked from is not known any longer.
    pub reset: bool,
    /// What came after that place, oldest first and complete.
    pub items: Vec<FeedItem>,
    /// Accounts of which others need units.
    pub dry: Vec<AccountId>,
}

/// When a question was sent, and what time it is by now.
#[derive(Clone, Copy)]
struct Times {
    sent: Elapsed,
    now: Elapsed,
}

impl<W> Verifier<W> {
    /// Takes what was said of a key that was asked for at `sent`.
    pub fn take_key(&self, look_up: &LookUp, answer: KeyAnswer, sent: Elapsed, now: Elapsed) -> Taken<W> {
        match answer {
            KeyAnswer::InVain => self.end_look_up(look_up, News::InVain),
            KeyAnswer::Refused { refusal, position } => {
                self.take_refusal(look_up, refusal, position, sent, now)
            }
            KeyAnswer::Good { key, valid_for, position, allotment } => {
                self.heard(now);
                if valid_for.is_zero() {
                    if allotment.is_some() {
                        self.return_first_units(key.account, now);
                    }
                    return Taken::Follow;
                }
                self.take_good(look_up, key, valid_for, position, allotment.as_ref(), Times { sent, now })
            }
        }
    }

    fn take_good(
        &self,
        look_up: &LookUp,
        key: KeyFacts,
        valid_for: Duration,
        position: Position,
        allotment: Option<&Answer>,
        times: Times,
    ) -> Taken<W> {
        let account = key.account;
        let feed = lock(&self.feed);
        let stands = feed.follower.vouches_for(key.id, position)
            && feed.follower.vouches_for_account(account, position);
        if !stands {
            if allotment.is_some() {
                self.return_first_units(account, times.now);
            }
            return Taken::AskAgain;
        }
        let valid_for = valid_for.min(self.options.validation_ttl).min(LONGEST_VALIDITY);
        let entry = Entry {
            half: half(&look_up.digest),
            terms: self.known.terms(&key),
            key,
            usable_until: times.sent.after(valid_for),
            read_at: position.revision,
            generation: feed.generation,
            used: AtomicBool::new(false),
        };
        self.known.insert(entry);
        if let Some(answer) = allotment {
            self.take_first_units(account, look_up, answer, times);
        }
        drop(feed);
        if let Some(counted) = look_up.counted {
            lock(&self.lookup_cap).refund_any(counted);
        }
        self.end_look_up(look_up, News::TryAgain)
    }

    fn take_refusal(
        &self,
        look_up: &LookUp,
        refusal: Refusal,
        position: Position,
        sent: Elapsed,
        now: Elapsed,
    ) -> Taken<W> {
        self.heard(now);
        let feed = lock(&self.feed);
        let is_new = feed
            .follower
            .position()
            .is_none_or(|known| known.epoch == position.epoch && known.revision <= position.revision);
        if !is_new {
            return Taken::AskAgain;
        }
        self.known.forget(&half(&look_up.digest));
        lock(&self.look_ups).refuse(look_up.digest, refusal, sent.after(REFUSED_FOR), now);
        drop(feed);
        self.end_look_up(look_up, News::Refused(refusal))
    }

    /// The asking was given up after several rounds: those who waited are told so.
    pub fn give_up(&self, look_up: &LookUp) -> Woken<W> {
        let waiting = lock(&self.look_ups).end(&look_up.digest);
        waiting.into_iter().map(|waiter| (waiter, News::InVain)).collect()
    }

    fn end_look_up(&self, look_up: &LookUp, news: News) -> Taken<W> {
        let waiting = lock(&self.look_ups).end(&look_up.digest);
        Taken::Wake(waiting.into_iter().map(|waiter| (waiter, news)).collect())
    }

    /// Units that came with a key are taken only where nothing else was said of the account meanwhile; else
    /// the store is told that they are not used.
    fn take_first_units(&self, account: AccountId, look_up: &LookUp, answer: &Answer, times: Times) {
        let mut shard = self.holdings.of(account);
        let is_first = shard.get(account).is_none() && !shard.may_be_overtaken(look_up.seq);
        if is_first && answer.seq == look_up.seq {
            let holding = shard.entry(account, times.now);
            holding.last_seq = look_up.seq;
            holding.account.allotment.asked_elsewhere(look_up.seq, 1, times.sent);
            holding.account.hear(answer);
            return;
        }
        drop(shard);
        self.return_first_units(account, times.now);
    }

    /// As [`Verifier::take_first_units`], for an answer that was overtaken.
    fn return_first_units(&self, account: AccountId, now: Elapsed) {
        let mut shard = self.holdings.of(account);
        let holding = shard.entry(account, now);
        holding.account.give_back();
        self.holdings.queue(account, holding);
    }

    /// Takes what the store said of an account; `None` if it said nothing, as to a message that was
    /// overtaken. Says who need wait no longer, and whether to call [`Verifier::ask_again`] in a moment.
    pub fn hear(&self, account: AccountId, answer: Option<&Answer>, now: Elapsed) -> (Woken<W>, bool) {
        self.heard(now);
        let mut shard = self.holdings.of(account);
        let Some(holding) = shard.get(account) else { return (Vec::new(), false) };
        let Some(answer) = answer else {
            holding.account.lost();
            return (holding.wake(usize::MAX, News::InVain), false);
        };
        let mut woken = Vec::new();
        let rest = match holding.account.hear(answer) {
            Heard::Nothing => Rest::AskNow,
            Heard::Gone => {
                woken = holding.wake(usize::MAX, News::Gone);
                Rest::AskNow
            }
            Heard::News => {
                let units = usize::try_from(holding.account.allotment.at_hand(now)).unwrap_or(usize::MAX);
                woken = holding.wake(units, News::TryAgain);
                holding.account.rest(answer, !holding.waiting.is_empty(), now)
            }
        };
        let has_more = !holding.waiting.is_empty() || holding.account.must_speak();
        match rest {
            Rest::AskNow if has_more => self.holdings.queue(account, holding),
            Rest::AskNow => {}
            Rest::AskSoon => return (woken, holding.account.queue()),
            Rest::Dry(_) => woken.extend(holding.wake(usize::MAX, News::TryAgain)),
        }
        (woken, false)
    }

    /// The message about these accounts, or its answer, is lost: no node could be asked.
    pub fn lost(&self, accounts: &[AccountId]) -> Woken<W> {
        let mut woken = Vec::new();
        for account in accounts {
            if let Some(holding) = self.holdings.of(*account).get(*account) {
                holding.account.lost();
                woken.extend(holding.wake(usize::MAX, News::InVain));
            }
        }
        woken
    }

    /// Applies what the feed said to a question sent at `sent`. When this returns, nothing is admitted any
    /// longer by what it overtook.
    pub fn follow(&self, page: &FeedPage, sent: Elapsed, now: Elapsed) {
        self.heard(now);
        let mut feed = lock(&self.feed);
        let changes = page.items.iter().map(|item| item.change).collect();
        let step = if page.reset {
            feed.follower.reset(page.head, sent)
        } else {
            feed.follower.apply(page.head, changes, sent)
        };
        match step {
            Step::Forget(new) if new.is_empty() => {}
            Step::Forget(new) => {
                for change in new {
                    let is_new = page.items.iter().any(|item| item.change == change && item.is_new);
                    self.apply(change, is_new, now);
                }
                lock(&self.look_ups).forget_refused();
            }
            Step::ForgetAll => {
                feed.generation += 1;
                for mut shard in self.holdings.each() {
                    let in_line = shard.change_all(feed.generation);
                    self.holdings.put_all_in_line(in_line);
                }
                self.known.forget_all();
                lock(&self.look_ups).forget_refused();
            }
        }
        drop(feed);
        self.hint(&page.dry);
    }

    fn apply(&self, change: Change, is_new: bool, now: Elapsed) {
        let Some((key, account)) = change.key.filter(|_| !is_new) else { return };
        if self.holdings.of(account).change(key, account, change.revision, now) {
            self.holdings.put_in_line(account);
        }
    }

    /// Others need units of these accounts: what lies here unused is given back.
    fn hint(&self, dry: &[AccountId]) {
        for account in dry {
            let mut shard = self.holdings.of(*account);
            let Some(holding) = shard.get(*account) else { continue };
            if holding.account.allotment.is_settled() || !holding.waiting.is_empty() {
                continue;
            }
            holding.account.give_back();
            self.holdings.queue(*account, holding);
        }
    }
}
