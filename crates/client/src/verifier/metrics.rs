//! What a verifier counts, and how that is shown. No key and no user is named.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use hokusai_core::policy::Refusal;
use hokusai_core::time::Elapsed;

use super::per_thread::PerThread;
use super::{Decision, Unavailable};

const REFUSALS: usize = Refusal::ALL.len();
const KINDS: usize = REFUSALS + 4;
const ADMITTED: usize = REFUSALS;
const LIMITED: usize = REFUSALS + 1;
const UNREACHABLE: usize = REFUSALS + 2;
const BUSY: usize = REFUSALS + 3;

/// What a verifier did since it was started, and how it stands. Requests that went away while they waited are
/// in none of the counts.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifierMetrics {
    /// Requests that were admitted; those that are owed are among them.
    pub admitted: u64,
    /// Requests whose key was refused, by the reason; every reason is there.
    pub refused: Vec<(Refusal, u64)>,
    /// Requests that found nothing left of their key's limit.
    pub limited: u64,
    /// Requests for which the service would have had to be asked, and could not be.
    pub unreachable: u64,
    /// Requests that were turned away because too many unknown keys were being looked up.
    pub busy: u64,
    /// Requests that were decided from memory, without waiting: admitted, refused or limited.
    pub hits: u64,
    /// Questions to the service about keys.
    pub look_ups: u64,
    /// Questions about keys that are not answered yet.
    pub look_ups_in_flight: u64,
    /// Keys that are remembered now.
    pub cached_keys: u64,
    /// Refused keys that are remembered now.
    pub refused_keys: u64,
    /// Messages to the service about limits.
    pub limit_messages: u64,
    /// What these messages said of accounts: one item for each account.
    pub limit_message_items: u64,
    /// How long ago the service last said anything sensible.
    pub silent_for: Duration,
    /// How long ago the question about changes was sent that was answered last: no change before that is
    /// unknown here.
    pub feed_age: Duration,
    /// Whether the service is taken for away.
    pub outage: bool,
    /// Requests that were admitted while the service was away, here or by a process before this one on the same
    /// journal.
    pub debt: u64,
    /// Those that the service knows of.
    pub debt_settled: u64,
    /// Those that it does not know of yet.
    pub open_debt: u64,
    /// Reports of usage.
    pub reports: ReportMetrics,
}

/// What became of reports of usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportMetrics {
    /// Records that are not written down yet.
    pub buffered: u64,
    /// Bytes of records that are written down and that the service does not have yet.
    pub waiting_bytes: u64,
    /// Records that the service has.
    pub sent: u64,
    /// Records that were dropped because there was no room.
    pub no_room: u64,
    /// Records that were dropped because the service will never take them.
    pub refused: u64,
    /// Lines of the journal that could not be read.
    pub damaged: u64,
}

/// The counts.
#[derive(Debug)]
pub(crate) struct Counters {
    of_threads: PerThread<OfThread>,
    pub(crate) look_ups: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) items: AtomicU64,
    /// Units that were owed, by whomever.
    pub(crate) owed: AtomicU64,
    /// When the question about changes was sent that was answered last.
    pub(crate) followed: AtomicI64,
}

#[derive(Debug, Default)]
struct OfThread {
    at_once: [AtomicU64; KINDS],
    after_waiting: [AtomicU64; KINDS],
}

impl Counters {
    pub(crate) fn new(inherited: u64, now: Elapsed) -> Self {
        Self {
            of_threads: PerThread::default(),
            look_ups: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            items: AtomicU64::new(0),
            owed: AtomicU64::new(inherited),
            followed: AtomicI64::new(now.0),
        }
    }

    /// Counts a request that was decided.
    pub(crate) fn count(&self, outcome: &Result<Decision, Unavailable>, has_waited: bool) {
        let kind = match outcome {
            Ok(Decision::Admitted { .. }) => ADMITTED,
            Ok(Decision::Refused(refusal)) => place(*refusal),
            Ok(Decision::Limited(_)) => LIMITED,
            Err(Unavailable::Unreachable | Unavailable::Forked) => UNREACHABLE,
            Err(Unavailable::Busy) => BUSY,
        };
        let own = self.of_threads.own();
        let counts = if has_waited { &own.after_waiting } else { &own.at_once };
        counts[kind].fetch_add(1, Ordering::Relaxed);
    }

