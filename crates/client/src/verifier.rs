//! A verifier: admits requests by their keys from memory, with exact limits and prompt revocation.
//!
//! It asks the service about a key once in five minutes, spends units of its limit that it was handed, and
//! follows the service's changes. What it may do is decided by [`hokusai_core::verifier`]; here it is given
//! a clock, a network and tasks.

mod journal;
mod nodes;
mod reports;
mod sending;
mod shelf;
mod tasks;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hokusai_core::allotment::Quota;
use hokusai_core::debt::DebtId;
use hokusai_core::id::HolderId;
use hokusai_core::key::PresentedKey;
use hokusai_core::policy::{Attempt, ClientAddress, KeyFacts, Refusal};
use hokusai_core::secret::Secret;
use hokusai_core::time::Elapsed;
use hokusai_core::verifier::{
    self as state, LONGEST_VALIDITY, News, OutagePolicy, Request, Step, Verdict, VerifierOptions,
};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::builder::BuildError;
use crate::client::Client;
use crate::clock::{self, ElapsedClock};
use crate::service_url::UrlError;

use journal::Journal;
pub use journal::JournalError;
use nodes::Nodes;
use reports::Reports;
pub use reports::Served;

/// How long a request waits at the most. It is longer than the silence after which an outage is declared, so
/// that a request which came when the service had just gone is not refused for it.
const PATIENCE: Duration = Duration::from_millis(6500);
/// How long a request that was asked about in vain waits before it is asked about again.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a node is given to take a batch of reports, at the least.
const BATCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The most that reports may take up in the journal's directory, in bytes.
const REPORT_BYTES: u64 = 256 * 1024 * 1024;

/// The settings of a verifier to be.
#[derive(Clone, Debug)]
#[must_use]
pub struct VerifierBuilder {
    nodes: Vec<String>,
    token: Secret,
    cached_keys: usize,
    validation_ttl: Duration,
    lookups_per_second: u32,
    journal: Option<PathBuf>,
    outage: OutagePolicy,
    /// Bytes for reports that wait; `None`: nothing is reported.
    reports: Option<u64>,
    timeout: Duration,
    allow_plain_http: bool,
}

