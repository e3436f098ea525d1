//! What became of validations: counted by key and hour, handed in by each process about every half second.

use hokusai_core::id::{HolderId, KeyId};
use hokusai_core::time::{Hour, Timestamp};

use crate::StoreError;
use crate::database::{Store, both, run};

/// Counts of validations, by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct KeyCounts {
    /// The key was good.
    pub valid: i64,
    /// The key was good, but nothing was left of its limit.
    pub limited: i64,
    /// Its time was over.
    pub expired: i64,
    /// It was revoked.
    pub revoked: i64,
    /// It was for another service.
    pub service_mismatch: i64,
    /// It lacked the scope.
    pub insufficient_scope: i64,
    /// It was used from an address that it is not for.
    pub ip_not_allowed: i64,
}

/// What became of the validations of one key in one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourOfKey {
    /// The key.
    pub key: KeyId,
    /// The hour, by the clock of whoever counted.
    pub hour: Hour,
    /// When the key was good last.
    pub last_used_at: Option<Timestamp>,
    /// How often what came of it.
    pub counts: KeyCounts,
}

/// Takes the number of a count, unless it was taken before. `$1` holder, `$2` number, `$3` now.
macro_rules! take_seq {
    ($now:literal) => {
        concat!(
            "insert into validation_counters (holder, seq, taken_at) values ($1, $2, ",
            $now,
            ") on conflict (holder) do update set seq = excluded.seq, taken_at = excluded.taken_at
             where validation_counters.seq < excluded.seq"
        )
    };
}
const TAKE_SEQ_SQLITE: &str = take_seq!("$3");
const TAKE_SEQ_POSTGRES: &str = take_seq!("store_now($3)");

/// `$1` rows; added in the order of keys and hours, so that of two nodes none waits for the other that waits for
/// it.
macro_rules! add_counts {
    ($later:literal, $rows:literal) => {
        concat!(
            "insert into validations (key_id, hour, last_used_at, valid, limited, expired, revoked,
                service_mismatch, insufficient_scope, ip_not_allowed) ",
            $rows,
            " on conflict (key_id, hour) do update set last_used_at = ",
            $later,
            ", valid = validations.valid + excluded.valid, limited = validations.limited + excluded.limited,
                expired = validations.expired + excluded.expired,
                revoked = validations.revoked + excluded.revoked,
                service_mismatch = validations.service_mismatch + excluded.service_mismatch,
                insufficient_scope = validations.insufficient_scope + excluded.insufficient_scope,
                ip_not_allowed = validations.ip_not_allowed + excluded.ip_not_allowed"
        )
    };
}
const ADD_SQLITE: &str = add_counts!(
    "coalesce(max(validations.last_used_at, excluded.last_used_at), validations.last_used_at,
        excluded.last_used_at)",
    "select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
        value ->> 7, value ->> 8, value ->> 9 from json_each($1) where true order by 1, 2"
);
const ADD_POSTGRES: &str = add_counts!(
    "greatest(validations.last_used_at, excluded.last_used_at)",
    "select value ->> 0, (value ->> 1)::bigint, (value ->> 2)::bigint, (value ->> 3)::bigint,
        (value ->> 4)::bigint, (value ->> 5)::bigint, (value ->> 6)::bigint, (value ->> 7)::bigint,
        (value ->> 8)::bigint, (value ->> 9)::bigint from jsonb_array_elements($1::jsonb) order by 1, 2"
);

const OF_KEY: &str = "select key_id, hour, last_used_at, valid, limited, expired, revoked, service_mismatch,
        insufficient_scope, ip_not_allowed
    from validations where key_id = $1 and hour >= $2 order by hour desc limit $3";

#[derive(sqlx::FromRow)]
pub(crate) struct CountsRow {
    key_id: String,
    hour: i64,
    last_used_at: Option<i64>,
    #[sqlx(flatten)]
    counts: KeyCounts,
}

impl TryFrom<CountsRow> for HourOfKey {
    type Error = StoreError;

    fn try_from(row: CountsRow) -> Result<Self, StoreError> {
        Ok(Self {
            key: row.key_id.parse().map_err(crate::keys::damaged("count"))?,
            hour: Hour(row.hour),
            last_used_at: row.last_used_at.map(Timestamp),
            counts: row.counts,
        })
    }
}

impl KeyCounts {
    fn all(&self) -> [i64; 7] {
        let Self { valid, limited, expired, revoked, service_mismatch, insufficient_scope, ip_not_allowed } =
            *self;
        [valid, limited, expired, revoked, service_mismatch, insufficient_scope, ip_not_allowed]
    }
}