    /// The sums, of all requests and of those that did not wait.
    fn sums(&self) -> ([u64; KINDS], [u64; KINDS]) {
        let (mut all, mut at_once) = ([0; KINDS], [0; KINDS]);
        for one in self.of_threads.iter() {
            for kind in 0..KINDS {
                let here = one.at_once[kind].load(Ordering::Relaxed);
                at_once[kind] += here;
                all[kind] += here + one.after_waiting[kind].load(Ordering::Relaxed);
            }
        }
        (all, at_once)
    }

    /// What can be told from the counts alone.
    pub(crate) fn read(&self, now: Elapsed) -> VerifierMetrics {
        let (all, at_once) = self.sums();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        VerifierMetrics {
            admitted: all[ADMITTED],
            refused: Refusal::ALL.map(|refusal| (refusal, all[place(refusal)])).into(),
            limited: all[LIMITED],
            unreachable: all[UNREACHABLE],
            busy: all[BUSY],
            hits: at_once[..=LIMITED].iter().sum(),
            look_ups: count(&self.look_ups),
            look_ups_in_flight: 0,
            cached_keys: 0,
            refused_keys: 0,
            limit_messages: count(&self.messages),
            limit_message_items: count(&self.items),
            silent_for: Duration::ZERO,
            feed_age: now.since(Elapsed(self.followed.load(Ordering::Relaxed))),
            outage: false,
            debt: count(&self.owed),
            debt_settled: 0,
            open_debt: 0,
            reports: ReportMetrics::default(),
        }
    }
}

fn place(refusal: Refusal) -> usize {
    match refusal {
        Refusal::InvalidKey => 0,
        Refusal::Expired => 1,
        Refusal::Revoked => 2,
        Refusal::ServiceMismatch => 3,
        Refusal::InsufficientScope => 4,
        Refusal::IpNotAllowed => 5,
    }
}

impl VerifierMetrics {
    /// The same for Prometheus, in its text format. All names begin with `hokusai_verifier_`.
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut page = Page(String::with_capacity(4096));
        self.requests(&mut page);
        self.state(&mut page);
        self.reports(&mut page);
        page.0
    }

    fn requests(&self, page: &mut Page) {
        page.head("requests_total", "counter", "Requests, by what became of them.");
        let refused: u64 = self.refused.iter().map(|(_, count)| count).sum();
        for (outcome, count) in [
            ("admitted", self.admitted),
            ("refused", refused),
            ("limited", self.limited),
            ("unreachable", self.unreachable),
            ("busy", self.busy),
        ] {
            page.of("requests_total", "outcome", outcome, count);
        }
        page.head("refused_total", "counter", "Requests whose key was refused, by the code.");
        for (refusal, count) in &self.refused {
            page.of("refused_total", "code", refusal.code(), *count);
        }
        page.counter("hits_total", "Requests that were decided from memory.", self.hits);
        page.counter("look_ups_total", "Questions to the service about keys.", self.look_ups);
        page.counter("limit_messages_total", "Messages about limits.", self.limit_messages);
        page.counter(
            "limit_message_items_total",
            "Accounts in messages about limits.",
            self.limit_message_items,
        );
    }

    fn state(&self, page: &mut Page) {
        page.gauge("cached_keys", "Keys that are remembered.", self.cached_keys);
        page.gauge("refused_keys", "Refused keys that are remembered.", self.refused_keys);
        page.gauge("look_ups_in_flight", "Keys that are being looked up.", self.look_ups_in_flight);
        let silent = self.silent_for.as_secs_f64();
        page.gauge("silence_seconds", "Time since the service last said anything sensible.", silent);
        let age = self.feed_age.as_secs_f64();
        page.gauge("feed_age_seconds", "Time since which changes may be unknown.", age);
        page.gauge("outage", "Whether the service is taken for away.", u8::from(self.outage));
        page.counter("debt_total", "Requests that were admitted in an outage.", self.debt);
        page.counter("debt_settled_total", "Those that the service knows of.", self.debt_settled);
        page.gauge("open_debt", "Those that it does not know of yet.", self.open_debt);
    }

    fn reports(&self, page: &mut Page) {
        let reports = &self.reports;
        page.head("reports_total", "counter", "Reports of usage, by what became of them.");
        for (outcome, count) in [
            ("sent", reports.sent),
            ("no_room", reports.no_room),
            ("refused", reports.refused),
            ("damaged", reports.damaged),
        ] {
            page.of("reports_total", "outcome", outcome, count);
        }
        page.gauge("reports_buffered", "Reports that are not written down yet.", reports.buffered);
        let waiting = reports.waiting_bytes;
        page.gauge("reports_waiting_bytes", "Reports that the service does not have yet.", waiting);
    }
}