/// Why there is no verifier.
#[derive(Debug, thiserror::Error)]
pub enum VerifierError {
    /// A node's URL can't be used.
    #[error("the service can't be at this URL")]
    Url(#[from] UrlError),
    /// There is no client of a node.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// No node was named.
    #[error("a verifier needs the URL of the service")]
    NoNode,
    /// Debts can't be written down.
    #[error("the journal can't be used")]
    Journal(#[from] JournalError),
}

/// How a request was decided.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It may pass; it was counted.
    Admitted {
        /// Its key. When the key ends is not said: the service is asked again before.
        key: KeyFacts,
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
}

/// A verifier at work. Clones share it. It stops when the last one is dropped; [`Verifier::stop`] gives back
/// what it holds first.
#[derive(Clone)]
pub struct Verifier(Arc<Running>);

struct Running {
    desk: Arc<Desk>,
    tasks: std::sync::Mutex<JoinSet<()>>,
}

/// What every request and task needs.
pub(crate) struct Desk {
    pub(crate) state: state::Verifier<oneshot::Sender<News>>,
    pub(crate) clock: ElapsedClock,
    pub(crate) nodes: Nodes,
    pub(crate) holder: HolderId,
    pub(crate) validation_ttl: Duration,
    pub(crate) journal: Option<Journal>,
    /// The same nodes, given more time.
    pub(crate) reporters: Nodes,
    pub(crate) reports: Option<Arc<Reports>>,
    /// There is something to say about limits.
    pub(crate) to_say: Notify,
    /// The feed is to be asked for now.
    pub(crate) to_follow: Notify,
}

impl VerifierBuilder {
    /// The longest that a key is remembered: 1 to 300 seconds; 300 unless set. Shorter is asked more often,
    /// and a verifier that is cut off gives a revoked key up sooner.
    pub fn validation_ttl(self, validation_ttl: Duration) -> Self {
        let validation_ttl = validation_ttl.clamp(Duration::from_secs(1), LONGEST_VALIDITY);
        Self { validation_ttl, ..self }
    }

    /// The most keys that are remembered: 1,000,000 unless set.
    pub fn cached_keys(self, cached_keys: usize) -> Self {
        Self { cached_keys: cached_keys.max(1), ..self }
    }

    /// Look-ups of unknown keys a second for each client address: 50 unless set.
    pub fn lookups_per_second(self, lookups_per_second: u32) -> Self {
        Self { lookups_per_second, ..self }
    }

    /// A directory of this process's own, where it writes down what it admits while the service is away. With
    /// it, keys in memory go on working through an outage past the units at hand (never past their limit
    /// here), and the service is told afterwards. Without it such requests are answered as over the limit.
    pub fn journal(self, directory: impl Into<PathBuf>) -> Self {
        Self { journal: Some(directory.into()), outage: OutagePolicy::Allow, ..self }
    }

    /// The most that reports of usage may take up while they wait for the service, in bytes: 256 MiB in the
    /// journal's directory unless set, which is about a million; 16 MiB of memory at the most without one.
    /// When it is full, further reports are dropped and counted; those that wait stay.
    pub fn report_bytes(self, bytes: u64) -> Self {
        Self { reports: self.reports.map(|_| bytes), ..self }
    }

    /// Reports no usage: somebody else does.
    pub fn without_reports(self) -> Self {
        Self { reports: None, ..self }
    }

    /// How long a node is given to answer: 2 seconds unless set.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// As [`crate::Builder::allow_plain_http`].
    pub fn allow_plain_http(self) -> Self {
        Self { allow_plain_http: true, ..self }
    }

    /// Starts the verifier, within a tokio runtime. The service need not be there yet.
    ///
    /// # Errors
    /// See [`VerifierError`].
    pub fn start(self) -> Result<Verifier, VerifierError> {
        let clock = ElapsedClock::new();
        let (now, mut rng) = (clock::now(), clock::rng());
        let options = VerifierOptions {
            cached_keys: self.cached_keys,
            validation_ttl: self.validation_ttl,
            outage: self.outage,
            lookups_per_second: self.lookups_per_second,
            seed: rand::random(),
        };
        let debtor = HolderId::new(now, &mut rng);
        // Messages are numbered from the present time on: higher than any of this id's, which is new.
        let state = state::Verifier::new(options, debtor, now.0.max(1), clock.read());
        let journal = self.journal.as_deref().map(Journal::open).transpose()?;
        if let Some(journal) = &journal {
            state.inherit(journal.inherited());
        }
        let maker = HolderId::new(now, &mut rng);
        let reports = self.reports.map(|most| Reports::open(maker, self.journal.as_deref(), most));
        let desk = Arc::new(Desk {
            state,
            clock,
            nodes: self.nodes(self.timeout)?,
            reporters: self.nodes(self.timeout.max(BATCH_TIMEOUT))?,
            reports: reports.transpose()?.map(Arc::new),
            holder: HolderId::new(now, &mut rng),
            validation_ttl: self.validation_ttl,
            journal,
            to_say: Notify::new(),
            to_follow: Notify::new(),
        });
        let tasks = std::sync::Mutex::new(tasks::start(&desk));
        Ok(Verifier(Arc::new(Running { desk, tasks })))
    }

    fn nodes(&self, timeout: Duration) -> Result<Nodes, VerifierError> {
        let node = |url: &String| {
            let builder = Client::builder(url)?.token(self.token.clone()).timeout(timeout).retries(0);
            let builder = if self.allow_plain_http { builder.allow_plain_http() } else { builder };
            Ok(builder.build()?)
        };
        let nodes = self.nodes.iter().map(node).collect::<Result<Vec<_>, VerifierError>>()?;
        if nodes.is_empty() { Err(VerifierError::NoNode) } else { Ok(Nodes::new(nodes)) }
    }
}

impl Verifier {
    /// Begins a verifier that asks the nodes at these URLs, with a service token (role `verifier`).
    pub fn builder(nodes: impl IntoIterator<Item = impl Into<String>>, token: Secret) -> VerifierBuilder {
        VerifierBuilder {
            nodes: nodes.into_iter().map(Into::into).collect(),
            token,
            cached_keys: 1_000_000,
            validation_ttl: LONGEST_VALIDITY,
            lookups_per_second: 50,
            journal: None,
            outage: OutagePolicy::Deny,
            reports: Some(REPORT_BYTES),
            timeout: Duration::from_secs(2),
            allow_plain_http: false,
        }
    }

    /// Decides whether a request with this key may pass, and counts it if it may.
    ///
    /// # Errors
    /// [`Unavailable`] if the service would have to be asked and can't be; never where it can.
    pub async fn admit(&self, key: &str, attempt: &Attempt<'_>) -> Result<Decision, Unavailable> {
        let Some(presented) = PresentedKey::parse(key) else {
            return Ok(Decision::Refused(Refusal::InvalidKey));
        };
        let desk = &self.0.desk;
        let (digest, begun) = (presented.digest(), desk.clock.read());
        let stranger = if let ClientAddress::Known(address) = attempt.client { Some(address) } else { None };
        // In an outage, every node is being tried all the time; no request need wait to see that fail again.
        let (mut now, mut in_vain) = (begun, desk.is_cut_off(begun));
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
                Step::Wait(look_up) => {
                    if let Some(look_up) = look_up {
                        tokio::spawn(tasks::look_up(desk.clone(), look_up, Secret::new(key.to_owned())));
                    }
                }
            }
            let left = PATIENCE.saturating_sub(now.since(begun));
            let news = news.expect("whoever is to wait has a waiter");
            match tokio::time::timeout(left, news).await {
                Err(_) => return Err(Unavailable::Unreachable),
                Ok(Ok(News::Refused(refusal))) => return Ok(Decision::Refused(refusal)),
                Ok(Ok(News::TryAgain)) => {}
                Ok(Ok(News::Gone)) => desk.state.forget(&digest),
                Ok(Ok(News::InVain) | Err(_)) => {
                    in_vain = true;
                    clock::pass(PAUSE).await;
                }
            }
            now = desk.clock.read();
            if now.since(begun) >= PATIENCE {
                return Err(Unavailable::Unreachable);
            }
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
    /// is lost. Without one, a crash loses all that was not sent.
    pub fn report(&self, served: Served<'_>) {
        if let Some(reports) = &self.0.desk.reports {
            reports.take(&served, clock::now());
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
    /// for at most `patience`.
    /// Nothing may be asked of the verifier or its clones afterwards.
    pub async fn stop(self, patience: Duration) {
        // Whatever could not be said in time is known to the service later: units at the end of the hour,
        // debts and reports when the next process on the same journal says so.
        let desk = &self.0.desk;
        let _ = tokio::time::timeout(patience, async {
            tokio::join!(tasks::leave(desk), sending::drain(desk));
        })
        .await;
        let mut tasks = std::mem::take(&mut *clock::lock(&self.0.tasks));
        tasks.shutdown().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What was reported last is in no file yet.
        if let Some(reports) = &self.desk.reports {
            reports.write_down();
        }
    }
}

impl Desk {
    /// Whether it is an outage, and every node was tried in vain since the service was last heard.
    fn is_cut_off(&self, now: Elapsed) -> bool {
        self.nodes.was_in_vain() && self.state.is_outage(now)
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
