//! The store, in memory: what one transaction of the real one does, happens here in one call.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use hokusai_core::allotment::{Answer, Ask};
use hokusai_core::debt::Debt;
use hokusai_core::feed::{Change, Position};
use hokusai_core::id::{AccountId, Epoch, HolderId, KeyId};
use hokusai_core::key::KeyDigest;
use hokusai_core::time::{Hour, MINUTE, SECOND, Timestamp};
use hokusai_core::verifier::FeedItem;

use crate::world::Instant;

/// Other holders count as living that asked or were seen in this time.
const LATELY: i64 = 20 * SECOND;
/// Changes are kept for so long: whoever was away for longer has to forget everything.
const CHANGES_KEPT: i64 = 3 * MINUTE;

/// A key, as the store has it.
#[derive(Clone, Debug)]
pub(crate) struct StoredKey {
    pub(crate) id: KeyId,
    pub(crate) account: AccountId,
    /// The account of the first key of its rotations: whatever else is true, they share one limit.
    pub(crate) family: AccountId,
    pub(crate) digest: KeyDigest,
    /// From when on it is refused.
    pub(crate) ends: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    seq: i64,
    allotted: u32,
    used: u32,
    awaited: u32,
    asked_at: i64,
}

/// What others have of an account in an hour.
struct Others {
    allotted: u32,
    holders: u32,
    reclaimable: bool,
}

/// A holder in the register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registered {
    pub(crate) revision: i64,
    pub(crate) seen_at: Timestamp,
    /// The same by a clock that nobody sets.
    pub(crate) seen: Instant,
}

/// The whole store.
#[derive(Debug)]
pub(crate) struct Store {
    /// How far its clock is ahead of the true time.
    pub(crate) skew: i64,
    pub(crate) epoch: Epoch,
    pub(crate) revision: i64,
    pub(crate) keys: BTreeMap<KeyId, StoredKey>,
    pub(crate) limits: HashMap<AccountId, u32>,
    pub(crate) holders: BTreeMap<HolderId, Registered>,
    pub(crate) debts: BTreeMap<(Hour, AccountId), BTreeMap<HolderId, u32>>,
    /// The latest changes, each with when it was made.
    changes: VecDeque<(Instant, FeedItem)>,
    pub(crate) latest_hour: Hour,
    rows: BTreeMap<(Hour, AccountId), BTreeMap<HolderId, Row>>,
    dry: HashMap<AccountId, i64>,
    /// Accounts that were marked since this was last looked at.
    pub(crate) marked_dry: Vec<AccountId>,
    /// Transactions, for the record.
    pub(crate) statements: u64,
}

