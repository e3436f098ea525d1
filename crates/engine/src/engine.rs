//! The engine: what the use-cases share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use hokusai_core::billing::Plans;
use hokusai_core::feed::Follower;
use hokusai_core::id::HolderId;
use hokusai_core::key::KeyDigest;
use hokusai_core::lookup_cap::LookupCap;
use hokusai_core::refused_calls::RefusedCalls;
use hokusai_core::time::Elapsed;
use hokusai_core::usage::DEFAULT_RETENTION_DAYS;
use hokusai_store::Store;
use quick_cache::sync::Cache;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use tokio::sync::{Semaphore, watch};

use crate::alerts::AlertThresholds;
use crate::allotments::Allotments;
use crate::clock::Clock;
use crate::key_cache::KeyCache;
use crate::lookups::Lookups;
use crate::reports::Reports;
use crate::validations::Validations;
use crate::verifiers::Verifiers;

/// Tokens that are remembered as good.
const GOOD_TOKENS: usize = 1024;

/// What can be set.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The most requests an hour that a member may give to a key.
    pub member_max_rate_limit: u32,
    /// Look-ups of uncached keys and refused tokens a second for each client address.
    pub lookups_per_second: u32,
    /// The most keys that are remembered.
    pub cached_keys: usize,
    /// The plans that keys are billed by; the first is that of keys that name none.
    pub plans: Plans,
    /// How long records of usage and counts of validations are kept, in days.
    pub usage_retention_days: i64,
    /// From when on there are alerts.
    pub alerts: AlertThresholds,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            member_max_rate_limit: hokusai_core::policy::DEFAULT_RATE_LIMIT,
            lookups_per_second: 50,
            cached_keys: 1_000_000,
            plans: Plans::default(),
            usage_retention_days: DEFAULT_RETENTION_DAYS,
            alerts: AlertThresholds::default(),
        }
    }
}

/// The service without its wires.
#[derive(Debug)]
pub struct Engine {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Clock,
    pub(crate) options: EngineOptions,
    /// This process, among all that admit requests.
    pub(crate) holder: HolderId,
    pub(crate) feed: Mutex<Follower>,
    /// Held while the feed is read.
    pub(crate) following: tokio::sync::Mutex<()>,
    pub(crate) cache: KeyCache,
    pub(crate) allotments: Allotments,
    pub(crate) lookup_cap: Mutex<LookupCap>,
    pub(crate) lookups: Lookups,
    pub(crate) reports: Reports,
    pub(crate) validations: Validations,
    pub(crate) verifiers: Verifiers,
    /// Told whenever the feed has moved, or an account ran dry.
    pub(crate) moved: watch::Sender<()>,
    /// Whether accounts ran dry when the feed was last read.
    pub(crate) hints: AtomicBool,
    /// The latest sign of life that the store knows of.
    pub(crate) heartbeat: Mutex<Option<Heartbeat>>,
    /// Connections that strangers may keep busy.
    pub(crate) turns: Semaphore,
    /// Digests of tokens that were good lately: looked up each time, but not counted as strangers.
    pub(crate) good_tokens: Cache<KeyDigest, ()>,
    /// Refused calls that are not written down yet.
    pub(crate) refused_calls: Mutex<RefusedCalls>,
    /// Held while they are being written down.
    pub(crate) noting: tokio::sync::Mutex<()>,
}

/// What a process says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heartbeat {
    pub(crate) sent: Elapsed,
    /// Up to where it had applied the feed.
    pub(crate) revision: i64,
}

impl Engine {
    /// An engine on an open store. It serves once its [`crate::Jobs`] run.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Clock, options: EngineOptions) -> Self {
        let holder = HolderId::new(clock.now(), &mut rng());
        // Strangers may keep a quarter of the connections busy, so that there is always one for others.
        let turns = usize::try_from(store.read_connections() / 4).unwrap_or(1).max(1);
        Self {
            holder,
            feed: Mutex::new(Follower::new()),
            following: tokio::sync::Mutex::new(()),
            good_tokens: Cache::new(GOOD_TOKENS),
            cache: KeyCache::new(options.cached_keys),
            allotments: Allotments::new(clock.now()),
            lookup_cap: Mutex::new(LookupCap::new(options.lookups_per_second)),
            lookups: Lookups::default(),
            reports: Reports::default(),
            validations: Validations::new(clock.now()),
            verifiers: Verifiers::default(),
            moved: watch::Sender::new(()),
            hints: AtomicBool::new(false),
            heartbeat: Mutex::new(None),
            refused_calls: Mutex::new(RefusedCalls::new()),
            noting: tokio::sync::Mutex::new(()),
            turns: Semaphore::new(turns),
            store,
            clock,
            options,
        }
    }

    /// The clock that the engine goes by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// What the store says.
    pub async fn check_store(&self) -> Result<(), hokusai_store::StoreError> {
        self.store.ping().await
    }

    /// Accounts that were used lately, and whose units are in memory.
    #[must_use]
    pub fn accounts_in_use(&self) -> usize {
        self.allotments.len()
    }

    /// Keys that are remembered now.
    #[must_use]
    pub fn cached_keys(&self) -> usize {
        self.cache.len()
    }
}

/// The operating system's generator. It fails only where the system can't serve anyone.
pub(crate) fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}
