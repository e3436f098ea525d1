//! Adding to the sums.

use std::collections::{BTreeSet, HashMap};

use hokusai_core::calendar::{Day, Month};
use hokusai_core::id::{AccountId, KeyId};
use hokusai_core::time::Hour;
use quick_cache::sync::Cache;
use serde::Serialize;

use crate::StoreError;
use crate::database::both;
use crate::keys::damaged;
use crate::usage::KnownEndpoint;
use crate::usage::columns::Columns;
use crate::usage::intake::{EndpointKey, Sums, fold_others};

/// Rows: three values that find one, and five to add.
macro_rules! add_sums {
    ($table:literal, $keys:literal, $rows:literal) => {
        concat!(
            "insert into ",
            $table,
            " (",
            $keys,
            ", requests, errors, predictions, compute_ms, response_micros) ",
            $rows,
            " on conflict (",
            $keys,
            ") do update set requests = ",
            $table,
            ".requests + excluded.requests, errors = ",
            $table,
            ".errors + excluded.errors, predictions = ",
            $table,
            ".predictions + excluded.predictions, compute_ms = ",
            $table,
            ".compute_ms + excluded.compute_ms, response_micros = ",
            $table,
            ".response_micros + excluded.response_micros"
        )
    };
    (sqlite: $table:literal, $keys:literal) => {
        add_sums!(
            $table,
            $keys,
            "select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                value ->> 7 from json_each($1) where true"
        )
    };
    (text_number_text: $table:literal, $keys:literal) => {
        add_sums!(
            $table,
            $keys,
            "select * from unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[],
                $6::bigint[], $7::bigint[], $8::bigint[])"
        )
    };
    (number_text_text: $table:literal, $keys:literal) => {
        add_sums!(
            $table,
            $keys,
            "select * from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[],
                $6::bigint[], $7::bigint[], $8::bigint[])"
        )
    };
}
const HOURS_SQLITE: &str = add_sums!(sqlite: "usage_hours", "hour, key_id, service_id");
const HOURS_POSTGRES: &str = add_sums!(number_text_text: "usage_hours", "hour, key_id, service_id");
const DAYS_SQLITE: &str = add_sums!(sqlite: "usage_days", "day, user_id, service_id");
const DAYS_POSTGRES: &str = add_sums!(number_text_text: "usage_days", "day, user_id, service_id");
const ENDPOINTS_SQLITE: &str = add_sums!(sqlite: "usage_endpoints", "key_id, month, endpoint");
const ENDPOINTS_POSTGRES: &str = add_sums!(text_number_text: "usage_endpoints", "key_id, month, endpoint");

/// Rows: account, month, and three values to add.
macro_rules! add_months {
    ($rows:literal) => {
        concat!(
            "insert into usage_months (account_id, month, requests, predictions, compute_ms) ",
            $rows,
            " on conflict (account_id, month) do update set requests = usage_months.requests + excluded.requests,
                predictions = usage_months.predictions + excluded.predictions,
                compute_ms = usage_months.compute_ms + excluded.compute_ms"
        )
    };
}
const MONTHS_SQLITE: &str = add_months!(
    "select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each($1) where true"
);
const MONTHS_POSTGRES: &str =
    add_months!("select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])");

/// Those that have no row yet, by their places. `$1` rows: key, month, endpoint.
const UNKNOWN_SQLITE: &str = "select wanted.key from json_each($1) as wanted where not exists
    (select 1 from usage_endpoints e where e.key_id = wanted.value ->> 0 and e.month = wanted.value ->> 1
        and e.endpoint = wanted.value ->> 2)";
const UNKNOWN_POSTGRES: &str = "select wanted.place - 1 from jsonb_array_elements($1::jsonb)
        with ordinality as wanted (value, place) where not exists
    (select 1 from usage_endpoints e where e.key_id = wanted.value ->> 0
        and e.month = (wanted.value ->> 1)::bigint and e.endpoint = wanted.value ->> 2)";

/// `$1` rows: key, month. What is called `other` takes no place of an endpoint.
const COUNT_SQLITE: &str = "select value ->> 0, value ->> 1, (select count(*) from usage_endpoints e
        where e.key_id = value ->> 0 and e.month = value ->> 1 and e.endpoint <> 'other') from json_each($1)";
const COUNT_POSTGRES: &str =
    "select value ->> 0, (value ->> 1)::bigint, (select count(*) from usage_endpoints e
        where e.key_id = value ->> 0 and e.month = (value ->> 1)::bigint and e.endpoint <> 'other')
        from jsonb_array_elements($1::jsonb)";

fn owned((key, month, endpoint): &EndpointKey<'_>) -> KnownEndpoint {
    (*key, *month, (*endpoint).into())
}

/// Values as a parameter of a statement.
pub(super) fn json(rows: &impl Serialize) -> String {
    serde_json::to_string(rows).expect("texts and numbers can be written as JSON")
}

/// What is added, after the columns that find the rows.
fn adding<'a, K>(find: Columns<'a>, sums: &Sums<K>) -> Columns<'a> {
    find.numbers(sums.values().map(|sum| sum.requests))
        .numbers(sums.values().map(|sum| sum.errors))
        .numbers(sums.values().map(|sum| sum.predictions))
        .numbers(sums.values().map(|sum| sum.compute_ms))
        .numbers(sums.values().map(|sum| sum.response_micros))
}

