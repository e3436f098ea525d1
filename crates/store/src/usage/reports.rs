//! Reading the sums.

use hokusai_core::calendar::{Day, Month};
use hokusai_core::id::KeyId;
use hokusai_core::time::Hour;
use hokusai_core::usage::Totals;

use crate::StoreError;
use crate::database::{Store, both, run};

/// By what the usage of a key in a month is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// By nothing: one group, if there is any usage.
    Nothing,
    /// By the UTC day, in its order.
    Day,
    /// By the service.
    Service,
    /// By the endpoint, the most used first.
    Endpoint,
}

/// The usage of one day, service or endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageGroup {
    /// The day as `2025-01-15`, the service or the endpoint.
    pub name: String,
    /// What was used.
    pub totals: Totals,
}

/// What was used of a service in a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDay {
    /// The day.
    pub day: Day,
    /// The service.
    pub service_id: String,
    /// What was used.
    pub totals: Totals,
}

macro_rules! sums {
    () => {
        "cast(sum(requests) as bigint) as requests, cast(sum(errors) as bigint) as errors,
            cast(sum(predictions) as bigint) as predictions, cast(sum(compute_ms) as bigint) as compute_ms,
            cast(sum(response_micros) as bigint) as response_micros"
    };
}
/// `$1` key, `$2` first hour, `$3` first hour after.
macro_rules! of_hours {
    ($name:literal, $group:literal) => {
        concat!(
            "with recursive span (hour) as
                (select cast($2 as bigint) union all select hour + 1 from span where hour + 1 < $3)
             select ",
            $name,
            " as name, ",
            sums!(),
            " from span cross join usage_hours u where u.hour = span.hour and u.key_id = $1 ",
            $group
        )
    };
}
const TOTALS: &str = of_hours!("''", "having count(*) > 0");
const BY_DAY: &str = of_hours!("cast(u.hour / 24 as text)", "group by u.hour / 24 order by u.hour / 24");
const BY_SERVICE: &str = of_hours!("service_id", "group by service_id order by service_id");
const BY_ENDPOINT: &str =
    "select endpoint as name, requests, errors, predictions, compute_ms, response_micros
    from usage_endpoints where key_id = $1 and month = $2 order by requests desc, endpoint";
const BY_DATE: &str = concat!(
    "select day, service_id, ",
    sums!(),
    " from usage_days where day >= $1 and day <= $2 and (cast($3 as text) is null or user_id = $3)
        and (cast($4 as text) is null or service_id = $4)
     group by day, service_id order by day, service_id"
);

#[derive(sqlx::FromRow)]
pub(crate) struct TotalsRow {
    requests: i64,
    errors: i64,
    predictions: i64,
    compute_ms: i64,
    response_micros: i64,
}

#[derive(sqlx::FromRow)]
pub(crate) struct GroupRow {
    name: String,
    #[sqlx(flatten)]
    totals: TotalsRow,
}

#[derive(sqlx::FromRow)]
pub(crate) struct DayRow {
    day: i64,
    service_id: String,
    #[sqlx(flatten)]
    totals: TotalsRow,
}

impl From<TotalsRow> for Totals {
    fn from(row: TotalsRow) -> Self {
        let TotalsRow { requests, errors, predictions, compute_ms, response_micros } = row;
        Self { requests, errors, predictions, compute_ms, response_micros }
    }
}

impl Store {
    /// What a key used in a month.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn key_usage(
        &self,
        key: KeyId,
        month: Month,
        by: GroupBy,
    ) -> Result<Vec<UsageGroup>, StoreError> {
        let rows: Vec<GroupRow> = match by {
            GroupBy::Endpoint => run!(self, endpoint_usage(key, month))?,
            GroupBy::Nothing => run!(self, key_usage(TOTALS, key, month.hours()))?,
            GroupBy::Day => run!(self, key_usage(BY_DAY, key, month.hours()))?,
            GroupBy::Service => run!(self, key_usage(BY_SERVICE, key, month.hours()))?,
        };
        let name = |name: String| match by {
            GroupBy::Day => Day(name.parse().unwrap_or(0)).to_string(),
            _ => name,
        };
        Ok(rows
            .into_iter()
            .map(|row| UsageGroup { name: name(row.name), totals: row.totals.into() })
            .collect())
    }

    /// What was used from day `first` to day `last`, day by day and service by service; only by one user or
    /// of one service, if such is named.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn usage_by_date(
        &self,
        first: Day,
        last: Day,
        user_id: Option<&str>,
        service_id: Option<&str>,
    ) -> Result<Vec<ServiceDay>, StoreError> {
        let rows: Vec<DayRow> = run!(self, usage_by_date(first, last, user_id, service_id))?;
        let read = |row: DayRow| ServiceDay {
            day: Day(row.day),
            service_id: row.service_id,
            totals: row.totals.into(),
        };
        Ok(rows.into_iter().map(read).collect())
    }
}

both! {
    pub(crate) async fn key_usage(
        db: &here::Db,
        text: &'static str,
        key: KeyId,
        (from, to): (Hour, Hour),
    ) -> Result<Vec<GroupRow>, StoreError> {
        let usage = sqlx::query_as(text).bind(key.to_string()).bind(from.0).bind(to.0);
        Ok(usage.fetch_all(db.read()).await?)
    }

    pub(crate) async fn endpoint_usage(
        db: &here::Db,
        key: KeyId,
        month: Month,
    ) -> Result<Vec<GroupRow>, StoreError> {
        Ok(sqlx::query_as(BY_ENDPOINT).bind(key.to_string()).bind(month.0).fetch_all(db.read()).await?)
    }

    pub(crate) async fn usage_by_date(
        db: &here::Db,
        first: Day,
        last: Day,
        user_id: Option<&str>,
        service_id: Option<&str>,
    ) -> Result<Vec<DayRow>, StoreError> {
        let usage = sqlx::query_as(BY_DATE).bind(first.0).bind(last.0).bind(user_id).bind(service_id);
        Ok(usage.fetch_all(db.read()).await?)
    }
}
