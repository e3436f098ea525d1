//! What runs beside the requests: following the feed, asking for units, settling, tidying.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hokusai_core::id::KeyId;
use hokusai_core::time::{DAY, Hour, SECOND, Timestamp};
use hokusai_store::StoreError;
use tokio::task::JoinSet;

use crate::engine::Engine;

/// How often the feed is looked at when no bell rings.
const POLL: Duration = Duration::from_millis(250);
/// How often idle units are looked for and uses noted.
const SWEEP: Duration = Duration::from_secs(1);
/// How often this process says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often old rows are dropped.
const TIDY: Duration = Duration::from_secs(60);
/// Uses that are noted in one transaction, so that no validation waits long behind it.
const USES_AT_ONCE: usize = 64;
/// Old rows that are dropped at once.
const ROWS_AT_ONCE: i64 = 500;
/// Hours whose counts are kept.
const KEPT_HOURS: i64 = 48;

/// The running background work of one engine.
#[derive(Debug)]
pub struct Jobs {
    engine: Arc<Engine>,
    tasks: JoinSet<()>,
}

impl Jobs {
    /// Reads the feed for the first time, registers this process, and starts the background work.
    ///
    /// # Errors
    /// What the store says.
    pub async fn start(engine: Arc<Engine>) -> Result<Self, StoreError> {
        engine.follow().await?;
        engine.heartbeat().await?;
        let mut tasks = JoinSet::new();
        let speaker = engine.clone();
        tasks.spawn(async move { speaker.speak().await });
        for _ in 0..engine.readers() {
            let reader = engine.clone();
            tasks.spawn(async move { reader.keep_looking_up().await });
        }
        let follower = engine.clone();
        tasks.spawn(async move { follower.keep_following().await });
        every(&mut tasks, &engine, SWEEP, "noting uses", |engine| async move { engine.sweep().await });
        every(&mut tasks, &engine, HEARTBEAT, "saying that this node lives", |engine| async move {
            engine.heartbeat().await
        });
        every(&mut tasks, &engine, SWEEP, "moving the log", |engine| async move {
            engine.store.checkpoint().await
        });
        every(&mut tasks, &engine, TIDY, "dropping old rows", |engine| async move { engine.tidy().await });
        Ok(Self { engine, tasks })
    }

    /// Gives back all units and leaves the register, for at most `patience`; then stops the work.
    pub async fn stop(mut self, patience: Duration) {
        let engine = self.engine.clone();
        let leave = async {
            while engine.allotments.give_all_back() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            engine.sweep().await?;
            engine.store.forget_holder(engine.holder).await
        };
        match tokio::time::timeout(patience, leave).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "some units could not be given back"
                );
            }
            Err(_) => tracing::warn!("some units were not given back in time"),
        }
        self.tasks.shutdown().await;
        engine.store.close().await;
    }
}

fn every<F: Future<Output = Result<(), StoreError>> + Send + 'static>(
    tasks: &mut JoinSet<()>,
    engine: &Arc<Engine>,
    pause: Duration,
    what: &'static str,
    job: impl Fn(Arc<Engine>) -> F + Send + 'static,
) {
    let engine = engine.clone();
    tasks.spawn(async move {
        loop {
            tokio::time::sleep(pause).await;
            if let Err(error) = job(engine.clone()).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "{what} failed; it is tried again");
            }
        }
    });
}

impl Engine {
    async fn keep_following(&self) {
        let mut bell = self.store.bell();
        loop {
            let rung = bell.rung();
            tokio::pin!(rung);
            // The bell goes on being waited for while the feed is looked at without it.
            while tokio::time::timeout(POLL, &mut rung).await.is_err() {
                self.look_at_feed().await;
            }
            self.look_at_feed().await;
        }
    }

    async fn look_at_feed(&self) {
        if let Err(error) = self.follow().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the feed can't be read");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Gives idle units back and notes when keys were used.
    ///
    /// # Errors
    /// What the store says; the uses of this second are then not noted.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let mut uses: Vec<(KeyId, Timestamp)> = self.allotments.sweep(self.clock.elapsed());
        uses.sort_unstable();
        for some in uses.chunks(USES_AT_ONCE) {
            self.store.note_use(some).await?;
        }
        Ok(())
    }

    async fn heartbeat(&self) -> Result<(), StoreError> {
        let revision = crate::clock::lock(&self.feed).revision();
        self.store.register_holder(self.holder, "node", revision).await
    }

    /// Drops what is no longer needed, in small steps, so that nobody waits long behind one. By the store's
    /// time: a process whose clock runs ahead must not drop what still counts.
    async fn tidy(&self) -> Result<(), StoreError> {
        let now = self.store.now().await?;
        self.store.prune_holders(now.plus(-600 * SECOND).0).await?;
        self.store.prune_dry_accounts(now.plus(-60 * SECOND).0).await?;
        loop {
            let counts = self.store.prune_allotments(Hour(now.hour().0 - KEPT_HOURS), ROWS_AT_ONCE).await?;
            let changes = self.store.prune_feed(now.plus(-DAY).0, ROWS_AT_ONCE).await?;
            if counts + changes == 0 {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