both! {
    pub(crate) async fn add_months(
        tx: &mut here::Connection,
        sums: &Sums<(AccountId, Month)>,
    ) -> Result<(), StoreError> {
        let rows = Columns::default()
            .texts(sums.keys().map(|(account, _)| account.to_string()))
            .numbers(sums.keys().map(|(_, month)| month.0))
            .numbers(sums.values().map(|sum| sum.requests))
            .numbers(sums.values().map(|sum| sum.predictions))
            .numbers(sums.values().map(|sum| sum.compute_ms));
        add(tx, here::either(MONTHS_SQLITE, MONTHS_POSTGRES), rows).await
    }

    pub(crate) async fn add_hours(
        tx: &mut here::Connection,
        sums: &Sums<(Hour, KeyId, &str)>,
    ) -> Result<(), StoreError> {
        let find = Columns::default()
            .numbers(sums.keys().map(|(hour, _, _)| hour.0))
            .texts(sums.keys().map(|(_, key, _)| key.to_string()))
            .texts(sums.keys().map(|(_, _, service)| *service));
        add(tx, here::either(HOURS_SQLITE, HOURS_POSTGRES), adding(find, sums)).await
    }

    pub(crate) async fn add_days(
        tx: &mut here::Connection,
        sums: &Sums<(Day, &str, &str)>,
    ) -> Result<(), StoreError> {
        let find = Columns::default()
            .numbers(sums.keys().map(|(day, _, _)| day.0))
            .texts(sums.keys().map(|(_, user, _)| *user))
            .texts(sums.keys().map(|(_, _, service)| *service));
        add(tx, here::either(DAYS_SQLITE, DAYS_POSTGRES), adding(find, sums)).await
    }

    pub(crate) async fn add_endpoints(
        tx: &mut here::Connection,
        known: &Cache<KnownEndpoint, ()>,
        sums: Sums<EndpointKey<'_>>,
    ) -> Result<(), StoreError> {
        let unknown = unknown_endpoints(tx, known, &sums).await?;
        let counts = endpoint_counts(tx, &unknown).await?;
        let sums = fold_others(sums, &unknown, counts);
        let find = Columns::default()
            .texts(sums.keys().map(|(key, _, _)| key.to_string()))
            .numbers(sums.keys().map(|(_, month, _)| month.0))
            .texts(sums.keys().map(|(_, _, endpoint)| *endpoint));
        add(tx, here::either(ENDPOINTS_SQLITE, ENDPOINTS_POSTGRES), adding(find, &sums)).await?;
        sums.keys().filter(|endpoint| known.get(&owned(endpoint)).is_none()).for_each(|endpoint| {
            known.insert(owned(endpoint), ());
        });
        Ok(())
    }

    async fn add(tx: &mut here::Connection, text: &'static str, rows: Columns<'_>) -> Result<(), StoreError> {
        sqlx::query_with(text, here::arguments(&[], rows)?).execute(tx).await?;
        Ok(())
    }

    /// Those that have no row yet.
    async fn unknown_endpoints<'a>(
        tx: &mut here::Connection,
        known: &Cache<KnownEndpoint, ()>,
        sums: &Sums<EndpointKey<'a>>,
    ) -> Result<BTreeSet<EndpointKey<'a>>, StoreError> {
        let doubtful: Vec<EndpointKey<'a>> =
            sums.keys().filter(|endpoint| known.get(&owned(endpoint)).is_none()).copied().collect();
        if doubtful.is_empty() {
            return Ok(BTreeSet::new());
        }
        let rows: Vec<_> =
            doubtful.iter().map(|(key, month, endpoint)| (key.to_string(), month.0, *endpoint)).collect();
        let places: Vec<i64> = sqlx::query_scalar(here::either(UNKNOWN_SQLITE, UNKNOWN_POSTGRES))
            .bind(json(&rows))
            .fetch_all(tx)
            .await?;
        let places = places.into_iter().filter_map(|place| usize::try_from(place).ok());
        Ok(places.filter_map(|place| doubtful.get(place).copied()).collect())
    }

    /// How many endpoints the keys that have new ones had before.
    async fn endpoint_counts(
        tx: &mut here::Connection,
        unknown: &BTreeSet<EndpointKey<'_>>,
    ) -> Result<HashMap<(KeyId, Month), usize>, StoreError> {
        let keys: BTreeSet<(KeyId, Month)> = unknown.iter().map(|(key, month, _)| (*key, *month)).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<_> = keys.iter().map(|(key, month)| (key.to_string(), month.0)).collect();
        let counts: Vec<(String, i64, i64)> = sqlx::query_as(here::either(COUNT_SQLITE, COUNT_POSTGRES))
            .bind(json(&rows))
            .fetch_all(tx)
            .await?;
        let read = |(key, month, count): (String, i64, i64)| {
            let key = key.parse().map_err(damaged("key"))?;
            Ok(((key, Month(month)), usize::try_from(count).unwrap_or(usize::MAX)))
        };
        counts.into_iter().map(read).collect()
    }
}
