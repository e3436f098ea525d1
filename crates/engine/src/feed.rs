//! Following the change feed: forgetting what is no longer true, and knowing whether one is up to date.

use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) use hokusai_core::feed::CONFIRMED_FOR;
use hokusai_core::feed::{Change, Step};
use hokusai_core::key::KeyDigest;
use hokusai_store::{FoundKey, StoreError};

use crate::clock::lock;
use crate::engine::Engine;
use crate::key_cache::EmptySlot;

/// A process that has not said for this long that it lives does not believe its memory.
const HEARTBEAT_KEPT: Duration = Duration::from_secs(10);

impl Engine {
    /// Reads the feed once and applies what is new.
    ///
    /// # Errors
    /// What the store says; the position is then as confirmed as before.
    pub async fn follow(&self) -> Result<(), StoreError> {
        // One reading at a time: of two at once the earlier answer could come last, as if the store had
        // fallen back.
        let _alone = self.following.lock().await;
        let sent = self.clock.elapsed();
        let (read_from, before) = {
            let feed = lock(&self.feed);
            (feed.read_from(), feed.position())
        };
        let page = self.store.read_feed(read_from).await?;
        let (changes, digests): (Vec<Change>, Vec<Option<KeyDigest>>) = page.changes.into_iter().unzip();
        {
            let mut feed = lock(&self.feed);
            let known = changes.clone();
            match feed.apply(page.head, changes, sent) {
                Step::Forget(new) => {
                    let skipped = known.len() - new.len();
                    self.forget(&new, &digests[skipped..]);
                }
                Step::ForgetAll => {
                    self.cache.forget_all();
                    self.store.forget_owners();
                    self.allotments.change_all();
                    self.verifiers.forget_all();
                }
            }
        }
        self.allotments.hint(&page.dry);
        self.hints.store(!page.dry.is_empty(), Ordering::Relaxed);
        if !page.dry.is_empty() || lock(&self.feed).position() != before {
            self.moved.send_replace(());
        }
        Ok(())
    }

    /// Follows the feed after a change of one's own, so that it holds here before it is answered. If that
    /// fails, the change holds here as it does on any node that is cut off: after five seconds.
    pub(crate) async fn follow_own_change(&self) {
        if let Err(error) = self.follow().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the change is written, but the feed can't be read"
            );
        }
    }

    /// Whether accounts ran dry lately.
    pub(crate) fn has_hints(&self) -> bool {
        self.hints.load(Ordering::Relaxed)
    }

    /// Whether what is remembered may be relied on. Where others wait for this process to know of a change,
    /// it has to have said lately that it lives: else they don't wait for it.
    pub(crate) fn is_up_to_date(&self) -> bool {
        let now = self.clock.elapsed();
        lock(&self.feed).is_confirmed(now)
            && (!self.store.is_shared()
                || lock(&self.heartbeat).is_some_and(|beat| now.since(beat.sent) < HEARTBEAT_KEPT))
    }

    /// Remembers a key that was read, unless it changed since. Says whether the row may be used at all.
    pub(crate) fn remember(&self, slot: Option<EmptySlot<'_>>, found: &FoundKey) -> bool {
        let feed = lock(&self.feed);
        let current = feed.vouches_for(found.facts.id, found.read_at);
        if let (true, Some(slot)) = (current, slot) {
            self.cache.fill(slot, &found.facts);
        }
        current
    }

    fn forget(&self, changes: &[Change], digests: &[Option<KeyDigest>]) {
        for (change, digest) in changes.iter().zip(digests) {
            if let Some(digest) = digest {
                self.cache.forget(digest);
            }
            if let Some((_, account)) = change.key {
                self.allotments.change(account);
            }
        }
    }
}
