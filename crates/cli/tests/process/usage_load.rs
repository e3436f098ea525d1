//! Reporters that report all the time, and send again what was not answered until it is.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use hokusai_core::usage::RecordId;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::clock::now;
use crate::http::Answer;
use crate::usage_reports::{Keys, Record, Report};

const REPORTERS: u64 = 6;
/// The longest that the service may take to answer, whatever is wrong with its database.
pub(crate) const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// The longest that a report may remain without a final answer.
const GIVES_UP_AFTER: Duration = Duration::from_secs(60);

/// Reporters at work.
pub(crate) struct Load<'a> {
    keys: &'a Keys,
    nodes: Mutex<Vec<SocketAddr>>,
    /// The number of the trouble that is being made.
    pub(crate) trouble: AtomicUsize,
    /// Reports that were answered with 200 so far.
    pub(crate) answered: AtomicUsize,
    is_over: AtomicBool,
}

/// What came of the reports.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// What was answered with 200.
    pub(crate) taken: HashMap<RecordId, Record>,
    pub(crate) reports: usize,
    /// Debits that were refused.
    pub(crate) refused: usize,
    /// Answers with 503.
    pub(crate) put_off: usize,
    /// Reports that were sent and not answered.
    pub(crate) cut_off: usize,
    /// Reports that were not answered, or put off, and had been taken all the same.
    pub(crate) taken_unheard: usize,
    /// Which troubles cut batches off.
    pub(crate) batches_cut_by: BTreeSet<usize>,
    /// The longest that an answer took.
    pub(crate) longest: Duration,
}

/// Ends the load also when a fact fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reports to `nodes` for as long as `meanwhile` takes, and until everything is answered.
pub(crate) fn under_load(
    keys: &Keys,
    nodes: Vec<SocketAddr>,
    seed: u64,
    meanwhile: impl FnOnce(&Load<'_>),
) -> Book {
    let load = Load {
        keys,
        nodes: Mutex::new(nodes),
        trouble: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    };
    let mut book = Book::default();
    thread::scope(|scope| {
        let load = &load;
        let reporters: Vec<_> =
            (0..REPORTERS).map(|number| scope.spawn(move || load.report(number, seed))).collect();
        let end = End(&load.is_over);
        meanwhile(load);
        drop(end);
        for reporter in reporters {
            book.add(reporter.join().unwrap());
        }
    });
    book
}

impl Load<'_> {
    /// Reports to these nodes from now on.
    pub(crate) fn report_to(&self, nodes: Vec<SocketAddr>) {
        *self.nodes.lock().unwrap() = nodes;
    }

    fn report(&self, reporter: u64, seed: u64) -> Book {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(reporter + 1));
        let mut book = Book::default();
        for number in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let report = self.keys.report(&format!("{reporter}/{number}"), &mut rng);
            let is_taken = self.deliver(&report, &mut rng, &mut book);
            if is_taken && rng.random_ratio(1, 8) {
                self.repeat(&report, &mut rng, &mut book);
            }
        }
        book
    }

    /// Sends a report until it is taken or refused; says which.
    fn deliver(&self, report: &Report, rng: &mut StdRng, book: &mut Book) -> bool {
        let (answer, is_first) = self.send(report, rng, book);
        book.reports += 1;
        if answer.status == 402 && report.is_debit() {
            book.refused += 1;
            return false;
        }
        let (new, known) = told(answer);
        assert_eq!(new + known, report.records.len());
        assert!(new == 0 || known == 0, "{new} records of a report were taken, and {known} before");
        assert!(known == 0 || !is_first, "what was sent once is known already");
        book.taken_unheard += usize::from(known > 0);
        book.taken.extend(report.records.iter().cloned());
        self.answered.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// What was answered with 200 is known from then on.
    fn repeat(&self, report: &Report, rng: &mut StdRng, book: &mut Book) {
        let (new, known) = told(self.send(report, rng, book).0);
        assert_eq!((new, known), (0, report.records.len()), "what was answered with 200 was lost");
    }

    /// Sends a report until it is answered; says whether it was sent only once.
    fn send(&self, report: &Report, rng: &mut StdRng, book: &mut Book) -> (Answer, bool) {
        let (began, mut is_first) = (now(), true);
        loop {
            let node = {
                let nodes = self.nodes.lock().unwrap();
                nodes[rng.random_range(0..nodes.len())]
            };
            let asked = now();
            match report.request().try_send(node) {
                Ok(answer) => {
                    book.longest = book.longest.max(asked.elapsed());
                    if answer.status != 503 {
                        return (answer, is_first);
                    }
                    assert!(
                        ["store_unavailable", "usage_backlog"].contains(&answer.code()),
                        "{}",
                        answer.body
                    );
                    assert_eq!(answer.header("retry-after"), Some("1"));
                    (is_first, book.put_off) = (false, book.put_off + 1);
                    thread::sleep(Duration::from_millis(20));
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) => {
                    assert!(asked.elapsed() < ANSWERS_WITHIN, "no answer: {error}");
                    (is_first, book.cut_off) = (false, book.cut_off + 1);
                    if report.is_batch() {
                        book.batches_cut_by.insert(self.trouble.load(Ordering::Relaxed));
                    }
                }
            }
            assert!(began.elapsed() < GIVES_UP_AFTER, "a report is not answered for {:?}", began.elapsed());
        }
    }
}

/// How many records are new, and how many were known.
fn told(answer: Answer) -> (usize, usize) {
    let told = answer.expect(200);
    let number = |name: &str| usize::try_from(told[name].as_u64().unwrap()).unwrap();
    (number("recorded"), number("duplicates"))
}

impl Book {
    fn add(&mut self, other: Self) {
        let records = self.taken.len() + other.taken.len();
        self.taken.extend(other.taken);
        assert_eq!(self.taken.len(), records, "no two reporters send the same record");
        self.reports += other.reports;
        self.refused += other.refused;
        self.put_off += other.put_off;
        self.cut_off += other.cut_off;
        self.taken_unheard += other.taken_unheard;
        self.batches_cut_by.extend(other.batches_cut_by);
        self.longest = self.longest.max(other.longest);
    }

    /// The book in one line.
    pub(crate) fn figures(&self) -> String {
        format!(
            "{} records were answered with 200, in {} reports; {} debits were refused; {} answers were 503; {} \
             times no answer came; {} reports turned out to have been taken then; the longest answer took {:?}",
            self.taken.len(),
            self.reports - self.refused,
            self.refused,
            self.put_off,
            self.cut_off,
            self.taken_unheard,
            self.longest
        )
    }
}
