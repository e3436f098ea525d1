//! Walking the chain from its beginning to its head: what does not fit is named by the first entry that
//! does not.
//!
//! A walker holds one entry at the most, however long the chain is.

use std::ops::ControlFlow;

use super::{AuditKey, Checkpoint, FIRST, Form, Seal, SealedEntry};

/// What the store says of the chain, all of one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last entry's number; 0 if there is none.
    pub number: i64,
    /// The last entry's seal.
    pub seal: Vec<u8>,
    /// The highest number that any entry has; 0 if there is none.
    pub highest: i64,
    /// The fingerprint of the key that sealed the chain.
    pub fingerprint: Vec<u8>,
    /// Whether there are entries behind all numbers, because theirs is none.
    pub has_unnumbered: bool,
}

/// What is wrong with an entry, or with the chain at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not have the seal that it was written with; or the one that stood there was taken out, and
    /// the others moved up.
    Changed,
    /// There is none of this number, but there are later ones.
    Missing,
    /// It was not written there: the entry that belongs here comes later.
    Inserted {
        /// Where the entry is that belongs here.
        belongs_here: i64,
    },
    /// It stands in another's place.
    Moved {
        /// Where the entry is that belongs here.
        belongs_here: i64,
    },
    /// It has a number that was there before, or that no entry has.
    Extra,
    /// From here on all are gone, up to the head.
    TailCut {
        /// The number of the last entry that was written.
        head: i64,
    },
    /// It lies behind the head: no change wrote it.
    BehindHead {
        /// The number of the last entry that was written.
        head: i64,
    },
    /// It fits, but the head has another seal.
    HeadDiffers,
    /// All that is there fits, but what the store says of the chain's end can't be read.
    HeadUnreadable,
    /// Before it stands one whose number is no whole number.
    Unnumbered,
    /// From here on all are gone, up to a checkpoint's and further.
    BeforeCheckpoint {
        /// The number of the checkpoint's entry.
        checkpoint: i64,
    },
    /// It fits, but it is not the one that a checkpoint was taken of.
    CheckpointDiffers,
    /// Everything fits, but the database names another key than the one that sealed it.
    OtherKey,
}

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The number of the entry.
    pub number: i64,
    /// What is wrong.
    pub fault: Fault,
    /// What stands there now, if anything does.
    pub stands_there: Option<SealedEntry>,
    /// Whether the database names another key than the one at hand: it is the wrong one, or somebody wrote
    /// the chain anew.
    pub is_other_key: bool,
}

/// Walks along a chain. It is fed all entries in the order of their numbers.
#[derive(Debug)]
pub struct Walker {
    key: AuditKey,
    /// `None`: it can't be read.
    head: Option<Head>,
    /// Those that were not reached yet, the nearest last.
    checkpoints: Vec<Checkpoint>,
    reached: Checkpoint,
    /// The first entry that does not fit, while the one that belongs there is looked for.
    suspect: Option<SealedEntry>,
    /// The seal of the entry that was fed last, whatever it is worth.
    last_seal: Vec<u8>,
    finding: Option<Finding>,
}

impl Walker {
    /// Begins before the first entry. There is no head if what the store says of it can't be read.
    #[must_use]
    pub fn new(key: AuditKey, head: Option<Head>, mut checkpoints: Vec<Checkpoint>) -> Self {
        let reached = Checkpoint { number: 0, seal: FIRST };
        checkpoints.sort_unstable_by_key(|known| std::cmp::Reverse(known.number));
        let (suspect, last_seal, finding) = (None, FIRST.to_vec(), None);
        let mut walker = Self { key, head, checkpoints, reached, suspect, last_seal, finding };
        let _ = walker.compare_with_checkpoints(None);
        walker
    }

    /// How far all is well.
    #[must_use]
    pub fn reached(&self) -> Checkpoint {
        self.reached
    }

    /// Takes the next entry; breaks off once no further one could tell more.
    pub fn feed(&mut self, next: SealedEntry) -> ControlFlow<()> {
        if self.finding.is_some() {
            return ControlFlow::Break(());
        }
        if next.form == Form::Unnumbered {
            return self.meet_unnumbered(next);
        }
        let last_seal = std::mem::replace(&mut self.last_seal, next.seal.clone());
        if self.suspect.is_some() {
            return self.look_for_what_belongs_there(&next, &last_seal);
        }
        let (number, expected) = (next.entry.number, self.reached.number + 1);
        if number < expected {
            self.find(number, Fault::Extra, Some(next))
        } else if let Some(Head { number: head, highest, .. }) = self.head
            && number > head
        {
            self.pass_head(next, head, highest)
        } else if number > expected {
            self.find(expected, Fault::Missing, None)
        } else {
            self.step(next)
        }
    }

