//! Equal values that many hold, in memory once.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

/// So many values are kept before it is looked for the first time which of them nobody uses.
const FEW: usize = 1024;

/// Every distinct value in use. Those that nobody uses go when their number has doubled.
#[derive(Debug)]
pub struct Shared<T, S> {
    known: HashSet<Arc<T>, S>,
    tidy_at: usize,
}

impl<T: Eq + Hash, S: BuildHasher> Shared<T, S> {
    /// No value so far.
    #[must_use]
    pub fn new(hasher: S) -> Self {
        Self { known: HashSet::with_hasher(hasher), tidy_at: FEW }
    }

    /// The one value equal to this.
    pub fn share(&mut self, value: &Arc<T>) -> Arc<T> {
        if let Some(known) = self.known.get(value) {
            return known.clone();
        }
        if self.known.len() >= self.tidy_at {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.tidy_at = (2 * self.known.len()).max(FEW);
        }
        self.known.insert(value.clone());
        value.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use super::*;

    #[test]
    fn equal_values_are_one() {
        let mut shared = Shared::new(RandomState::new());
        let one = shared.share(&Arc::new("a".to_owned()));
        assert!(Arc::ptr_eq(&one, &shared.share(&Arc::new("a".to_owned()))));
        assert!(!Arc::ptr_eq(&one, &shared.share(&Arc::new("b".to_owned()))));
    }

    #[test]
    fn values_that_nobody_uses_are_not_kept() {
        let mut shared = Shared::new(RandomState::new());
        let used = shared.share(&Arc::new(0));
        for number in 1..10_000 {
            shared.share(&Arc::new(number));
        }
        assert!(shared.known.len() <= FEW);
        assert!(Arc::ptr_eq(&used, &shared.share(&Arc::new(0))));
    }
}
