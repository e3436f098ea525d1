//! Putting a verifier together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hokusai_core::id::HolderId;
use hokusai_core::secret::Secret;
use hokusai_core::verifier::{self as state, LONGEST_VALIDITY, OutagePolicy, VerifierOptions};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::journal::{Journal, JournalError};
use super::metrics::Counters;
use super::nodes::Nodes;
use super::origin::Origin;
use super::predecessors::Predecessors;
use super::reports::Reports;
use super::{Desk, Running, Verifier, tasks};
use crate::builder::BuildError;
use crate::client::Client;
use crate::clock::{self, ElapsedClock};
use crate::service_url::UrlError;

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

impl VerifierBuilder {
    pub(super) fn new(nodes: Vec<String>, token: Secret) -> Self {
        Self {
            nodes,
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

    /// Look-ups of unknown keys a second for each client address: 50 unless set. All addresses together may
    /// cause ten times as many of texts that turn out to be no good keys.
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

    /// Whether a verifier can be started on these nodes with this token, without starting one.
    ///
    /// # Errors
    /// See [`VerifierError`].
    pub fn check(&self) -> Result<(), VerifierError> {
        self.nodes(self.timeout).map(drop)
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
        let holder = HolderId::new(now, &mut rng);
        let predecessors = self.journal.as_deref().map(|directory| Predecessors::open(directory, holder));
        let maker = HolderId::new(now, &mut rng);
        let reports = self.reports.map(|most| Reports::open(maker, self.journal.as_deref(), most));
        let counters = Counters::new(state.open_debt(), clock.read());
        let origin = Origin::here(clock.read());
        let desk = Arc::new(Desk {
            state,
            clock,
            runtime: Handle::current(),
            nodes: self.nodes(self.timeout)?,
            reporters: self.nodes(self.timeout.max(BATCH_TIMEOUT))?,
            reports: reports.transpose()?.map(Arc::new),
            predecessors: predecessors.transpose()?,
            counters,
            origin,
            holder,
            validation_ttl: self.validation_ttl,
            journal,
            to_say: Notify::new(),
            to_follow: Notify::new(),
        });
        let (tasks, following) = tasks::start(&desk);
        Ok(Verifier(Arc::new(Running { desk, tasks: std::sync::Mutex::new(tasks), following })))
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
