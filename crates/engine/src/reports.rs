//! Reports of usage that wait for being written: bounded, and of each source bounded further, so that nobody
//! keeps the others from reporting.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Mutex;

use hokusai_core::id::TokenId;
use hokusai_core::usage::RecordId;
use hokusai_store::{Recorded, Report, StoreError};
use tokio::sync::{Notify, oneshot};

use crate::clock::lock;

/// Records that may wait, besides one report.
const MOST_WAITING: usize = 20_000;
/// Records of one source that may wait; one report may in any case.
const MOST_OF_ONE: usize = 10_000;
/// Records that reports may have together to share a transaction. What has more has one of its own.
const ENOUGH: usize = 5000;

/// Where a report comes from: what comes from one place has one share of what may wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A user's tokens and keys.
    User(Box<str>),
    /// A token that may report of every key.
    Token(TokenId),
    /// An address that needs no credential.
    Address(IpAddr),
}

/// Reports on their way to the store.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    queue: Mutex<Queue>,
    bell: Notify,
}

/// What will be said of a report.
pub(crate) type Answer = oneshot::Receiver<Result<Recorded, StoreError>>;

/// A report that waits, or is being written.
#[derive(Debug)]
pub(crate) struct Waiting {
    number: u64,
    source: Source,
    pub(crate) report: Report,
    pub(crate) answer: oneshot::Sender<Result<Recorded, StoreError>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    records: usize,
    /// Records that are being written.
    under_way: usize,
    /// Records of each source that has any.
    shares: HashMap<Source, usize>,
    added: u64,
}

impl Reports {
    /// Adds a report, and says by which number it can be withdrawn; `None` if too much waits already.
    pub(crate) fn add(&self, source: Source, report: Report) -> Option<(u64, Answer)> {
        let added = lock(&self.queue).add(source, report);
        self.bell.notify_one();
        added
    }

    /// Takes a report back, unless it is being written or was.
    pub(crate) fn withdraw(&self, number: u64) -> bool {
        lock(&self.queue).withdraw(number)
    }

    /// Waits for reports; gives those that the next transaction takes, which [`Reports::written`] must be
    /// told of. While another transaction is under way it waits for as many records as that one has: the
    /// other holds sums that this one needs too, and the more share a transaction, the less work they are.
    pub(crate) async fn next(&self) -> Vec<Waiting> {
        loop {
            let some = lock(&self.queue).take_in_turn();
            if !some.is_empty() {
                // What is left may be enough for another recorder, whose bell rang for these.
                self.bell.notify_one();
                return some;
            }
            self.bell.notified().await;
        }
    }

    /// A transaction of so many records has ended.
    pub(crate) fn written(&self, records: usize) {
        lock(&self.queue).under_way -= records;
        self.bell.notify_one();
    }

    /// How many records wait.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.queue).records
    }
}

impl Queue {
    fn add(&mut self, source: Source, report: Report) -> Option<(u64, Answer)> {
        let records = report.records.len();
        let own = self.shares.get(&source).copied().unwrap_or_default();
        if self.records >= MOST_WAITING || (own > 0 && own + records > MOST_OF_ONE) {
            return None;
        }
        self.records += records;
        *self.shares.entry(source.clone()).or_default() += records;
        self.added += 1;
        let (answer, receiver) = oneshot::channel();
        self.waiting.push_back(Waiting { number: self.added, source, report, answer });
        Some((self.added, receiver))
    }

    fn withdraw(&mut self, number: u64) -> bool {
        let Ok(place) = self.waiting.binary_search_by_key(&number, |waiting| waiting.number) else {
            return false;
        };
        if let Some(waiting) = self.waiting.remove(place) {
            self.leave(&waiting);
        }
        true
    }

    /// What the next transaction takes, unless it had better wait.
    fn take_in_turn(&mut self) -> Vec<Waiting> {
        if self.records < self.under_way {
            return Vec::new();
        }
        let some = self.take();
        self.under_way += some.iter().map(|waiting| waiting.report.records.len()).sum::<usize>();
        some
    }

    /// What a transaction takes: one report, or several small ones that hold no record in common. So
    /// what becomes of one does not depend on another.
    fn take(&mut self) -> Vec<Waiting> {
        let (mut some, mut ids, mut records) = (Vec::new(), HashSet::new(), 0);
        while let Some(next) = self.waiting.front() {
            records += next.report.records.len();
            let own: HashSet<RecordId> = next.report.records.iter().map(|record| record.id).collect();
            if !some.is_empty() && (records > ENOUGH || !ids.is_disjoint(&own)) {
                break;
            }
            ids.extend(own);
            some.extend(self.waiting.pop_front());
        }
        some.iter().for_each(|waiting| self.leave(waiting));
        some
    }