/// The rows as a JSON array of arrays. Ids are UUIDs, so nothing needs escaping.
fn json(counts: &[HourOfKey]) -> String {
    let rows: Vec<String> = counts
        .iter()
        .map(|of| {
            let last = of.last_used_at.map_or_else(|| "null".to_owned(), |at| at.0.to_string());
            let counts = of.counts.all().map(|count| count.to_string()).join(",");
            format!("[\"{}\",{},{last},{counts}]", of.key, of.hour.0)
        })
        .collect();
    format!("[{}]", rows.join(","))
}

impl Store {
    /// Adds counts, one for a key and hour, in one transaction; unless `holder` has handed in this `seq` or
    /// a later one before. So what may have been added can be handed in again.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn add_validations(
        &self,
        holder: HolderId,
        seq: i64,
        counts: &[HourOfKey],
    ) -> Result<(), StoreError> {
        run!(self, add_validations(holder, seq, counts))
    }

    /// Drops the numbers of processes that have handed nothing in since `before`: what they handed in last
    /// would count once more.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn prune_validation_counters(&self, before: Timestamp) -> Result<(), StoreError> {
        run!(self, prune_validation_counters(before))
    }

    /// What became of a key's validations since the hour `from`, the latest hour first, at most `most` hours.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn validations_of(
        &self,
        key: KeyId,
        from: Hour,
        most: i64,
    ) -> Result<Vec<HourOfKey>, StoreError> {
        let rows: Vec<CountsRow> = run!(self, validations_of(key, from, most))?;
        rows.into_iter().map(HourOfKey::try_from).collect()
    }

    /// Looks at `most` rows behind `place` and drops those of hours before `hour`, but for the row that says
    /// when a key was last used. Says where to go on; `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn prune_validations(
        &self,
        place: &(String, i64),
        hour: Hour,
        most: i64,
    ) -> Result<Option<(String, i64)>, StoreError> {
        run!(self, prune_validations(place, hour, most))
    }
}

/// `$1`, `$2` place, `$3` how many to look at, `$4` hour.
const OLD: &str = "select v.key_id, v.hour, v.hour < $4 and (v.last_used_at is null or exists (select 1
        from validations later where later.key_id = v.key_id and later.hour > v.hour
        and later.last_used_at is not null)) as is_old
    from validations v where (v.key_id, v.hour) > ($1, $2) order by v.key_id, v.hour limit $3";
const DROP_SQLITE: &str = "delete from validations where (key_id, hour) in
    (select value ->> 0, value ->> 1 from json_each($1))";
const DROP_POSTGRES: &str = "delete from validations where (key_id, hour) in
    (select value ->> 0, (value ->> 1)::bigint from jsonb_array_elements($1::jsonb))";

both! {
    pub(crate) async fn add_validations(
        db: &here::Db,
        holder: HolderId,
        seq: i64,
        counts: &[HourOfKey],
    ) -> Result<(), StoreError> {
        let mut tx = db.begin().await?;
        let take = sqlx::query(here::either(TAKE_SEQ_SQLITE, TAKE_SEQ_POSTGRES));
        let taken = take.bind(holder.to_string()).bind(seq).bind(db.injected_now()).execute(&mut *tx).await?;
        if taken.rows_affected() > 0 {
            sqlx::query(here::either(ADD_SQLITE, ADD_POSTGRES)).bind(json(counts)).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub(crate) async fn prune_validation_counters(
        db: &here::Db,
        before: Timestamp,
    ) -> Result<(), StoreError> {
        let prune = sqlx::query("delete from validation_counters where taken_at < $1");
        prune.bind(before.0).execute(db.write()).await?;
        Ok(())
    }

    pub(crate) async fn validations_of(
        db: &here::Db,
        key: KeyId,
        from: Hour,
        most: i64,
    ) -> Result<Vec<CountsRow>, StoreError> {
        let rows = sqlx::query_as(OF_KEY).bind(key.to_string()).bind(from.0).bind(most);
        Ok(rows.fetch_all(db.read()).await?)
    }

    pub(crate) async fn prune_validations(
        db: &here::Db,
        place: &(String, i64),
        hour: Hour,
        most: i64,
    ) -> Result<Option<(String, i64)>, StoreError> {
        let rows: Vec<(String, i64, bool)> = sqlx::query_as(OLD)
            .bind(&place.0)
            .bind(place.1)
            .bind(most)
            .bind(hour.0)
            .fetch_all(db.read())
            .await?;
        let old: Vec<String> = rows
            .iter()
            .filter(|(.., is_old)| *is_old)
            .map(|(key, hour, _)| format!("[\"{key}\",{hour}]"))
            .collect();
        if !old.is_empty() {
            let drop = sqlx::query(here::either(DROP_SQLITE, DROP_POSTGRES));
            drop.bind(format!("[{}]", old.join(","))).execute(db.write()).await?;
        }
        Ok(rows.into_iter().next_back().map(|(key, hour, _)| (key, hour)))
    }
}
