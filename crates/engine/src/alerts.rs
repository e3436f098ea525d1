//! Alerts: keys that somebody should look at; and what became of a key's validations.

use hokusai_core::id::KeyId;
use hokusai_core::time::{DAY, Hour};
use hokusai_core::token::Role;
use hokusai_store::{Alert, AlertFilter, AlertKind, HourOfKey, StoreError};

use crate::engine::Engine;
use crate::refusal::{Actor, Declined};

/// The most alerts of each kind in one answer.
pub const MOST_ALERTS: usize = 1000;

/// From when on there is an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertThresholds {
    /// Days before a key expires.
    pub expiry_days: i64,
    /// Refusals of a key in a clock hour.
    pub refusals: i64,
    /// Times in a clock hour that a key reached its limit.
    pub limit_hits: i64,
}

impl Default for AlertThresholds {
    fn default() -> Self {
        Self { expiry_days: 14, refusals: 100, limit_hits: 100 }
    }
}

impl Engine {
    /// Keys that somebody should look at, among those that the actor may know of: of each kind at most one more
    /// than [`MOST_ALERTS`].
    ///
    /// # Errors
    /// [`Declined::Store`].
    pub async fn alerts(&self, actor: &Actor) -> Result<Vec<Alert>, Declined> {
        let own = (actor.role != Role::Operator).then(|| actor.user_id.clone());
        Ok(self.store.alerts(&self.alert_filter(own)).await?)
    }

    fn alert_filter(&self, user_id: Option<String>) -> AlertFilter {
        let AlertThresholds { expiry_days, refusals, limit_hits } = self.options.alerts;
        AlertFilter {
            user_id,
            expire_within: expiry_days.saturating_mul(DAY),
            refusals,
            limit_hits,
            // One more shows that there are more.
            limit: MOST_ALERTS as i64 + 1,
        }
    }

    /// Tells the metrics how many alerts there are.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn measure_alerts(&self) -> Result<(), StoreError> {
        let alerts = self.store.alerts(&self.alert_filter(None)).await?;
        for kind in AlertKind::ALL {
            let count = alerts.iter().filter(|alert| alert.kind == kind).count();
            metrics::gauge!("hokusai_alerts", "kind" => kind.name()).set(count as f64);
        }
        Ok(())
    }

    /// What became of a key's validations in the last so many hours, the latest first.
    ///
    /// # Errors
    /// [`Declined::NotFound`] also if the actor may not know of the key.
    pub async fn validations_of(
        &self,
        actor: &Actor,
        key: KeyId,
        hours: i64,
    ) -> Result<Vec<HourOfKey>, Declined> {
        self.show(actor, key).await?;
        let from = Hour(self.clock.now().hour().0 - hours + 1);
        Ok(self.store.validations_of(key, from, hours.saturating_add(1)).await?)
    }
}
