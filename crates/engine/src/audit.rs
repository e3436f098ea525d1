//! The audit log, read.

use hokusai_core::audit::{SealedEntry, hex};
use hokusai_store::{AuditFilter, StoreError};

use crate::engine::Engine;
use crate::refusal::{Actor, Declined};

impl Engine {
    /// Lists entries of the audit log, newest first.
    ///
    /// # Errors
    /// [`Declined::Forbidden`] unless the actor is an operator.
    pub async fn list_audit(&self, actor: &Actor, filter: AuditFilter) -> Result<Vec<SealedEntry>, Declined> {
        actor.only_operators()?;
        Ok(self.store.list_audit(&filter).await?)
    }

    /// Writes into the service's own log how far the audit log goes: whoever keeps that elsewhere can tell
    /// later that nothing before it was cut off.
    pub(crate) async fn log_checkpoint(&self) -> Result<(), StoreError> {
        match self.store.audit_head().await? {
            Some(head) => {
                tracing::info!(number = head.number, seal = hex(&head.seal), "audit checkpoint");
            }
            None => tracing::error!("the database's record of the audit log's end can't be read"),
        }
        Ok(())
    }
}
