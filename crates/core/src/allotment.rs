//! Exact limits over many processes: a holder's side of the allotment protocol.
//!
//! A holder is any process that admits requests from memory. For each account and hour the store keeps
//! one row per holder, `{seq, allotted, used}`, and never lets the sum of `allotted` pass the limit. A
//! holder spends only what it was allotted, and only in the hour that the store named. It speaks one
//! message, [`Ask`], for asking, giving back and reporting alike, and takes only the [`Answer`] to its
//! latest one; so lost, doubled and late messages neither leak units nor double them.

use std::time::Duration;

use crate::time::{Elapsed, HOUR, Hour, SECOND};

/// Units of an account that was not used for this long are given back.
pub const IDLE: Duration = Duration::from_secs(10);
/// For this long a holder remembers that an account had nothing left.
pub const DRY: Duration = Duration::from_secs(1);

/// What a holder says of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The hour that `used` belongs to; `None` before the first answer.
    pub hour: Option<Hour>,
    /// Higher than in every earlier message of this holder.
    pub seq: i64,
    /// Units spent in `hour`.
    pub used: u32,
    /// Units wished for beyond `used`; zero gives back all that is unspent.
    pub want: u32,
    /// How many of those go at once to requests that wait for them. The store counts them as spent, so
    /// that nothing has to be said of a key again that is used once in a while.
    pub waiting: u32,
}

/// What the store says to an [`Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The `seq` that is answered.
    pub seq: i64,
    /// The hour that the store is in.
    pub hour: Hour,
    /// Units this holder may spend in `hour` in all, those already spent included.
    pub allotted: u32,
    /// Units of `hour` that this holder has spent, as far as the store knows. A holder that asks for an
    /// hour of which it remembers nothing goes on from here.
    pub used: u32,
    /// Units beyond `used` that the store counts as spent already, for the requests that wait for them.
    pub awaited: u32,
    /// How long, from when the question was sent, they may be spent.
    pub expires_in: Duration,
    /// The account's limit.
    pub limit: u32,
    /// Units of the limit that no holder has.
    pub left: u32,
    /// Holders that have asked for this account lately, this one included.
    pub holders: u32,
    /// Whether other living holders may have unspent units.
    pub reclaimable: bool,
    /// Whether the account has a key that is neither revoked nor expired.
    pub living: bool,
}

/// What came of an attempt to spend one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// One unit was spent.
    Admitted,
    /// Nothing is left; the store said so within the last second.
    Dry,
    /// Nothing is at hand: the store has to be asked.
    Empty,
}

/// How a limit stands, as far as this holder knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Units an hour.
    pub limit: u32,
    /// Units left in this hour.
    pub remaining: u32,
    /// The hour.
    pub hour: Hour,
    /// How long the hour still lasts; at least a second once rounded up.
    pub ends_in: Duration,
}

impl Quota {
    /// Whole seconds until the limit resets, rounded up, at least 1.
    #[must_use]
    pub fn retry_after_seconds(&self) -> u64 {
        u64::try_from(self.ends_in.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
    }
}

/// A holder's part of an hour, counted on without the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedOn {
    /// The hour.
    pub hour: Hour,
    /// Units that this holder spent in it.
    pub used: u32,
    /// Whether the store had too little in it when it was last heard.
    pub ran_dry: bool,
    /// How long the hour still lasts.
    pub ends_in: Duration,
}

/// A holder's units of one account. What spending looks at stands first and lies together: with many accounts
/// each piece has to come from far away in memory.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Allotment {
    usable_until: Elapsed,
    hour: Option<Hour>,
    last_spent: Elapsed,
    recent: RecentUse,
    allotted: u32,
    used: u32,
    limit: u32,
    left: u32,
    holders: u32,
    ran_dry: bool,
    /// Whether the latest message, or its answer, was lost.
    unsure: bool,
    asked: Option<Asked>,
    dry_until: Elapsed,
    /// When the hour ends, whatever became of its units.
    hour_ends: Elapsed,
    reported: u32,
}

/// The message that is under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    ask: Ask,
    sent: Elapsed,
    void: bool,
}

impl Allotment {
    /// Nothing is known yet: the first unit has to be asked for.
    #[must_use]
    pub fn new(now: Elapsed) -> Self {
        let past = Elapsed(i64::MIN);
        Self {
            hour: None,
            allotted: 0,
            used: 0,
            reported: 0,
            usable_until: past,
            asked: None,
            unsure: false,
            limit: 0,
            left: 0,
            holders: 1,
            ran_dry: false,
            dry_until: past,
            hour_ends: past,
            recent: RecentUse::new(now),
            last_spent: now,
        }
    }

