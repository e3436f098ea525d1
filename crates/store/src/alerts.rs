//! Alerts: keys that somebody should look at.

use hokusai_core::id::KeyId;
use hokusai_core::time::Timestamp;

use crate::StoreError;
use crate::database::{Store, both, run};
use crate::keys::damaged;

/// Why somebody should look at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertKind {
    /// It expires soon, and has no successor.
    ExpiresSoon,
    /// It was rotated, and was used after that.
    UsedInGrace,
    /// It was refused often in this clock hour, or the one before.
    ManyRefusals,
    /// It reached its limit often in this clock hour, or the one before.
    ManyLimitHits,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::ExpiresSoon, Self::UsedInGrace, Self::ManyRefusals, Self::ManyLimitHits];

    /// The stable word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ExpiresSoon => "expires_soon",
            Self::UsedInGrace => "used_in_grace",
            Self::ManyRefusals => "many_refusals",
            Self::ManyLimitHits => "many_limit_hits",
        }
    }
}

/// A key that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Why.
    pub kind: AlertKind,
    /// The key.
    pub key: KeyId,
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub user_id: String,
    /// When it ends, or the beginning of the hour that is meant.
    pub at: Timestamp,
    /// Refusals or limit hits in that hour; 0 for the other kinds.
    pub count: i64,
}

/// Which keys to look for.
#[derive(Clone, Debug)]
pub struct AlertFilter {
    /// Only keys of this user.
    pub user_id: Option<String>,
    /// Keys that expire within so many microseconds.
    pub expire_within: i64,
    /// Refusals in an hour from which on there is an alert.
    pub refusals: i64,
    /// The same for limit hits.
    pub limit_hits: i64,
    /// At most so many of each kind.
    pub limit: i64,
}

/// Keys that somebody may know of. `$1` now, `$2` user, `$3` threshold, `$4` how many.
macro_rules! alerts {
    ($columns:literal, $rows:expr, $order:literal) => {
        concat!(
            "select k.key_id, k.name, k.user_id, ",
            $columns,
            " from keys k ",
            $rows,
            " and (cast($2 as text) is null or k.user_id = $2) order by ",
            $order,
            ", k.key_id limit $4"
        )
    };
}
const EXPIRES_SOON: &str = alerts!(
    "k.expires_at as at, cast(0 as bigint) as count",
    "where k.expires_at is not null and k.revoked_at is null and k.expires_at > $1
        and k.expires_at <= $1 + $3 and k.rotated_to is null",
    "k.expires_at"
);
const USED_IN_GRACE: &str = alerts!(
    "case when k.expires_at < k.grace_until then k.expires_at else k.grace_until end as at,
        cast($3 as bigint) as count",
    "join keys s on s.key_id = k.rotated_to
     where k.grace_until is not null and k.revoked_at is null and k.grace_until > $1
        and (k.expires_at is null or k.expires_at > $1)
        and exists (select 1 from validations v where v.key_id = k.key_id and v.last_used_at > s.created_at)",
    "k.grace_until"
);
/// The worse of two hours.
macro_rules! turned_away {
    ($count:literal) => {
        alerts!(
            "v.hour * 3600000000 as at, v.count",
            concat!(
                "join (select w.key_id, w.hour, ",
                $count,
                " as count, row_number() over (partition by w.key_id order by ",
                $count,
                " desc, w.hour desc) as place from validations w
                 where w.hour >= $1 / 3600000000 - 1
                    and w.limited + w.expired + w.revoked + w.service_mismatch + w.insufficient_scope
                        + w.ip_not_allowed > 0) as v on v.key_id = k.key_id
                 where v.place = 1 and v.count >= $3"
            ),
            "v.count desc"
        )
    };
}
const MANY_REFUSALS: &str =
    turned_away!("w.expired + w.revoked + w.service_mismatch + w.insufficient_scope + w.ip_not_allowed");
const MANY_LIMIT_HITS: &str = turned_away!("w.limited");

#[derive(sqlx::FromRow)]
pub(crate) struct AlertRow {
    key_id: String,
    name: String,
    user_id: String,
    at: i64,
    count: i64,
}

impl Store {
    /// Looks for keys that somebody should look at, kind by kind.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn alerts(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError> {
        let now = self.now().await?;
        let mut alerts = Vec::new();
        for kind in AlertKind::ALL {
            let (text, threshold) = match kind {
                AlertKind::ExpiresSoon => (EXPIRES_SOON, filter.expire_within),
                AlertKind::UsedInGrace => (USED_IN_GRACE, 0),
                AlertKind::ManyRefusals => (MANY_REFUSALS, filter.refusals),
                AlertKind::ManyLimitHits => (MANY_LIMIT_HITS, filter.limit_hits),
            };
            let rows: Vec<AlertRow> = run!(self, alerts(text, now, threshold, filter))?;
            for row in rows {
                alerts.push(Alert {
                    kind,
                    key: row.key_id.parse().map_err(damaged("key"))?,
                    name: row.name,
                    user_id: row.user_id,
                    at: Timestamp(row.at),
                    count: row.count,
                });
            }
        }
        Ok(alerts)
    }
}

both! {
    pub(crate) async fn alerts(
        db: &here::Db,
        text: &'static str,
        now: Timestamp,
        threshold: i64,
        filter: &AlertFilter,
    ) -> Result<Vec<AlertRow>, StoreError> {
        let rows = sqlx::query_as(text).bind(now.0).bind(&filter.user_id).bind(threshold).bind(filter.limit);
        Ok(rows.fetch_all(db.read()).await?)
    }
}
