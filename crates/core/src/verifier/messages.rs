//! What is said to the service about accounts, and when.

use super::holding::Holding;
use super::{News, Verifier, Woken, lock};
use crate::account::Waiting;
use crate::allotment::Ask;
use crate::debt::Debt;
use crate::id::AccountId;
use crate::time::{Elapsed, Hour};

/// The most accounts in one message, and the most debts.
const MOST: usize = 1000;

/// One message to the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What is said of accounts.
    pub items: Vec<(AccountId, Ask)>,
    /// What is owed. The service settles it before it answers the items.
    pub debts: Vec<Debt>,
}

impl Message {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.debts.is_empty()
    }

    /// The accounts that it speaks of.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountId> {
        self.items.iter().map(|(account, _)| *account).collect()
    }
}

impl<W> Holding<W> {
    /// Takes the first `most` of those who wait.
    pub(super) fn wake(&mut self, most: usize, news: News) -> Woken<W> {
        let some = self.waiting.len().min(most);
        self.waiting.drain(..some).map(|waiter| (waiter, news)).collect()
    }
}

impl<W> Verifier<W> {
    /// Whether there may be something to say.
    #[must_use]
    pub fn has_message(&self) -> bool {
        !self.holdings.is_line_empty() || !lock(&self.debts).is_settled()
    }

    /// Whether something to say came up since this was last asked: cheap enough for every request.
    #[must_use]
    pub fn rings(&self) -> bool {
        self.holdings.rings()
    }

    /// What is to be said now. `waits` says whether somebody still waits.
    pub fn next_message(&self, now: Elapsed, waits: impl Fn(&W) -> bool) -> Message {
        let mut items = Vec::new();
        for account in self.holdings.take_from_line(MOST) {
            let mut shard = self.holdings.of(account);
            let Some(holding) = shard.get(account) else { continue };
            holding.waiting.retain(&waits);
            let spending = u32::try_from(holding.waiting.len()).unwrap_or(u32::MAX);
            let waiting = Waiting { spending, counted: false, looking: false };
            if let Some(ask) = holding.account.message(waiting, now, || self.next_seq()) {
                holding.last_seq = ask.seq;
                items.push((account, ask));
            }
        }
        Message { items, debts: lock(&self.debts).unsettled(MOST) }
    }

    /// The service has settled these.
    pub fn settled(&self, debts: &[Debt], now: Elapsed) {
        self.heard(now);
        lock(&self.debts).settle(debts);
    }

    /// Takes over what a process before this one owed.
    pub fn inherit(&self, debts: impl IntoIterator<Item = Debt>) {
        let mut book = lock(&self.debts);
        for debt in debts {
            book.inherit(debt);
        }
    }

    /// Puts an account in line again that others may have given units back for.
    pub fn ask_again(&self, account: AccountId) {
        self.holdings.put_in_line(account);
    }

    /// Gives back units that nobody uses, and forgets what nobody would miss. To be called every second.
    pub fn sweep(&self, now: Elapsed) {
        for mut shard in self.holdings.each() {
            let in_line = shard.sweep(now);
            self.holdings.put_all_in_line(in_line);
        }
    }

    /// Forgets settled debts of hours before `hour`.
    pub fn forget_debts_before(&self, hour: Hour) {
        lock(&self.debts).forget_before(hour);
    }

    /// Puts everything in line that is to be given back. Says how many accounts still have something to say.
    pub fn give_all_back(&self) -> usize {
        let mut open = 0;
        for mut shard in self.holdings.each() {
            let (still, in_line) = shard.give_all_back();
            open += still;
            self.holdings.put_all_in_line(in_line);
        }
        open
    }
}