    /// What is wrong, once there is nothing more to feed; `None` if all is well.
    #[must_use]
    pub fn finish(mut self) -> Option<Finding> {
        if let Some(suspect) = self.suspect.take() {
            let _ = self.find(suspect.entry.number, Fault::Changed, Some(suspect));
        }
        if self.finding.is_none() {
            self.judge_end();
        }
        self.finding
    }

    fn step(&mut self, next: SealedEntry) -> ControlFlow<()> {
        let (number, seal) = (next.entry.number, self.key.seal(&self.reached.seal, &next.entry));
        if next.form != Form::Whole || next.seal != seal {
            self.suspect = Some(next);
            return ControlFlow::Continue(());
        }
        self.reached = Checkpoint { number, seal };
        self.compare_with_checkpoints(Some(next))
    }

    /// Holds what was just reached to the checkpoints that were taken there.
    fn compare_with_checkpoints(&mut self, stands_there: Option<SealedEntry>) -> ControlFlow<()> {
        let Checkpoint { number, seal } = self.reached;
        while let Some(known) = self.checkpoints.pop_if(|known| known.number == number) {
            if known.seal != seal {
                return self.find(number, Fault::CheckpointDiffers, stands_there);
            }
        }
        ControlFlow::Continue(())
    }

    /// It has no place, and so none can be looked for behind it.
    fn meet_unnumbered(&mut self, next: SealedEntry) -> ControlFlow<()> {
        if self.suspect.is_some() {
            return ControlFlow::Break(());
        }
        self.find(self.reached.number + 1, Fault::Unnumbered, Some(next))
    }

    /// What was there when the head was read lies behind it wrongly; what is higher came since.
    fn pass_head(&mut self, next: SealedEntry, head: i64, highest: i64) -> ControlFlow<()> {
        let expected = self.reached.number + 1;
        if expected <= head {
            self.find(expected, Fault::TailCut { head }, None)
        } else if next.entry.number <= highest {
            self.find(next.entry.number, Fault::BehindHead { head }, Some(next))
        } else {
            ControlFlow::Break(())
        }
    }

    /// Whether `next` is the entry that belongs where the suspect stands: so somebody moved entries.
    fn look_for_what_belongs_there(&mut self, next: &SealedEntry, last_seal: &[u8]) -> ControlFlow<()> {
        let Some(suspect) = &self.suspect else { return ControlFlow::Continue(()) };
        let (place, belongs_here) = (suspect.entry.number, next.entry.number);
        if !self.fits(next, place, &self.reached.seal) {
            return ControlFlow::Continue(());
        }
        let before = if belongs_here == place + 1 { next.seal.as_slice() } else { last_seal };
        let is_exchanged = self.fits(suspect, belongs_here, before);
        let fault =
            if is_exchanged { Fault::Moved { belongs_here } } else { Fault::Inserted { belongs_here } };
        let suspect = self.suspect.take();
        self.find(place, fault, suspect)
    }

    /// Whether an entry was written under this number, after the one of this seal.
    fn fits(&self, sealed: &SealedEntry, number: i64, previous: &[u8]) -> bool {
        let Ok(previous) = Seal::try_from(previous) else { return false };
        let mut entry = sealed.entry.clone();
        entry.number = number;
        sealed.form == Form::Whole && sealed.seal == self.key.seal(&previous, &entry)
    }

    fn judge_end(&mut self) {
        let reached = self.reached;
        let (number, fault) = if let Some(fault) = self.judge_head() {
            fault
        } else if let Some(Checkpoint { number: checkpoint, .. }) = self.checkpoints.first().copied() {
            (reached.number + 1, Fault::BeforeCheckpoint { checkpoint })
        } else if self.is_other_key() {
            (reached.number, Fault::OtherKey)
        } else {
            return;
        };
        let _ = self.find(number, fault, None);
    }

    fn judge_head(&self) -> Option<(i64, Fault)> {
        let reached = self.reached;
        let Some(head) = &self.head else { return Some((reached.number, Fault::HeadUnreadable)) };
        if reached.number < head.number {
            Some((reached.number + 1, Fault::TailCut { head: head.number }))
        } else if head.seal != reached.seal {
            Some((head.number, Fault::HeadDiffers))
        } else {
            head.has_unnumbered.then_some((reached.number + 1, Fault::Unnumbered))
        }
    }

    fn is_other_key(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.fingerprint != self.key.fingerprint())
    }

    fn find(&mut self, number: i64, fault: Fault, stands_there: Option<SealedEntry>) -> ControlFlow<()> {
        let is_other_key = self.is_other_key();
        self.finding = Some(Finding { number, fault, stands_there, is_other_key });
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests;