    /// Spends one unit, if one is at hand.
    pub fn spend(&mut self, now: Elapsed) -> Spend {
        if now >= self.usable_until {
            return Spend::Empty;
        }
        if self.used < self.ceiling() {
            self.used += 1;
            self.last_spent = now;
            self.recent.count(now);
            return Spend::Admitted;
        }
        if now < self.dry_until { Spend::Dry } else { Spend::Empty }
    }

    /// Whether a message is under way.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether to ask for more before the last unit is gone.
    #[must_use]
    pub fn runs_low(&self, now: Elapsed) -> bool {
        let size = self.size(now);
        size > 1 && self.asked.is_none() && now < self.usable_until && self.unspent() <= size / 4
    }

    /// Asks for `waiting` requests and for what the key is likely to use next.
    pub fn ask(&mut self, seq: i64, waiting: u32, now: Elapsed) -> Ask {
        // What became of a lost message is not known: its units must not be counted as spent twice.
        let counted = if self.unsure { 0 } else { waiting };
        self.send(seq, waiting.max(self.size(now)), counted, now)
    }

    /// As [`Allotment::ask`], where those who wait may have left before the answer comes: nothing counts as
    /// spent before it is.
    pub fn ask_uncounted(&mut self, seq: i64, waiting: u32, now: Elapsed) -> Ask {
        self.send(seq, waiting.max(self.size(now)), 0, now)
    }

    /// Reports what was spent and gives the rest back.
    pub fn give_back(&mut self, seq: i64, now: Elapsed) -> Ask {
        self.send(seq, 0, 0, now)
    }

    /// Notes that another message asked for the first units, at `sent`: its answer is taken like any other.
    pub fn asked_elsewhere(&mut self, seq: i64, want: u32, sent: Elapsed) {
        self.send(seq, want, 0, sent);
    }

    /// Takes the store's answer; `false` if it is not the one waited for. No unit of an answer is used
    /// that was asked for before the account changed ([`Allotment::change`]).
    pub fn take(&mut self, answer: &Answer) -> bool {
        let Some(asked) = self.asked.filter(|asked| asked.ask.seq == answer.seq) else { return false };
        if self.hour.is_some_and(|hour| answer.hour < hour) {
            self.lost();
            return false;
        }
        (self.asked, self.unsure) = (None, false);
        let mut known = asked.ask.used;
        if self.hour != Some(answer.hour) {
            (self.hour, self.used, self.ran_dry, known) =
                (Some(answer.hour), answer.used, false, answer.used);
        }
        self.hour_ends = asked.sent.after(answer.expires_in);
        self.reported = known.saturating_add(answer.awaited);
        if asked.void {
            self.allotted = self.used;
            return false;
        }
        self.allotted = answer.allotted;
        self.usable_until = self.hour_ends;
        (self.limit, self.left, self.holders) = (answer.limit, answer.left, answer.holders.max(1));
        self.ran_dry |= answer.allotted.saturating_sub(known) < asked.ask.want;
        true
    }

    /// The message under way, or its answer, is lost. What it would leave at the least stays spendable.
    pub fn lost(&mut self) {
        self.allotted = self.ceiling();
        (self.asked, self.unsure) = (None, true);
    }

    /// The account changed: nothing that was allotted or said of it before counts any longer.
    pub fn change(&mut self) {
        self.allotted = self.allotted.min(self.used);
        (self.usable_until, self.dry_until) = (Elapsed(i64::MIN), Elapsed(i64::MIN));
        if let Some(asked) = &mut self.asked {
            asked.void = true;
        }
    }

    /// Remembers for [`DRY`] that nothing is left, but not past the hour.
    pub fn remember_dry(&mut self, now: Elapsed) {
        self.dry_until = now.after(DRY).min(self.usable_until);
    }

    /// Whether units lie here that nobody has used for [`IDLE`], or use that the store does not know of.
    #[must_use]
    pub fn should_settle(&self, now: Elapsed) -> bool {
        self.is_idle(now) && self.asked.is_none() && !self.is_settled()
    }

    /// Whether all of this can be forgotten: the store knows everything, and nobody is using it.
    #[must_use]
    pub fn can_be_forgotten(&self, now: Elapsed) -> bool {
        self.is_idle(now) && self.asked.is_none() && self.is_settled()
    }

