//! What runs beside the requests: following the feed, asking for units, settling, tidying.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hokusai_core::time::{DAY, HOUR, Hour, SECOND};
use hokusai_core::usage::RETENTION_MARGIN;
use hokusai_store::StoreError;
use tokio::task::JoinSet;

use crate::clock::lock;
use crate::engine::{Engine, Heartbeat};
use crate::validations::Outbox;

/// How often the feed is looked at when no bell rings.
const POLL: Duration = Duration::from_millis(250);
/// How often idle units are looked for and the log is moved.
const SWEEP: Duration = Duration::from_secs(1);
/// How often counts of validations are handed in: what a process that dies may not have told, and what it
/// takes to tell it, is less than a second's as long as the database takes its time for nothing else.
const COUNTS: Duration = Duration::from_millis(500);
/// How often this process says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often old rows are dropped, and alerts are looked for.
const TIDY: Duration = Duration::from_secs(60);
/// How often the service's own log says how far the audit log goes.
const CHECKPOINT: Duration = Duration::from_secs(3600);
/// How soon at the latest a job that failed is tried again.
const RETRY: Duration = Duration::from_secs(30);
/// Counts that are handed in with one transaction: few enough that no validation waits long behind it, and so
/// many that they don't wait often themselves behind large batches of usage.
const COUNTS_AT_ONCE: usize = 1000;
/// Old rows that are dropped at once.
const ROWS_AT_ONCE: i64 = 500;
/// Old records of usage that are dropped, and counts of validations that are looked at, at once.
const RECORDS_AT_ONCE: i64 = 2000;
/// How many slices of the counts are looked at each time.
const SLICES: usize = 25;
/// Hours whose counts are kept.
const KEPT_HOURS: i64 = 48;
/// How long the number of what a process has handed in last is kept: for as long it may be cut off, and hand
/// in the same once more.
const KEPT_COUNTERS: i64 = DAY;
/// How long the sums of refused calls are kept.
const KEPT_REFUSED: i64 = 35 * DAY;

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
        engine.log_checkpoint().await?;
        let mut tasks = JoinSet::new();
        let speaker = engine.clone();
        tasks.spawn(async move { speaker.speak().await });
        for _ in 0..engine.readers() {
            let reader = engine.clone();
            tasks.spawn(async move { reader.keep_looking_up().await });
        }
        let follower = engine.clone();
        tasks.spawn(async move { follower.keep_following().await });
        let relay = engine.clone();
        tasks.spawn(async move { relay.keep_asking_for_first_units().await });
        for _ in 0..engine.recorders() {
            let recorder = engine.clone();
            tasks.spawn(async move { recorder.keep_recording().await });
        }
        every(&mut tasks, &engine, COUNTS, "handing counts in", |engine| async move {
            engine.hand_counts_in().await
        });
        every(&mut tasks, &engine, SWEEP, "looking for idle units", |engine| async move {
            engine.sweep();
            Ok(())
        });
        every(&mut tasks, &engine, HEARTBEAT, "saying that this node lives", |engine| async move {
            engine.heartbeat().await
        });
        every(&mut tasks, &engine, SWEEP, "moving the log", |engine| async move {
            engine.store.checkpoint().await
        });
        engine.measure_alerts().await?;
        every(&mut tasks, &engine, TIDY, "looking for alerts", |engine| async move {
            engine.measure_alerts().await
        });
        every(&mut tasks, &engine, SWEEP, "noting refused calls", |engine| async move {
            engine.note_refused_calls().await
        });
        every(&mut tasks, &engine, CHECKPOINT, "logging a checkpoint", |engine| async move {
            engine.log_checkpoint().await
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
            engine.hand_counts_in().await?;
            // A sum that can't be written now is lost: it promises nothing.
            let _ = engine.note_refused_calls().await;
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
        let mut outcome = Ok(());
        loop {
            tokio::time::sleep(rest(pause, &outcome)).await;
            outcome = job(engine.clone()).await;
            if let Err(error) = &outcome {
                tracing::warn!(error = error as &dyn std::error::Error, "{what} failed; it is tried again");
            }
        }
    });
}