    /// Gives the room of a report back.
    fn leave(&mut self, waiting: &Waiting) {
        let records = waiting.report.records.len();
        self.records -= records;
        if let Some(share) = self.shares.get_mut(&waiting.source) {
            *share -= records;
            if *share == 0 {
                self.shares.remove(&waiting.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hokusai_core::usage::Record;
    use hokusai_store::Reporter;

    use super::*;

    fn record(number: u8) -> Record {
        Record {
            id: RecordId::random([number; 16]),
            key: "018f0000-0000-7000-8000-000000000001".parse().unwrap(),
            service_id: "".into(),
            endpoint: "/".into(),
            model_id: None,
            status_code: 200,
            response_micros: 0,
            predictions: 0,
            compute_ms: 0,
            occurred_at: None,
        }
    }

    fn add(queue: &mut Queue, user: &str, records: Vec<Record>) -> Option<u64> {
        let report = Report { reporter: Reporter::Anyone, records, is_debit: false };
        queue.add(Source::User(user.into()), report).map(|(number, _)| number)
    }

    fn many(number: u8, count: usize) -> Vec<Record> {
        vec![record(number); count]
    }

    #[test]
    fn reports_share_a_transaction_unless_they_hold_the_same_record() {
        let mut queue = Queue::default();
        for numbers in [vec![1, 2], vec![3], vec![3], vec![4]] {
            assert!(add(&mut queue, "ada", numbers.into_iter().map(record).collect()).is_some());
        }
        assert_eq!(queue.take().len(), 2);
        assert_eq!((queue.take().len(), queue.records), (2, 0));
        assert!(queue.take().is_empty());
    }

    #[test]
    fn a_large_report_has_a_transaction_of_its_own() {
        let mut queue = Queue::default();
        for (number, count) in [(1, ENOUGH - 1), (2, 1), (3, 1), (4, 9000), (5, ENOUGH), (6, 1)] {
            add(&mut queue, &number.to_string(), many(number, count)).unwrap();
        }
        let taken = [2, 1, 1, 1, 1, 0].map(|_| queue.take().len());
        assert_eq!(taken, [2, 1, 1, 1, 1, 0]);
    }

    #[test]
    fn a_second_transaction_waits_for_as_many_records_as_the_first_has() {
        let mut queue = Queue::default();
        add(&mut queue, "ada", many(1, 3)).unwrap();
        assert_eq!(queue.take_in_turn().len(), 1);
        add(&mut queue, "ada", many(2, 2)).unwrap();
        assert!(queue.take_in_turn().is_empty());
        add(&mut queue, "bob", many(3, 1)).unwrap();
        assert_eq!((queue.take_in_turn().len(), queue.under_way), (2, 6));
        add(&mut queue, "bob", many(4, 5)).unwrap();
        assert!(queue.take_in_turn().is_empty());
        queue.under_way -= 3;
        assert_eq!(queue.take_in_turn().len(), 1, "the first has ended");
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut queue = Queue::default();
        for user in ["ada", "bob"] {
            assert!(add(&mut queue, user, many(1, MOST_OF_ONE)).is_some());
        }
        assert_eq!(add(&mut queue, "eve", many(2, 1)), None);
        assert_eq!((queue.take().len(), queue.records), (1, MOST_OF_ONE));
        assert!(add(&mut queue, "eve", many(2, 1)).is_some());
    }

    #[test]
    fn one_source_has_its_share_of_what_waits_and_leaves_room_for_others() {
        let mut queue = Queue::default();
        assert!(add(&mut queue, "ada", many(1, MOST_OF_ONE - 1)).is_some());
        assert_eq!(add(&mut queue, "ada", many(2, 2)), None);
        let last = add(&mut queue, "ada", many(2, 1)).unwrap();
        assert_eq!(add(&mut queue, "ada", many(3, 1)), None);
        assert!(add(&mut queue, "bob", many(3, 1)).is_some());
        assert!(queue.withdraw(last));
        assert!(add(&mut queue, "ada", many(3, 1)).is_some());
        while !queue.take().is_empty() {}
        assert!(queue.shares.is_empty());
        assert!(
            add(&mut queue, "ada", many(1, MOST_OF_ONE + 1)).is_some(),
            "one report may wait in any case"
        );
    }

    #[test]
    fn what_was_withdrawn_is_not_written_and_what_is_being_written_stays() {
        let mut queue = Queue::default();
        let numbers = [1, 2, 3].map(|number| add(&mut queue, "ada", vec![record(number)]).unwrap());
        assert!(queue.withdraw(numbers[1]) && !queue.withdraw(numbers[1]));
        assert_eq!((queue.take().len(), queue.records), (2, 0));
        assert!(!queue.withdraw(numbers[0]));
    }
}