    /// Whether the store knows of every spent unit, and no other is held. After a lost message it is not
    /// known what the store knows.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.unsure && self.unspent() == 0 && self.used == self.reported
    }

    /// Whether the store counts units as spent that are not: those who waited for them have left.
    #[must_use]
    pub fn is_overcounted(&self) -> bool {
        self.used < self.reported
    }

    /// Units that may be spent now without asking.
    #[must_use]
    pub fn at_hand(&self, now: Elapsed) -> u32 {
        if now < self.usable_until { self.ceiling().saturating_sub(self.used) } else { 0 }
    }

    /// How the limit stands; `None` before the first answer in this hour.
    #[must_use]
    pub fn quota(&self, now: Elapsed) -> Option<Quota> {
        let hour = self.hour.filter(|_| now < self.usable_until)?;
        let remaining = self.left.saturating_add(self.unspent()).min(self.limit);
        Some(Quota { limit: self.limit, remaining, hour, ends_in: self.usable_until.since(now) })
    }

    /// How this holder's part of the hour at `now` stands, as it counts hours on from the last answer when
    /// no newer one can be had; `None` if there never was an answer.
    #[must_use]
    pub fn count_on(&self, now: Elapsed) -> Option<CountedOn> {
        let hour = self.hour?;
        if now < self.hour_ends {
            let ends_in = self.hour_ends.since(now);
            // Whoever asked for nothing has heard, too, that nothing is left.
            let ran_dry = self.ran_dry || self.left == 0;
            return Some(CountedOn { hour, used: self.used, ran_dry, ends_in });
        }
        let past = i64::try_from(now.since(self.hour_ends).as_micros()).unwrap_or(i64::MAX);
        let whole_hours = past / HOUR;
        let ends_in = Duration::from_micros(u64::try_from(HOUR - past % HOUR).unwrap_or(0));
        let hour = Hour(hour.0.saturating_add(1).saturating_add(whole_hours));
        Some(CountedOn { hour, used: 0, ran_dry: false, ends_in })
    }

    /// Units spent in the hour of the last answer.
    #[must_use]
    pub fn used(&self) -> Option<(Hour, u32)> {
        self.hour.map(|hour| (hour, self.used))
    }

    fn send(&mut self, seq: i64, want: u32, waiting: u32, now: Elapsed) -> Ask {
        self.allotted = self.ceiling();
        let ask = Ask { hour: self.hour, seq, used: self.used, want, waiting };
        self.asked = Some(Asked { ask, sent: now, void: false });
        ask
    }

    fn is_idle(&self, now: Elapsed) -> bool {
        now.since(self.last_spent) >= IDLE
    }

    /// While a message is under way the store may already have carried it out: then no more than
    /// `used + want` is this holder's.
    fn ceiling(&self) -> u32 {
        self.asked
            .map_or(self.allotted, |asked| self.allotted.min(asked.ask.used.saturating_add(asked.ask.want)))
    }

    fn unspent(&self) -> u32 {
        self.allotted.saturating_sub(self.used)
    }

    /// What the key used in the last seconds, but a small share of the limit for each holder, and single
    /// units once the account ran dry.
    fn size(&self, now: Elapsed) -> u32 {
        if self.ran_dry {
            return 1;
        }
        let share: u32 = if self.left > self.limit / 2 { 20 } else { 100 };
        let most = self.limit / share.saturating_mul(self.holders);
        self.recent.last_seconds(now).min(most).max(1)
    }
}

/// Counts use in two buckets of five seconds: what was used in the last five to ten.
#[derive(Clone, Debug)]
struct RecentUse {
    bucket: i64,
    current: u32,
    previous: u32,
}

impl RecentUse {
    const BUCKET: i64 = 5 * SECOND;

    fn new(now: Elapsed) -> Self {
        Self { bucket: now.0.div_euclid(Self::BUCKET), current: 0, previous: 0 }
    }

    fn count(&mut self, now: Elapsed) {
        let bucket = now.0.div_euclid(Self::BUCKET);
        if bucket != self.bucket {
            self.previous = if bucket == self.bucket + 1 { self.current } else { 0 };
            (self.bucket, self.current) = (bucket, 0);
        }
        self.current = self.current.saturating_add(1);
    }

    fn last_seconds(&self, now: Elapsed) -> u32 {
        match now.0.div_euclid(Self::BUCKET) - self.bucket {
            0 => self.current.saturating_add(self.previous),
            1 => self.current,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
