//! Following the change feed: forgetting what is no longer true, and knowing whether one is up to date.

use hokusai_core::feed::{Change, Step};
use hokusai_core::key::KeyDigest;
use hokusai_store::{FoundKey, StoreError};

use crate::clock::lock;
use crate::engine::Engine;
use crate::key_cache::EmptySlot;

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
        let read_from = lock(&self.feed).read_from();
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
                }
            }
        }
        self.allotments.hint(&page.dry);
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

    /// Whether what is remembered may be relied on.
    pub(crate) fn is_up_to_date(&self) -> bool {
        lock(&self.feed).is_confirmed(self.clock.elapsed())
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