struct Page(String);

impl Page {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a text can always be written to");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP hokusai_verifier_{name} {help}"));
        self.line(format_args!("# TYPE hokusai_verifier_{name} {kind}"));
    }

    fn of(&mut self, name: &str, label: &str, value: &str, count: u64) {
        self.line(format_args!("hokusai_verifier_{name}{{{label}=\"{value}\"}} {count}"));
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) {
        self.head(name, "counter", help);
        self.line(format_args!("hokusai_verifier_{name} {count}"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, "gauge", help);
        self.line(format_args!("hokusai_verifier_{name} {value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decision_counts_once_and_only_what_did_not_wait_is_a_hit() {
        let counters = Counters::new(3, Elapsed(0));
        let quota = hokusai_core::allotment::Quota {
            limit: 1,
            remaining: 0,
            hour: hokusai_core::time::Hour(0),
            ends_in: Duration::ZERO,
        };
        let refusals = Refusal::ALL.map(|refusal| Ok(Decision::Refused(refusal)));
        let others = [Ok(Decision::Limited(quota)), Err(Unavailable::Unreachable), Err(Unavailable::Busy)];
        std::thread::scope(|threads| {
            for has_waited in [true, false, false] {
                let outcomes = refusals.iter().chain(&others);
                let counters = &counters;
                threads.spawn(move || outcomes.for_each(|outcome| counters.count(outcome, has_waited)));
            }
        });
        let metrics = counters.read(Elapsed(0).after(Duration::from_secs(2)));
        assert_eq!(metrics.refused, Refusal::ALL.map(|refusal| (refusal, 3)));
        assert_eq!((metrics.admitted, metrics.limited, metrics.unreachable, metrics.busy), (0, 3, 3, 3));
        assert_eq!((metrics.hits, metrics.debt), (14, 3));
        assert_eq!(metrics.feed_age, Duration::from_secs(2));
    }

    #[test]
    fn the_page_has_a_name_a_type_and_a_figure_for_everything() {
        let mut metrics = Counters::new(0, Elapsed(0)).read(Elapsed(0));
        (metrics.admitted, metrics.silent_for, metrics.outage) = (7, Duration::from_millis(1500), true);
        metrics.reports.no_room = 2;
        let page = metrics.to_prometheus();
        for line in [
            "# TYPE hokusai_verifier_requests_total counter",
            "hokusai_verifier_requests_total{outcome=\"admitted\"} 7",
            "hokusai_verifier_refused_total{code=\"revoked\"} 0",
            "# TYPE hokusai_verifier_silence_seconds gauge",
            "hokusai_verifier_silence_seconds 1.5",
            "hokusai_verifier_outage 1",
            "hokusai_verifier_reports_total{outcome=\"no_room\"} 2",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
        }
        let mut described = "";
        for line in page.lines() {
            let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
            let name = name.split([' ', '{']).next().unwrap();
            if line.starts_with("# HELP") {
                described = name;
            }
            assert_eq!(name, described, "{line}");
        }
    }
}
