//! Dropping records that were kept long enough; their sums stay.

use hokusai_core::time::Timestamp;

use crate::StoreError;
use crate::database::{Store, both, run};

/// Looks at the oldest records only, however many there are.
const DROP: &str = "delete from usage_records where id in
    (select id from (select id, received_at from usage_records order by id limit $2) as oldest
     where received_at < $1)
    returning received_at";

impl Store {
    /// Drops records that arrived before `before`, at most `most` of them; says how many.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn drop_usage_records(&self, before: Timestamp, most: i64) -> Result<usize, StoreError> {
        run!(self, drop_usage_records(before, most))
    }
}

both! {
    pub(crate) async fn drop_usage_records(
        db: &here::Db,
        before: Timestamp,
        most: i64,
    ) -> Result<usize, StoreError> {
        let oldest: Option<i64> =
            sqlx::query_scalar("select received_at from usage_records order by id limit 1")
                .fetch_optional(db.read())
                .await?;
        if oldest.is_none_or(|oldest| oldest >= before.0) {
            return Ok(0);
        }
        let mut tx = db.begin().await?;
        here::usage_horizon::hold_horizon(&mut tx).await?;
        let dropped: Vec<i64> =
            sqlx::query_scalar(DROP).bind(before.0).bind(most).fetch_all(&mut *tx).await?;
        if let Some(latest) = dropped.iter().max() {
            here::usage_horizon::move_horizon(&mut tx, *latest).await?;
        }
        tx.commit().await?;
        Ok(dropped.len())
    }
}
