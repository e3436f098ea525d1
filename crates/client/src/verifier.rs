//! A verifier: admits requests by their keys from memory, with exact limits and prompt revocation.
//!
//! It asks the service about a key once in five minutes, spends units of its limit that it was handed, and
//! follows the service's changes. What it may do is decided by [`hokusai_core::verifier`]; here it is given
//! a clock, a network and tasks.

mod builder;
mod journal;
mod metrics;
mod nodes;
mod origin;
mod per_thread;
mod predecessors;
mod reports;
mod sending;
mod shelf;
mod tasks;
mod words;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hokusai_core::allotment::Quota;
use hokusai_core::debt::DebtId;
use hokusai_core::id::HolderId;
use hokusai_core::key::PresentedKey;
use hokusai_core::policy::{Attempt, ClientAddress, Refusal};
use hokusai_core::secret::Secret;
use hokusai_core::time::Elapsed;
use hokusai_core::verifier::{self as state, KnownKey, News, Request, Step, Verdict};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use crate::clock::{self, ElapsedClock, Stopwatch};

pub use builder::{VerifierBuilder, VerifierError};
use journal::Journal;
pub use journal::JournalError;
use metrics::Counters;
pub use metrics::{ReportMetrics, VerifierMetrics};
use nodes::Nodes;
use origin::Origin;
use predecessors::Predecessors;
use reports::Reports;
pub use reports::Served;
pub(crate) use shelf::Written;

/// How long a request waits at the most. It is longer than the silence after which an outage is declared, so
/// that a request which came when the service had just gone is not refused for it.
const PATIENCE: Duration = Duration::from_millis(6500);
/// How long a request that was asked about in vain waits before it is asked about again.
const PAUSE: Duration = Duration::from_millis(100);

/// How a request was decided.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It may pass; it was counted.
    Admitted {
        /// Its key. When the key ends is not said: the service is asked again before.
        key: KnownKey,
        /// How its limit stands.
        quota: Quota,
    },
    /// Its key is refused; nothing was counted.
    Refused(Refusal),
    /// Nothing is left of its key's limit in this hour.
    Limited(Quota),
}

/// A request can't be decided: the service would have to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// It can't be reached.
    #[error("the authentication service can't be reached")]
    Unreachable,
    /// Too many unknown keys come from this address, or altogether.
    #[error("too many unknown keys are being looked up")]
    Busy,
    /// This is not the process that started the verifier: it was forked off since. It has none of the tasks
    /// that a verifier needs, and its units are the other's.
    #[error("this process was forked after the verifier was started: start a verifier in each process")]
    Forked,
}

/// A verifier at work. Clones share it. It stops when the last one is dropped; [`Verifier::stop`] gives back
/// what it holds first.
#[derive(Clone)]
pub struct Verifier(Arc<Running>);

struct Running {
    desk: Arc<Desk>,
    tasks: std::sync::Mutex<JoinSet<()>>,
    /// The task that follows changes, and so keeps the verifier in the register.
    following: AbortHandle,
}

/// What every request and task needs.
pub(crate) struct Desk {
    pub(crate) state: state::Verifier<oneshot::Sender<News>>,
    pub(crate) clock: ElapsedClock,
    /// Where all of its tasks run, whoever asks.
    pub(crate) runtime: Handle,
    pub(crate) nodes: Nodes,
    pub(crate) holder: HolderId,
    pub(crate) validation_ttl: Duration,
    pub(crate) journal: Option<Journal>,
    /// The same nodes, given more time.
    pub(crate) reporters: Nodes,
    pub(crate) reports: Option<Arc<Reports>>,
    pub(crate) predecessors: Option<Predecessors>,
    pub(crate) counters: Counters,
    pub(crate) origin: Origin,
    /// There is something to say about limits.
    pub(crate) to_say: Notify,
    /// The feed is to be asked for now.
    pub(crate) to_follow: Notify,
}

impl Verifier {
    /// Begins a verifier that asks the nodes at these URLs, with a service token (role `verifier`).
    pub fn builder(nodes: impl IntoIterator<Item = impl Into<String>>, token: Secret) -> VerifierBuilder {
        VerifierBuilder::new(nodes.into_iter().map(Into::into).collect(), token)
    }

    /// Decides whether a request with this key may pass, and counts it if it may. It can be asked in any runtime, or
    /// in none: where it waits, it does so by the timers of the one that it was started in, which has to live on.
    ///
    /// # Errors
    /// [`Unavailable`] if the service would have to be asked and can't be; never where it can.
    pub async fn admit(&self, key: &str, attempt: &Attempt<'_>) -> Result<Decision, Unavailable> {
        let mut has_waited = false;
        let outcome = self.decide(key, attempt, &mut has_waited).await;
        self.0.desk.counters.count(&outcome, has_waited);
        outcome
    }

