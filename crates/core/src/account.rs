//! One account at a holder: its units, and when the store is spoken to about it.
//!
//! Who waits for units is the caller's to know; here stands only what is said, and what follows from the
//! answer.

use std::time::Duration;

use crate::allotment::{Allotment, Answer, Ask, Quota};
use crate::time::Elapsed;

/// How long to ask again before saying that nothing is left, while other holders give back.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait before asking again.
pub const ASK_AGAIN: Duration = Duration::from_millis(50);

/// A holder's dealings with the store about one account. The units stand first, as they are looked at most.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Account {
    /// The units.
    pub allotment: Allotment,
    /// Whether the account stands in line for the next message.
    queued: bool,
    /// Whether what is unspent is to be given back.
    give_back: bool,
    /// When the store first had too little for those who wait.
    short_since: Option<Elapsed>,
}

/// Who waits while a message is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Requests that want a unit.
    pub spending: u32,
    /// Whether the store may count their units as spent at once.
    pub counted: bool,
    /// Whether anybody only wants to know how the limit stands.
    pub looking: bool,
}

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was not the one waited for, or the account changed meanwhile: nothing is known that was not before.
    Nothing,
    /// The account has no living key.
    Gone,
    /// Units are at hand, or it is known that there are none.
    News,
}

/// What becomes of those who still wait after units were handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nobody waits, or a further message is made for them at once.
    AskNow,
    /// Others may give units back: a further message is made after [`ASK_AGAIN`].
    AskSoon,
    /// Nothing is left in this hour.
    Dry(Quota),
}

impl Account {
    /// An account of which nothing is known yet.
    #[must_use]
    pub fn new(now: Elapsed) -> Self {
        Self { allotment: Allotment::new(now), queued: false, give_back: false, short_since: None }
    }

    /// Puts the account in line, unless it stands there or a message is under way. Says whether it did.
    pub fn queue(&mut self) -> bool {
        let queue = !self.queued && !self.allotment.is_asking();
        self.queued |= queue;
        queue
    }

    /// All that is unspent is to be given back with the next message.
    pub fn give_back(&mut self) {
        self.give_back = true;
    }

    /// Whether there is something to say that cannot wait: units to give back.
    #[must_use]
    pub fn must_speak(&self) -> bool {
        self.give_back
    }

    /// The account's key or limit changed: what was allotted before does not count, and is given back.
    pub fn change(&mut self) {
        self.allotment.change();
        self.give_back = true;
    }

    /// The message about this account, if there is anything to say. `seq` is called for its number.
    pub fn message(&mut self, waiting: Waiting, now: Elapsed, seq: impl FnOnce() -> i64) -> Option<Ask> {
        self.queued = false;
        if self.allotment.is_asking() {
            return None;
        }
        let give_back = std::mem::take(&mut self.give_back);
        if waiting.spending > 0 && waiting.counted {
            Some(self.allotment.ask(seq(), waiting.spending, now))
        } else if waiting.spending > 0 {
            Some(self.allotment.ask_uncounted(seq(), waiting.spending, now))
        } else if give_back || waiting.looking {
            // Whoever only looks needs to know how the limit stands, and no unit.
            Some(self.allotment.give_back(seq(), now))
        } else if self.allotment.runs_low(now) {
            Some(self.allotment.ask_uncounted(seq(), 0, now))
        } else {
            None
        }
    }

    /// Takes an answer.
    pub fn hear(&mut self, answer: &Answer) -> Heard {
        if !self.allotment.take(answer) {
            return Heard::Nothing;
        }
        if answer.living {
            return Heard::News;
        }
        self.short_since = None;
        Heard::Gone
    }

    /// What becomes of those who still wait after an answer was taken and its units were handed out.
    pub fn rest(&mut self, answer: &Answer, anybody_waits: bool, now: Elapsed) -> Rest {
        // Some who waited may have left: their units are counted as spent until the store is told.
        self.give_back |= self.allotment.is_overcounted();
        if !anybody_waits {
            self.short_since = None;
            return Rest::AskNow;
        }
        let Some(quota) = self.allotment.quota(now).filter(|_| answer.left == 0) else { return Rest::AskNow };
        let since = *self.short_since.get_or_insert(now);
        if answer.reclaimable && now.since(since) < PATIENCE {
            return Rest::AskSoon;
        }
        self.short_since = None;
        self.allotment.remember_dry(now);
        Rest::Dry(quota)
    }

    /// The message under way, or its answer, is lost.
    pub fn lost(&mut self) {
        self.allotment.lost();
        self.short_since = None;
    }

    /// Whether nobody would miss it, if nobody waits.
    #[must_use]
    pub fn can_be_forgotten(&self, now: Elapsed) -> bool {
        !self.queued && self.allotment.can_be_forgotten(now)
    }
}
