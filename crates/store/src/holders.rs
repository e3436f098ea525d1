//! The register of living holders: the processes that admit requests from memory.

use hokusai_core::id::HolderId;

use crate::StoreError;
use crate::database::{Store, both, run};

impl Store {
    /// Says that `holder` lives and has applied the feed up to `revision`.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn register_holder(
        &self,
        holder: HolderId,
        kind: &str,
        revision: i64,
    ) -> Result<(), StoreError> {
        run!(self, register_holder(holder, kind, revision))
    }

    /// Says that `holder` admits nothing any longer.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn forget_holder(&self, holder: HolderId) -> Result<(), StoreError> {
        run!(self, forget_holder(holder))
    }

    /// Drops notices of accounts that ran dry before `before` (microseconds).
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn prune_dry_accounts(&self, before: i64) -> Result<(), StoreError> {
        run!(self, prune_dry_accounts(before))
    }

    /// Drops holders that were last seen before `before` (microseconds).
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn prune_holders(&self, before: i64) -> Result<(), StoreError> {
        run!(self, prune_holders(before))
    }
}

both! {
    pub(crate) async fn register_holder(
        db: &here::Db,
        holder: HolderId,
        kind: &str,
        revision: i64,
    ) -> Result<(), StoreError> {
        let register = here::either(
            "insert into holders (holder, kind, seen_at, revision) values ($1, $2, $3, $4)
             on conflict (holder) do update set seen_at = excluded.seen_at, revision = excluded.revision",
            "insert into holders (holder, kind, seen_at, revision) values ($1, $2, store_now($3), $4)
             on conflict (holder) do update set seen_at = excluded.seen_at, revision = excluded.revision",
        );
        sqlx::query(register)
            .bind(holder.to_string())
            .bind(kind)
            .bind(db.injected_now())
            .bind(revision)
            .execute(db.write())
            .await?;
        Ok(())
    }

    pub(crate) async fn forget_holder(db: &here::Db, holder: HolderId) -> Result<(), StoreError> {
        sqlx::query("delete from holders where holder = $1")
            .bind(holder.to_string())
            .execute(db.write())
            .await?;
        Ok(())
    }

    pub(crate) async fn prune_dry_accounts(db: &here::Db, before: i64) -> Result<(), StoreError> {
        let prune = here::either(
            "delete from dry_accounts where at < $1",
            // What is being marked anew is left alone: waiting for it could go round in a circle.
            "delete from dry_accounts where account_id in
                (select account_id from dry_accounts where at < $1 for update skip locked)",
        );
        sqlx::query(prune).bind(before).execute(db.write()).await?;
        Ok(())
    }

    pub(crate) async fn prune_holders(db: &here::Db, before: i64) -> Result<(), StoreError> {
        sqlx::query("delete from holders where seen_at < $1").bind(before).execute(db.write()).await?;
        Ok(())
    }
}