impl Store {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self {
            skew: 0,
            epoch,
            revision: 0,
            keys: BTreeMap::new(),
            limits: HashMap::new(),
            holders: BTreeMap::new(),
            debts: BTreeMap::new(),
            changes: VecDeque::new(),
            latest_hour: Hour(0),
            rows: BTreeMap::new(),
            dry: HashMap::new(),
            marked_dry: Vec::new(),
            statements: 0,
        }
    }

    pub(crate) fn now(&self, at: Instant) -> Timestamp {
        Timestamp(at.0 + self.skew)
    }

    pub(crate) fn position(&self) -> Position {
        Position { epoch: self.epoch, revision: self.revision }
    }

    /// The key of this digest, and the place in the feed that it was read at: one snapshot.
    pub(crate) fn find(&mut self, digest: &KeyDigest) -> (Option<StoredKey>, Position) {
        self.statements += 1;
        let key = self.keys.values().find(|key| key.digest == *digest).cloned();
        (key, self.position())
    }

    /// Changes after `revision` as far as they are kept, and accounts that ran dry lately.
    pub(crate) fn read_feed(
        &mut self,
        revision: i64,
        at: Instant,
    ) -> (Position, Vec<FeedItem>, Vec<AccountId>) {
        self.statements += 1;
        let now = self.now(at).0;
        let newer = self.changes.iter().map(|(_, item)| *item);
        let newer = newer.filter(|item| item.change.revision > revision).collect();
        let mut dry: Vec<AccountId> =
            self.dry.iter().filter(|(_, marked)| **marked > now - 2 * SECOND).map(|(id, _)| *id).collect();
        dry.sort_unstable();
        (self.position(), newer, dry)
    }

    /// Adds a change to the feed.
    pub(crate) fn record(&mut self, key: &StoredKey, is_new: bool, at: Instant) {
        self.statements += 1;
        self.revision += 1;
        let change = Change { revision: self.revision, key: Some((key.id, key.account)) };
        self.changes.push_back((at, FeedItem { change, is_new }));
    }

    /// Enters a holder in the register, or renews what is there. Never takes an acknowledgement back.
    pub(crate) fn register(&mut self, holder: HolderId, revision: i64, at: Instant) {
        self.statements += 1;
        let seen_at = self.now(at);
        let known = self.holders.entry(holder).or_insert(Registered { revision, seen_at, seen: at });
        known.revision = known.revision.max(revision);
        (known.seen_at, known.seen) = (seen_at, at);
    }

    /// Renews a holder that is in the register; says whether it is.
    pub(crate) fn renew(&mut self, holder: HolderId, at: Instant) -> bool {
        self.statements += 1;
        let now = self.now(at);
        let known = self.holders.get_mut(&holder);
        known.is_some_and(|known| {
            (known.seen_at, known.seen) = (now, at);
            true
        })
    }

    /// Keeps none of the changes, as after more of them than are kept.
    pub(crate) fn drop_changes(&mut self) {
        self.changes.clear();
    }

    fn lives(&self, account: AccountId, at: Instant) -> bool {
        self.keys.values().any(|key| key.account == account && at < key.ends)
    }

    fn others(&self, place: (Hour, AccountId), holder: HolderId, now: Timestamp) -> Others {
        let mut others = Others { allotted: 0, holders: 1, reclaimable: false };
        for (other, row) in self.rows.get(&place).into_iter().flatten().filter(|(other, _)| **other != holder)
        {
            others.allotted += row.allotted;
            others.holders += u32::from(row.asked_at > now.0 - LATELY);
            let lives = self.holders.get(other).is_some_and(|known| known.seen_at.0 > now.0 - LATELY);
            others.reclaimable |= lives && row.allotted > row.used + row.awaited;
        }
        others.allotted += self.debts.get(&place).map_or(0, |debts| debts.values().sum());
        others
    }

    /// Units that a holder was given in this hour, and has neither spent nor given back, if it asked for the
    /// last time before an instant.
    pub(crate) fn asleep_with(&self, holder: HolderId, before: Instant) -> Vec<(AccountId, u32)> {
        let of_hour = self.rows.iter().filter(|((hour, _), _)| *hour == self.latest_hour);
        let own = of_hour.filter_map(|((_, account), rows)| Some((*account, rows.get(&holder)?)));
        own.filter(|(_, row)| row.asked_at < before.0 && row.allotted > row.used + row.awaited)
            .map(|(account, row)| (account, row.allotted - row.used - row.awaited))
            .collect()
    }

    /// Carries messages out and answers those that are new.
    pub(crate) fn allot(
        &mut self,
        holder: HolderId,
        asks: &[(AccountId, Ask)],
        at: Instant,
    ) -> Vec<Option<Answer>> {
        self.statements += 1;
        let now = self.now(at);
        self.latest_hour = self.latest_hour.max(now.hour());
        asks.iter().map(|(account, ask)| self.allot_one(holder, *account, *ask, at)).collect()
    }

    fn allot_one(&mut self, holder: HolderId, account: AccountId, ask: Ask, at: Instant) -> Option<Answer> {
        let now = self.now(at);
        let hour = self.latest_hour;
        if let Some(asked) = ask.hour.filter(|asked| *asked < hour)
            && let Some(row) = self.rows.get_mut(&(asked, account)).and_then(|rows| rows.get_mut(&holder))
            && ask.seq > row.seq
        {
            *row = Row { seq: ask.seq, allotted: ask.used, used: ask.used, awaited: 0, ..*row };
        }
        let limit = *self.limits.get(&account)?;
        let place = (hour, account);
        let known = self.rows.entry(place).or_default().get(&holder).copied().unwrap_or_default();
        if ask.seq <= known.seq {
            return None;
        }
        let Others { allotted: others, holders, reclaimable } = self.others(place, holder, now);
        let used = if ask.hour == Some(hour) { ask.used } else { known.used + known.awaited };
        let living = self.lives(account, at);
        let want = if living { ask.want } else { 0 };
        let granted = want.min(limit.saturating_sub(others + used));
        let row = Row {
            seq: ask.seq,
            allotted: used + granted,
            used,
            awaited: ask.waiting.min(granted),
            asked_at: now.0,
        };
        self.rows.entry(place).or_default().insert(holder, row);
        if reclaimable && living && granted < ask.want {
            let marked = self.dry.entry(account).or_insert(i64::MIN);
            if *marked <= now.0 - SECOND / 4 {
                *marked = now.0;
                self.marked_dry.push(account);
            }
        }
        Some(Answer {
            seq: ask.seq,
            hour,
            allotted: row.allotted,
            used,
            awaited: row.awaited,
            expires_in: Duration::from_micros(u64::try_from(hour.end().0 - now.0).unwrap_or(0)),
            limit,
            left: limit.saturating_sub(others + row.allotted),
            holders,
            reclaimable,
            living,
        })
    }

    /// The first units of a holder that has none of the account; `None` if it has, or had.
    pub(crate) fn allot_first(
        &mut self,
        holder: HolderId,
        account: AccountId,
        seq: i64,
        at: Instant,
    ) -> Option<Answer> {
        self.latest_hour = self.latest_hour.max(self.now(at).hour());
        if self.rows.get(&(self.latest_hour, account)).is_some_and(|rows| rows.contains_key(&holder)) {
            return None;
        }
        let ask = Ask { hour: None, seq, used: 0, want: 1, waiting: 0 };
        self.allot(holder, &[(account, ask)], at).pop().flatten()
    }

    /// Counts debts against their hours.
    pub(crate) fn settle(&mut self, debts: &[Debt]) {
        for debt in debts {
            let place = (debt.id.hour, debt.id.account);
            let owed = self.debts.entry(place).or_default().entry(debt.id.debtor).or_insert(0);
            *owed = debt.units.max(*owed);
        }
    }

    /// Whom a change of this revision is not known to yet.
    pub(crate) fn pending(&self, revision: i64) -> Vec<HolderId> {
        let behind = self.holders.iter().filter(|(_, known)| known.revision < revision);
        behind.map(|(holder, _)| *holder).collect()
    }

    /// Drops what is too old to matter. How long ago a holder was seen is measured by a clock that nobody
    /// sets, as the real nodes do.
    pub(crate) fn tidy(&mut self, at: Instant, kept: impl Fn(HolderId) -> i64) {
        let oldest = Hour(self.latest_hour.0 - 48);
        self.rows.retain(|(hour, _), _| *hour >= oldest);
        while self.changes.front().is_some_and(|(made, _)| at.0 - made.0 > CHANGES_KEPT) {
            self.changes.pop_front();
        }
        self.holders.retain(|holder, known| at.0 - known.seen.0 < kept(*holder));
    }
}
