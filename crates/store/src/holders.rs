//! The register of living holders: the processes that admit requests from memory.
//!
//! Of a verifier that left, the row stays for a while, as `gone`: nobody with another token takes its place, and
//! so nobody else speaks of the units that it had.

use std::time::Duration;

use hokusai_core::id::{HolderId, TokenId};
use hokusai_core::time::{Timestamp, micros};

use crate::StoreError;
use crate::database::{Store, both, run};
use crate::keys::damaged;

/// A holder that does not know of a change yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingHolder {
    /// Which.
    pub holder: HolderId,
    /// Whether it is a node of the service, which believes its memory for a few seconds only.
    pub is_node: bool,
    /// The longest that it may use what it was told.
    pub valid_for: Duration,
}

/// When a holder was last seen. The instant is the store's; it says whether the holder was seen again, and
/// not how long ago that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenHolder {
    /// Which.
    pub holder: HolderId,
    /// Whether it is a node of the service.
    pub is_node: bool,
    /// When.
    pub seen_at: Timestamp,
}

/// The most that are told of at once.
pub const MOST_PENDING: usize = 1000;

fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

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

    /// Says that `holder` admits nothing any longer. It stays bound to its token.
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

    /// Enters a verifier in the register, or renews what is there: it has applied the feed up to `revision`,
    /// and may use what it is told for `valid_for`. Neither is ever taken back. Says whether the holder is
    /// this token's; if not, nothing was written.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn enter_verifier(
        &self,
        holder: HolderId,
        token: TokenId,
        revision: i64,
        valid_for: Duration,
    ) -> Result<bool, StoreError> {
        run!(self, enter_verifier(holder, token, revision, valid_for))
    }

    /// Renews a verifier that is in the register, if it is this token's. Says to which token it is bound, and
    /// how long it may use what it is told: `None`, if it has left. Of a stranger nothing is said.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn renew_verifier(
        &self,
        holder: HolderId,
        token: TokenId,
    ) -> Result<Option<(String, Option<Duration>)>, StoreError> {
        let renewed = run!(self, renew_verifier(holder, token))?;
        Ok(renewed.map(|(token, kind, valid_for)| (token, (kind != "gone").then(|| duration(valid_for)))))
    }

    /// Who has not applied the feed up to `revision` yet, `except` left out and [`MOST_PENDING`] at the most, and the store's time after that
    /// was found out.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn pending_holders(
        &self,
        revision: i64,
        except: HolderId,
    ) -> Result<(Timestamp, Vec<PendingHolder>), StoreError> {
        let (now, rows) = run!(self, pending_holders(revision, except))?;
        let pending = rows.into_iter().map(|(holder, kind, valid_for)| {
            Ok(PendingHolder {
                holder: holder.parse().map_err(damaged("holder"))?,
                is_node: kind == "node",
                valid_for: duration(valid_for),
            })
        });
        Ok((now, pending.collect::<Result<_, StoreError>>()?))
    }

    /// Everybody in the register, and when each was last seen.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn seen_holders(&self) -> Result<Vec<SeenHolder>, StoreError> {
        let rows = run!(self, seen_holders())?;
        let seen = rows.into_iter().map(|(holder, kind, seen_at)| {
            Ok(SeenHolder {
                holder: holder.parse().map_err(damaged("holder"))?,
                is_node: kind == "node",
                seen_at: Timestamp(seen_at),
            })
        });
        seen.collect()
    }

    /// Drops a holder, unless it was seen again. A verifier stays bound to its token.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn drop_holder(&self, seen: &SeenHolder) -> Result<(), StoreError> {
        run!(self, drop_holder(seen))
    }

    /// Drops what is known of verifiers that left and were last seen before `before`.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn prune_holders(&self, before: Timestamp) -> Result<(), StoreError> {
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
        let mut tx = db.begin().await?;
        let leave = "update holders set kind = 'gone' where holder = $1 and kind <> 'node'";
        sqlx::query(leave).bind(holder.to_string()).execute(&mut *tx).await?;
        let delete = "delete from holders where holder = $1 and kind = 'node'";
        sqlx::query(delete).bind(holder.to_string()).execute(&mut *tx).await?;
        tx.commit().await?;
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

    pub(crate) async fn enter_verifier(
        db: &here::Db,
        holder: HolderId,
        token: TokenId,
        revision: i64,
        valid_for: Duration,
    ) -> Result<bool, StoreError> {
        let enter = here::either(
            "insert into holders (holder, kind, token_id, seen_at, revision, valid_for)
                values ($1, 'verifier', $2, $3, $4, $5)
             on conflict (holder) do update set kind = excluded.kind, seen_at = excluded.seen_at,
                revision = case when holders.kind = 'gone' then excluded.revision
                    else max(holders.revision, excluded.revision) end,
                valid_for = case when holders.kind = 'gone' then excluded.valid_for
                    else max(holders.valid_for, excluded.valid_for) end
             where holders.token_id = excluded.token_id",
            "insert into holders (holder, kind, token_id, seen_at, revision, valid_for)
                values ($1, 'verifier', $2, store_now($3), $4, $5)
             on conflict (holder) do update set kind = excluded.kind, seen_at = excluded.seen_at,
                revision = case when holders.kind = 'gone' then excluded.revision
                    else greatest(holders.revision, excluded.revision) end,
                valid_for = case when holders.kind = 'gone' then excluded.valid_for
                    else greatest(holders.valid_for, excluded.valid_for) end
             where holders.token_id = excluded.token_id",
        );
        let entered = sqlx::query(enter)
            .bind(holder.to_string())
            .bind(token.to_string())
            .bind(db.injected_now())
            .bind(revision)
            .bind(micros(valid_for))
            .execute(db.write())
            .await?;
        Ok(entered.rows_affected() > 0)
    }

    pub(crate) async fn renew_verifier(
        db: &here::Db,
        holder: HolderId,
        token: TokenId,
    ) -> Result<Option<(String, String, i64)>, StoreError> {
        let renew = here::either(
            "update holders set seen_at = case when token_id = $2 and kind <> 'gone' then $3 else seen_at end
             where holder = $1 returning token_id, kind, valid_for",
            "update holders set seen_at = case when token_id = $2 and kind <> 'gone' then store_now($3)
                else seen_at end
             where holder = $1 returning token_id, kind, valid_for",
        );
        let renewed = sqlx::query_as(renew)
            .bind(holder.to_string())
            .bind(token.to_string())
            .bind(db.injected_now())
            .fetch_optional(db.write());
        Ok(renewed.await?)
    }

    pub(crate) async fn pending_holders(
        db: &here::Db,
        revision: i64,
        except: HolderId,
    ) -> Result<(Timestamp, Vec<(String, String, i64)>), StoreError> {
        let mut connection = db.own().acquire().await?;
        let pending = "select holder, kind, valid_for from holders where revision < $1 and holder <> $2
            and kind <> 'gone' order by holder limit 1000";
        let rows = sqlx::query_as(pending)
            .bind(revision)
            .bind(except.to_string())
            .fetch_all(&mut *connection)
            .await?;
        // Read after the last acknowledgement was seen.
        Ok((here::now(db, &mut connection).await?, rows))
    }

    pub(crate) async fn seen_holders(db: &here::Db) -> Result<Vec<(String, String, i64)>, StoreError> {
        let seen = sqlx::query_as("select holder, kind, seen_at from holders where kind <> 'gone'");
        Ok(seen.fetch_all(db.own()).await?)
    }

    pub(crate) async fn drop_holder(db: &here::Db, seen: &SeenHolder) -> Result<(), StoreError> {
        let drop = if seen.is_node {
            "delete from holders where holder = $1 and seen_at = $2"
        } else {
            "update holders set kind = 'gone' where holder = $1 and seen_at = $2"
        };
        sqlx::query(drop)
            .bind(seen.holder.to_string())
            .bind(seen.seen_at.0)
            .execute(db.write())
            .await?;
        Ok(())
    }
    pub(crate) async fn prune_holders(db: &here::Db, before: Timestamp) -> Result<(), StoreError> {
        let prune = sqlx::query("delete from holders where kind = 'gone' and seen_at < $1");
        prune.bind(before.0).execute(db.write()).await?;
        Ok(())
    }
}
