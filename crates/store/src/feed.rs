//! Reading the change feed.

use hokusai_core::feed::{Change, Position, RING};
use hokusai_core::id::AccountId;
use hokusai_core::key::KeyDigest;

use crate::database::{Store, both, run};
use crate::{StoreError, keys::damaged};

/// What one reading of the feed gave, all of one instant.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// Where the feed stands.
    pub head: Position,
    /// The changes after the revision that was read from, oldest first, each with the digest of its key.
    /// If there are more than a follower can take at once, the last ones are missing.
    pub changes: Vec<(Change, Option<KeyDigest>)>,
    /// The revisions among them at which a key was made: nobody can know it from before.
    pub new_keys: Vec<i64>,
    /// Accounts that ran dry in the last two seconds.
    pub dry: Vec<AccountId>,
}

#[derive(sqlx::FromRow)]
pub(crate) struct FeedRow {
    epoch: String,
    head: i64,
    revision: Option<i64>,
    kind: Option<String>,
    key_id: Option<String>,
    account_id: Option<String>,
    digest: Option<Vec<u8>>,
}

impl FeedRow {
    fn change(&self) -> Result<Option<(Change, Option<KeyDigest>)>, StoreError> {
        let Some(revision) = self.revision else { return Ok(None) };
        let key = match (&self.key_id, &self.account_id) {
            (Some(key), Some(account)) => {
                Some((key.parse().map_err(damaged("change"))?, account.parse().map_err(damaged("change"))?))
            }
            _ => None,
        };
        Ok(Some((Change { revision, key }, self.digest.as_deref().and_then(KeyDigest::from_bytes))))
    }
}

impl Store {
    /// Reads where the feed stands and what came after `revision`.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn read_feed(&self, revision: i64) -> Result<FeedPage, StoreError> {
        let (rows, dry) = run!(self, read_feed(revision))?;
        let first = rows.first().ok_or(StoreError::Damaged { what: "authority" })?;
        let epoch = first.epoch.parse().map_err(damaged("epoch"))?;
        let head = Position { epoch, revision: first.head };
        let is_new = |row: &&FeedRow| row.kind.as_deref() == Some("create");
        let new_keys = rows.iter().filter(is_new).filter_map(|row| row.revision).collect();
        let changes = rows.iter().filter_map(|row| row.change().transpose()).collect::<Result<_, _>>()?;
        let dry = dry.iter().map(|id| id.parse().map_err(damaged("account"))).collect::<Result<_, _>>()?;
        Ok(FeedPage { head, changes, new_keys, dry })
    }

    /// Drops changes that were made before `before` (microseconds), at most `most` of them; says how many
    /// it dropped.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn prune_feed(&self, before: i64, most: i64) -> Result<u64, StoreError> {
        run!(self, prune_feed(before, most))
    }
}

both! {
    pub(crate) async fn read_feed(
        db: &here::Db,
        revision: i64,
    ) -> Result<(Vec<FeedRow>, Vec<String>), StoreError> {
        let mut connection = db.own().acquire().await?;
        // Nobody can remember a key from before it was made: there is nothing to forget.
        let changes = "select y.epoch, y.revision as head, c.revision, c.kind, c.key_id, c.account_id,
                case when c.kind <> 'create' then k.digest end as digest
            from authority y
            left join (select * from changes where revision > $1 order by revision limit $2) c on true
            left join keys k on k.key_id = c.key_id
            order by c.revision";
        let rows = sqlx::query_as(changes)
            .bind(revision)
            .bind(RING as i64)
            .fetch_all(&mut *connection)
            .await?;
        let dry = sqlx::query_scalar(here::either(
            "select account_id from dry_accounts where at > $1 - 2000000",
            "select account_id from dry_accounts where at > store_now($1) - 2000000",
        ));
        Ok((rows, dry.bind(db.injected_now()).fetch_all(&mut *connection).await?))
    }

    pub(crate) async fn prune_feed(db: &here::Db, before: i64, most: i64) -> Result<u64, StoreError> {
        let prune = "delete from changes where revision in
            (select revision from changes where at < $1 order by revision limit $2)";
        Ok(sqlx::query(prune).bind(before).bind(most).execute(db.write()).await?.rows_affected())
    }
}
