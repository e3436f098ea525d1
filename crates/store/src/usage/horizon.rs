//! Up to when records were dropped. Whoever records may rely on it until the transaction ends: what would
//! have been a repetition is not dropped meanwhile.

use hokusai_core::time::Timestamp;

use crate::StoreError;
use crate::database::both;

/// Those who record share it, whoever drops holds it alone, and each waits for its turn. It is taken before
/// any row, so that nobody waits in a circle.
const SHARE: &str = "select pg_advisory_xact_lock_shared(4658006)";
const HOLD: &str = "select pg_advisory_xact_lock(4658006)";
const READ: &str = "select dropped_until from usage_horizon";
const MOVE: &str = "update usage_horizon set dropped_until = $1 where dropped_until < $1";

both! {
    /// The latest arrival among the records that were dropped.
    pub(crate) async fn share_horizon(tx: &mut here::Connection) -> Result<Timestamp, StoreError> {
        if here::LOCKS_ROWS {
            sqlx::query(SHARE).execute(&mut *tx).await?;
        }
        Ok(Timestamp(sqlx::query_scalar(READ).fetch_one(tx).await?))
    }

    /// Has nobody record until the transaction ends.
    pub(crate) async fn hold_horizon(tx: &mut here::Connection) -> Result<(), StoreError> {
        if here::LOCKS_ROWS {
            sqlx::query(HOLD).execute(tx).await?;
        }
        Ok(())
    }

    pub(crate) async fn move_horizon(tx: &mut here::Connection, dropped_until: i64) -> Result<(), StoreError> {
        sqlx::query(MOVE).bind(dropped_until).execute(tx).await?;
        Ok(())
    }
}