    async fn decide(
        &self,
        key: &str,
        attempt: &Attempt<'_>,
        has_waited: &mut bool,
    ) -> Result<Decision, Unavailable> {
        let Some(presented) = PresentedKey::parse(key) else {
            return Ok(Decision::Refused(Refusal::InvalidKey));
        };
        let desk = &self.0.desk;
        let (digest, mut now) = (presented.digest(), desk.clock.read());
        let stranger = if let ClientAddress::Known(address) = attempt.client { Some(address) } else { None };
        if desk.origin.seems_left(now) {
            return Err(Unavailable::Forked);
        }
        // In an outage, every node is being tried all the time; no request need wait to see that fail again.
        let mut in_vain = desk.is_cut_off(now);
        // Not by the clock of what is remembered: that one jumps when the wall clock is set ahead.
        let mut waiting: Option<Stopwatch> = None;
        loop {
            let mut news = None;
            let request = Request { digest, attempt: *attempt, stranger, in_vain, now };
            let step = desk.state.admit(&request, || {
                let (waiter, told) = oneshot::channel();
                news = Some(told);
                waiter
            });
            if desk.state.rings() {
                desk.to_say.notify_one();
            }
            match step {
                Step::Done(verdict) => return desk.decided(verdict),
                Step::Unreachable => return Err(Unavailable::Unreachable),
                Step::Busy => return Err(Unavailable::Busy),
                Step::Wait(_) if desk.origin.is_left() => return Err(Unavailable::Forked),
                Step::Wait(look_up) => {
                    *has_waited = true;
                    if let Some(look_up) = look_up {
                        desk.counters.look_ups.fetch_add(1, Ordering::Relaxed);
                        let asking = tasks::look_up(desk.clone(), look_up, Secret::new(key.to_owned()));
                        desk.runtime.spawn(asking);
                    }
                }
            }
            let waited = waiting.get_or_insert_with(Stopwatch::start);
            let left = PATIENCE.saturating_sub(waited.read());
            let news = news.expect("whoever is to wait has a waiter");
            match desk.wait(|| tokio::time::timeout(left, news)).await {
                Err(_) => return Err(Unavailable::Unreachable),
                Ok(Ok(News::Refused(refusal))) => return Ok(Decision::Refused(refusal)),
                Ok(Ok(News::TryAgain)) => {}
                Ok(Ok(News::Gone)) => desk.state.forget(&digest),
                Ok(Ok(News::InVain) | Err(_)) => {
                    in_vain = true;
                    desk.wait(|| clock::pass(PAUSE)).await;
                }
            }
            if waited.read() >= PATIENCE {
                return Err(Unavailable::Unreachable);
            }
            now = desk.clock.read();
        }
    }

    /// Whether the service was ever heard.
    #[must_use]
    pub fn was_heard(&self) -> bool {
        self.0.desk.state.position().is_some()
    }

    /// Reports a request that was admitted and answered. It waits for neither disk nor network, and can't fail:
    /// the record is sent until the service has taken it, and what there is no room for is counted. With a
    /// journal it is written down within 100 milliseconds; what is reported later than that before a crash
    /// is lost. Without one, a crash loses all that was not sent. A process that was forked off reports nothing.
    pub fn report(&self, served: Served<'_>) {
        let desk = &self.0.desk;
        if let Some(reports) = &desk.reports {
            reports.take(&served, clock::now(), || desk.origin.is_left());
        }
    }

    /// What it did so far, and how it stands.
    #[must_use]
    pub fn metrics(&self) -> VerifierMetrics {
        let desk = &self.0.desk;
        let now = desk.clock.read();
        let (counts, open_debt) = (desk.counters.read(now), desk.state.open_debt());
        VerifierMetrics {
            look_ups_in_flight: desk.state.look_ups_under_way() as u64,
            cached_keys: desk.state.known_keys() as u64,
            refused_keys: desk.state.refused_keys() as u64,
            silent_for: desk.state.silent_for(now),
            outage: desk.is_cut_off(now),
            debt_settled: counts.debt.saturating_sub(open_debt),
            open_debt,
            reports: desk.reports.as_ref().map(|reports| reports.metrics()).unwrap_or_default(),
            ..counts
        }
    }

    /// Keys that are remembered now.
    #[must_use]
    pub fn known_keys(&self) -> usize {
        self.0.desk.state.known_keys()
    }

    /// Requests that were admitted while the service was away and that it does not know of yet.
    #[must_use]
    pub fn open_debt(&self) -> u64 {
        self.0.desk.state.open_debt()
    }

