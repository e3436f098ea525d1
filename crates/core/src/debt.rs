//! Debt: what was admitted while nobody could be asked for units.
//!
//! A debt is known by who owes it, the account, and the hour that it was made in; its units only grow. So
//! settling the same debt twice, late, or after a restart counts it once.

use std::collections::BTreeMap;

use crate::id::{AccountId, HolderId};
use crate::time::Hour;

/// Which debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DebtId {
    /// Who owes it: an id that one process makes for its debts alone.
    pub debtor: HolderId,
    /// The account that was admitted.
    pub account: AccountId,
    /// The hour that it was admitted in.
    pub hour: Hour,
}

/// A debt, and how large it is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Which debt.
    pub id: DebtId,
    /// All units of it, those settled before included.
    pub units: u32,
}

#[derive(Clone, Copy, Debug)]
struct Owed {
    units: u32,
    settled: u32,
}

/// All debts of one process, and of processes before it.
#[derive(Debug, Default)]
pub struct DebtBook {
    owed: BTreeMap<DebtId, Owed>,
}

impl DebtBook {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One unit more.
    pub fn owe(&mut self, id: DebtId) {
        let owed = self.owed.entry(id).or_insert(Owed { units: 0, settled: 0 });
        owed.units = owed.units.saturating_add(1);
    }

    /// Takes a unit back that was not admitted after all.
    pub fn forgive(&mut self, id: DebtId) {
        if let Some(owed) = self.owed.get_mut(&id) {
            owed.units = owed.units.saturating_sub(1).max(owed.settled);
        }
    }

    /// Takes over a debt of a process before this one.
    pub fn inherit(&mut self, debt: Debt) {
        let owed = self.owed.entry(debt.id).or_insert(Owed { units: 0, settled: 0 });
        owed.units = owed.units.max(debt.units);
    }

    /// What is to be settled, at most `most` debts.
    #[must_use]
    pub fn unsettled(&self, most: usize) -> Vec<Debt> {
        let open = self.owed.iter().filter(|(_, owed)| owed.settled < owed.units);
        open.take(most).map(|(id, owed)| Debt { id: *id, units: owed.units }).collect()
    }

    /// Whether anything is to be settled.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.owed.values().all(|owed| owed.settled >= owed.units)
    }

    /// Units that are not settled.
    #[must_use]
    pub fn open_units(&self) -> u64 {
        self.owed.values().map(|owed| u64::from(owed.units - owed.settled)).sum()
    }

    /// The store knows of these.
    pub fn settle(&mut self, debts: &[Debt]) {
        for debt in debts {
            if let Some(owed) = self.owed.get_mut(&debt.id) {
                owed.settled = owed.settled.max(debt.units.min(owed.units));
            }
        }
    }

    /// Forgets settled debts of hours before `hour`: nothing is added to them any longer.
    pub fn forget_before(&mut self, hour: Hour) {
        self.owed.retain(|id, owed| id.hour >= hour || owed.settled < owed.units);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::id::KeyId;
    use crate::time::Timestamp;

    fn id(hour: i64) -> DebtId {
        let mut rng = StdRng::seed_from_u64(7);
        let debtor = HolderId::new(Timestamp(0), &mut rng);
        DebtId { debtor, account: KeyId::new(Timestamp(0), &mut rng).into(), hour: Hour(hour) }
    }

    #[test]
    fn a_debt_grows_and_is_settled_as_a_whole() {
        let mut book = DebtBook::new();
        book.owe(id(1));
        book.owe(id(1));
        let first = book.unsettled(10);
        assert_eq!(first, [Debt { id: id(1), units: 2 }]);
        book.owe(id(1));
        book.settle(&first);
        assert_eq!(book.unsettled(10), [Debt { id: id(1), units: 3 }]);
        book.settle(&[Debt { id: id(1), units: 3 }]);
        assert!(book.is_settled());
        book.settle(&first);
        assert_eq!(book.open_units(), 0);
    }

    #[test]
    fn what_was_not_admitted_is_not_owed_unless_it_was_settled() {
        let mut book = DebtBook::new();
        book.owe(id(1));
        book.forgive(id(1));
        assert!(book.is_settled());
        book.owe(id(1));
        book.settle(&[Debt { id: id(1), units: 1 }]);
        book.forgive(id(1));
        assert_eq!(book.unsettled(10), []);
        book.owe(id(1));
        assert_eq!(book.unsettled(10), [Debt { id: id(1), units: 2 }]);
    }

    #[test]
    fn inherited_debts_are_settled_once_and_settled_ones_of_old_hours_are_forgotten() {
        let mut book = DebtBook::new();
        book.inherit(Debt { id: id(1), units: 5 });
        book.inherit(Debt { id: id(1), units: 3 });
        assert_eq!(book.open_units(), 5);
        book.forget_before(Hour(9));
        assert_eq!(book.open_units(), 5, "what is open is never forgotten");
        book.settle(&[Debt { id: id(1), units: 5 }]);
        book.forget_before(Hour(9));
        assert_eq!(book.owed.len(), 0);
    }
}