/// How long a job rests after this outcome.
fn rest(pause: Duration, outcome: &Result<(), StoreError>) -> Duration {
    if outcome.is_ok() { pause } else { pause.min(RETRY) }
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
        let mut outcome = self.follow().await;
        // Whoever made a change waits to hear that it is known here, whoever it was that read of it.
        if outcome.is_ok() && self.store.is_shared() && !self.is_said() {
            outcome = self.heartbeat().await;
        }
        if let Err(error) = outcome {
            tracing::warn!(error = &error as &dyn std::error::Error, "the feed can't be read");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Gives idle units back.
    pub fn sweep(&self) {
        self.allotments.sweep(self.clock.elapsed());
    }

    /// Tells the store what became of validations.
    ///
    /// # Errors
    /// What the store says; what was not told then is told the next time.
    pub async fn hand_counts_in(&self) -> Result<(), StoreError> {
        let mut outbox = self.validations.outbox().await;
        let outbox = &mut *outbox;
        self.empty(outbox).await?;
        // What an earlier turn left was counted before all of these.
        outbox.counts = self.validations.take();
        self.empty(outbox).await
    }

    async fn empty(&self, outbox: &mut Outbox) -> Result<(), StoreError> {
        while let Some(next) = outbox.counts.get(outbox.done..).filter(|next| !next.is_empty()) {
            let some = &next[..next.len().min(COUNTS_AT_ONCE)];
            self.store.add_validations(self.holder, outbox.seq, some).await?;
            outbox.done += some.len();
            outbox.seq += 1;
        }
        (outbox.counts, outbox.done) = (Vec::new(), 0);
        Ok(())
    }

    async fn heartbeat(&self) -> Result<(), StoreError> {
        let sent = self.clock.elapsed();
        let revision = lock(&self.feed).revision();
        self.store.register_holder(self.holder, "node", revision).await?;
        *lock(&self.heartbeat) = Some(Heartbeat { sent, revision });
        Ok(())
    }

    /// Whether the store knows up to where this process has applied the feed.
    fn is_said(&self) -> bool {
        let revision = lock(&self.feed).revision();
        lock(&self.heartbeat).is_some_and(|beat| beat.revision == revision)
    }

    /// Drops what is no longer needed, in small steps, so that nobody waits long behind one. By the store's
    /// time: a process whose clock runs ahead must not drop what still counts.
    ///
    /// # Errors
    /// What the store says; the rest is dropped the next time.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let now = self.store.now().await?;
        self.tidy_register().await?;
        // For as long as anybody could speak of the units that they had.
        self.store.prune_holders(now.plus(-(KEPT_HOURS + 1) * HOUR)).await?;
        self.store.prune_dry_accounts(now.plus(-60 * SECOND).0).await?;
        self.store.prune_validation_counters(now.plus(-KEPT_COUNTERS)).await?;
        let kept = self.options.usage_retention_days.saturating_mul(DAY);
        for _ in 0..SLICES {
            self.prune_validations(now.plus(-kept).hour()).await?;
        }
        loop {
            let counts = self.store.prune_allotments(Hour(now.hour().0 - KEPT_HOURS), ROWS_AT_ONCE).await?;
            let changes = self.store.prune_feed(now.plus(-DAY).0, ROWS_AT_ONCE).await?;
            let refused = self.store.prune_refused_calls(now.plus(-KEPT_REFUSED), ROWS_AT_ONCE).await?;
            let before = now.plus(-kept).plus(-RETENTION_MARGIN);
            let records = self.store.drop_usage_records(before, RECORDS_AT_ONCE).await?;
            if counts + changes + refused == 0 && records == 0 {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Looks at the next slice of the counts; after the last, at the first.
    async fn prune_validations(&self, hour: Hour) -> Result<(), StoreError> {
        let place = lock(&self.validations.pruned).clone();
        let next = self.store.prune_validations(&place, hour, RECORDS_AT_ONCE).await?;
        *lock(&self.validations.pruned) = next.unwrap_or_default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_tried_again_within_a_minute() {
        let failed = Err(StoreError::TimedOut);
        assert_eq!((rest(CHECKPOINT, &Ok(())), rest(SWEEP, &Ok(()))), (CHECKPOINT, SWEEP));
        assert!(rest(CHECKPOINT, &failed) < Duration::from_secs(60));
        assert_eq!(rest(SWEEP, &failed), SWEEP);
    }
}
