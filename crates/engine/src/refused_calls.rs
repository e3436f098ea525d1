//! Counting refused calls: in memory at once, in the store soon after.

use std::net::IpAddr;

use hokusai_core::refused_calls::RefusedSum;
use hokusai_store::{RefusedFilter, StoreError};

use crate::clock::lock;
use crate::engine::Engine;
use crate::refusal::{Actor, Declined};

/// Sums that are written in one transaction.
const SUMS_AT_ONCE: usize = 256;

impl Engine {
    /// Counts a call that was refused for want of a good admin token or of rights.
    pub fn count_refused_call(&self, address: IpAddr, code: &'static str) {
        lock(&self.refused_calls).count(self.clock.now(), address, code);
    }

    /// Writes down what was counted; all that was until now, also what somebody else is writing down just
    /// now.
    ///
    /// # Errors
    /// What the store says. What was not written is kept for the next time; if it was written after all,
    /// and only the answer came too late, it counts twice. A sum may do that; it must not miss an attack.
    pub async fn note_refused_calls(&self) -> Result<(), StoreError> {
        let _turn = self.noting.lock().await;
        let sums = lock(&self.refused_calls).take();
        for (at, some) in (0..).step_by(SUMS_AT_ONCE).zip(sums.chunks(SUMS_AT_ONCE)) {
            if let Err(error) = self.store.note_refused_calls(some).await {
                lock(&self.refused_calls).put_back(&sums[at..]);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Lists the sums of refused calls, newest minute first.
    ///
    /// # Errors
    /// [`Declined::Forbidden`] unless the actor is an operator.
    pub async fn list_refused_calls(
        &self,
        actor: &Actor,
        filter: RefusedFilter,
    ) -> Result<Vec<RefusedSum>, Declined> {
        actor.only_operators()?;
        Ok(self.store.list_refused_calls(&filter).await?)
    }
}
