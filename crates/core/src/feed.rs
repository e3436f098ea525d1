//! The numbered feed of changes, and what a node may still believe of the keys it remembers.
//!
//! Every change to who may do what has a revision, and revisions become visible in order without a gap.
//! A follower that has applied all up to its position knows exactly which remembered rows are stale.

use std::collections::VecDeque;
use std::time::Duration;

use crate::id::{AccountId, Epoch, KeyId};
use crate::time::Elapsed;

/// A node that has not confirmed its position for this long asks the store before it says "valid".
pub const CONFIRMED_FOR: Duration = Duration::from_secs(5);
/// The most recent changes that a follower remembers, to judge rows that were read a moment ago.
pub const RING: usize = 4096;

/// A place in the feed. Revisions count from 1 within an epoch; a restored store begins a new epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The store's present life.
    pub epoch: Epoch,
    /// The latest revision.
    pub revision: i64,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number.
    pub revision: i64,
    /// The key that changed, and the account that it counts against; `None` if it was an admin token.
    pub key: Option<(KeyId, AccountId)>,
}

/// What a follower has to do after reading from the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Forget what these changes touch.
    Forget(Vec<Change>),
    /// Forget everything: the position is unknown, or no longer kept.
    ForgetAll,
}

/// A node's place in the feed.
#[derive(Debug)]
pub struct Follower {
    position: Option<Position>,
    confirmed: Option<Elapsed>,
    ring: VecDeque<Change>,
}

impl Follower {
    /// A follower that has read nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { position: None, confirmed: None, ring: VecDeque::new() }
    }

    /// The revision that all is applied up to; 0 before the first reading.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.position.map_or(0, |position| position.revision)
    }

    /// The position that all is applied up to; `None` before the first reading.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// The revision to read on from. Before the first reading it lies past every other: what changed before
    /// is of no interest, only where the feed stands.
    #[must_use]
    pub fn read_from(&self) -> i64 {
        self.position.map_or(i64::MAX, |position| position.revision)
    }

    /// Whether the position was confirmed by a reading sent less than [`CONFIRMED_FOR`] ago.
    #[must_use]
    pub fn is_confirmed(&self, now: Elapsed) -> bool {
        self.confirmed.is_some_and(|sent| now.since(sent) < CONFIRMED_FOR)
    }

    /// Takes what a reading sent at `sent` gave: the feed's head, and the changes after the revision
    /// that was read from, oldest first and complete up to the head.
    pub fn apply(&mut self, head: Position, changes: Vec<Change>, sent: Elapsed) -> Step {
        let Some(position) = self.position.filter(|position| position.epoch == head.epoch) else {
            return self.reset(head, sent);
        };
        // The feed never goes back, unless the store fell back to an earlier state: then what was seen since
        // is not true any longer. A reading from before the last confirmed one only comes late.
        if head.revision < position.revision && self.confirmed.is_none_or(|before| sent > before) {
            return self.reset(head, sent);
        }
        let new: Vec<Change> = changes.into_iter().filter(|c| c.revision > position.revision).collect();
        let complete = (position.revision + 1..).zip(&new).all(|(expected, c)| c.revision == expected)
            && new.last().is_none_or(|last| last.revision == head.revision)
            && (!new.is_empty() || head.revision <= position.revision);
        if !complete {
            return self.reset(head, sent);
        }
        self.confirm(sent);
        self.position = Some(Position { revision: head.revision.max(position.revision), ..head });
        self.ring.extend(new.iter().copied());
        let surplus = self.ring.len().saturating_sub(RING);
        self.ring.drain(..surplus);
        Step::Forget(new)
    }

    /// Whether a row of `key`, read when the feed stood at `read_at`, may be remembered: no change to the
    /// key lies after it, as far as this follower has applied and remembers the feed.
    #[must_use]
    pub fn vouches_for(&self, key: KeyId, read_at: Position) -> bool {
        let Some(position) = self.position.filter(|position| position.epoch == read_at.epoch) else {
            return false;
        };
        let remembered_from = position.revision - self.ring.len() as i64;
        read_at.revision >= remembered_from
            && !self
                .ring
                .iter()
                .rev()
                .take_while(|c| c.revision > read_at.revision)
                .any(|c| c.key.is_some_and(|(changed, _)| changed == key))
    }

    /// As [`Follower::vouches_for`], for what was said of an account: its limit, and whether it has units.
    #[must_use]
    pub fn vouches_for_account(&self, account: AccountId, read_at: Position) -> bool {
        self.position.is_some_and(|position| position.epoch == read_at.epoch)
            && !self
                .ring
                .iter()
                .rev()
                .take_while(|c| c.revision > read_at.revision)
                .any(|c| c.key.is_some_and(|(_, changed)| changed == account))
    }

    /// Begins at `head`, whatever was known before: the place that was asked from is not known any longer.
    pub fn reset(&mut self, head: Position, sent: Elapsed) -> Step {
        self.position = Some(head);
        self.ring.clear();
        self.confirm(sent);
        Step::ForgetAll
    }

    fn confirm(&mut self, sent: Elapsed) {
        self.confirmed = Some(self.confirmed.map_or(sent, |before| before.max(sent)));
    }
}