    /// Gives back all units, settles what is owed, leaves the service's register, and sends what was reported;
    /// for at most `patience`. Nothing may be asked of the verifier or its clones afterwards. In a process that
    /// was forked off it does nothing: all of this is the other's.
    pub async fn stop(self, patience: Duration) {
        if self.0.desk.origin.is_left() {
            return;
        }
        // Whatever could not be said in time is known to the service later: units at the end of the hour,
        // debts and reports when the next process on the same journal says so.
        let desk = &self.0.desk;
        let _ = tokio::time::timeout(patience, async {
            tokio::join!(tasks::leave(desk, &self.0.following), sending::drain(desk));
        })
        .await;
        let mut tasks = std::mem::take(&mut *clock::lock(&self.0.tasks));
        tasks.shutdown().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.desk.origin.is_left() {
            // The tasks did not come along, and files and reports are the other's.
            std::mem::forget(std::mem::take(&mut *clock::lock(&self.tasks)));
            return;
        }
        // What was reported last is in no file yet.
        if let Some(reports) = &self.desk.reports {
            reports.write_down();
        }
    }
}

impl Desk {
    /// Whether it is an outage, and every node was tried in vain since it is one. A question from before may
    /// have failed for another reason: this process was stopped until it was too late for the answer.
    fn is_cut_off(&self, now: Elapsed) -> bool {
        self.state.is_outage(now) && self.nodes.in_vain().is_some_and(|asked| self.state.is_outage(asked))
    }

    /// Waits by the timers of the verifier's own runtime. Few requests wait; the others are moved the less if this
    /// lies elsewhere.
    fn wait<W: Future>(&self, wait: impl FnOnce() -> W) -> Pin<Box<W>> {
        let _timers = self.runtime.enter();
        Box::pin(wait())
    }

    fn decided(&self, verdict: Verdict) -> Result<Decision, Unavailable> {
        match verdict {
            Verdict::Refused(refusal) => Ok(Decision::Refused(refusal)),
            Verdict::Limited(quota) => Ok(Decision::Limited(quota)),
            Verdict::Admitted(admission) => {
                if let Some(debt) = admission.debt {
                    self.write_down(debt)?;
                }
                Ok(Decision::Admitted { key: admission.key, quota: admission.quota })
            }
        }
    }

    /// A request that is owed passes once that is written down, and not before.
    fn write_down(&self, debt: DebtId) -> Result<(), Unavailable> {
        let written = self.journal.as_ref().is_some_and(|journal| journal.owe(debt).is_ok());
        if written {
            self.counters.owed.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.state.forgive(debt);
        Err(Unavailable::Unreachable)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("holder", &self.0.desk.holder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use hokusai_core::key::{Environment, PlainKey};
    use hokusai_core::policy::Demand;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_asks_needs_no_timers() {
        let verifier =
            Verifier::builder(["http://127.0.0.1:1"], Secret::new("a token".into())).start().unwrap();
        let asking = std::thread::spawn(move || {
            let key = PlainKey::generate(Environment::Test, &mut clock::rng());
            let (demand, client) = (Demand::Nothing, ClientAddress::Told("unknown"));
            let attempt = Attempt { service_id: None, demand, client };
            let without_timers = tokio::runtime::Builder::new_current_thread().build().unwrap();
            without_timers.block_on(verifier.admit(key.expose(), &attempt)).unwrap_err()
        });
        let outcome = tokio::task::spawn_blocking(|| asking.join()).await.unwrap();
        assert_eq!(outcome.unwrap(), Unavailable::Unreachable);
    }

    #[tokio::test]
    async fn a_process_that_was_forked_off_admits_reports_and_gives_back_nothing() {
        let verifier =
            Verifier::builder(["http://127.0.0.1:1"], Secret::new("a token".into())).start().unwrap();
        let key = PlainKey::generate(Environment::Test, &mut clock::rng());
        let served = Served {
            key: "018f0000-0000-7000-8000-000000000001".parse().unwrap(),
            service_id: "platform",
            endpoint: "/",
            status: 200,
            took: Duration::ZERO,
        };
        verifier.0.desk.origin.leave();
        verifier.report(served);
        assert_eq!(verifier.metrics().reports.buffered, 0);
        let attempt =
            Attempt { service_id: None, demand: Demand::Nothing, client: ClientAddress::Told("unknown") };
        assert_eq!(verifier.admit(key.expose(), &attempt).await.unwrap_err(), Unavailable::Forked);
        assert_eq!(verifier.metrics().look_ups, 0);
        // It would wait for a service that nobody can reach.
        let stopping = verifier.stop(Duration::from_secs(3600));
        tokio::time::timeout(Duration::from_secs(20), stopping).await.expect("it waits for nothing");
    }
}
