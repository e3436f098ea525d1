//! What can go wrong with a store that is open.

use std::sync::Arc;

/// A failed operation. In every case nothing was half done; after [`StoreError::TimedOut`] the whole may
/// still have happened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database is not available")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// The database did not answer in time.
    #[error("the database did not answer in time")]
    TimedOut,
    /// The store was opened for reading only.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// A row does not read as what was written there.
    #[error("the database holds an unreadable {what}")]
    Damaged {
        /// What could not be read.
        what: &'static str,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}