impl Default for Follower {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(revision: i64) -> Position {
        Position { epoch: "018f0000-0000-7000-8000-000000000001".parse().unwrap(), revision }
    }

    fn key(number: i64) -> KeyId {
        format!("018f0000-0000-7000-8000-{number:012}").parse().unwrap()
    }

    fn change(revision: i64, number: i64) -> Change {
        Change { revision, key: Some((key(number), key(number).into())) }
    }

    fn follower(revision: i64) -> Follower {
        let mut follower = Follower::new();
        assert_eq!(follower.apply(at(revision), vec![], Elapsed(0)), Step::ForgetAll);
        follower
    }

    #[test]
    fn changes_are_applied_once_and_in_order() {
        let mut follower = follower(5);
        let changes = vec![change(6, 1), change(7, 2)];
        assert_eq!(follower.apply(at(7), changes.clone(), Elapsed(1)), Step::Forget(changes.clone()));
        assert_eq!(follower.apply(at(7), changes, Elapsed(1)), Step::Forget(vec![]));
        assert_eq!(follower.revision(), 7);
    }

    #[test]
    fn a_skipped_revision_or_another_epoch_forgets_everything() {
        assert_eq!(follower(5).apply(at(7), vec![change(7, 2)], Elapsed(1)), Step::ForgetAll);
        assert_eq!(follower(5).apply(at(7), vec![change(6, 2)], Elapsed(1)), Step::ForgetAll);
        assert_eq!(follower(5).apply(at(7), vec![], Elapsed(1)), Step::ForgetAll);
        let elsewhere =
            Position { epoch: "018f0000-0000-7000-8000-000000000002".parse().unwrap(), revision: 5 };
        assert_eq!(follower(5).apply(elsewhere, vec![], Elapsed(1)), Step::ForgetAll);
    }

    #[test]
    fn a_late_reading_neither_moves_the_position_back_nor_forgets() {
        let mut follower = follower(5);
        follower.apply(at(7), vec![change(6, 1), change(7, 2)], Elapsed(9));
        assert_eq!(follower.apply(at(6), vec![change(6, 1)], Elapsed(8)), Step::Forget(vec![]));
        assert_eq!(follower.revision(), 7);
        assert!(follower.is_confirmed(Elapsed(9).after(CONFIRMED_FOR - Duration::from_micros(1))));
    }

    #[test]
    fn a_store_that_fell_back_makes_a_follower_forget_everything() {
        let mut follower = follower(5);
        assert_eq!(follower.apply(at(4), vec![], Elapsed(1)), Step::ForgetAll);
        assert_eq!(follower.revision(), 4);
        assert_eq!(follower.apply(at(5), vec![change(5, 9)], Elapsed(2)), Step::Forget(vec![change(5, 9)]));
    }

    #[test]
    fn a_row_is_not_believed_if_its_key_changed_after_it_was_read() {
        let mut follower = follower(5);
        follower.apply(at(7), vec![change(6, 1), change(7, 2)], Elapsed(1));
        assert!(!follower.vouches_for(key(2), at(6)));
        assert!(follower.vouches_for(key(2), at(7)));
        assert!(follower.vouches_for(key(1), at(6)));
        assert!(follower.vouches_for(key(3), at(5)));
        assert!(!follower.vouches_for(key(3), at(4)), "older than what is remembered");
        assert!(follower.vouches_for(key(1), at(9)), "newer than the position");
    }

    #[test]
    fn the_ring_is_bounded() {
        let mut follower = follower(0);
        let many = RING as i64 + 10;
        follower.apply(at(many), (1..=many).map(|n| change(n, n)).collect(), Elapsed(1));
        assert!(!follower.vouches_for(key(1), at(9)));
        assert!(follower.vouches_for(key(1), at(10)));
    }

    #[test]
    fn a_position_is_confirmed_for_less_than_five_seconds_after_it_was_asked_for() {
        let follower = follower(5);
        let end = Elapsed(0).after(CONFIRMED_FOR);
        assert!(follower.is_confirmed(Elapsed(end.0 - 1)));
        assert!(!follower.is_confirmed(end));
        assert!(!Follower::new().is_confirmed(Elapsed(0)));
    }
}
