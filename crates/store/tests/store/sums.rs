//! The sums as the records themselves give them, by SQL that knows nothing of how they are kept.

use crate::connection::Raw;
use crate::stores::TestStore;

/// Rows that one of two queries gives and the other does not.
macro_rules! differing {
    ($kept:expr, $told:expr) => {
        concat!(
            "select count(*) from (select * from (",
            $kept,
            " except ",
            $told,
            ") as unfounded
             union all select * from (",
            $told,
            " except ",
            $kept,
            ") as missing) as differing"
        )
    };
}
macro_rules! kept {
    ($keys:literal, $table:literal) => {
        concat!(
            "select ",
            $keys,
            ", requests, errors, predictions, compute_ms, response_micros from ",
            $table
        )
    };
}
macro_rules! told {
    ($($keys:expr),*) => {
        concat!(
            "select ", $($keys,)* ", count(*), sum(case when status_code >= 400 then 1 else 0 end),
                sum(predictions), sum(compute_ms), sum(response_micros)
             from usage_records r join keys k using (key_id) group by 1, 2, 3"
        )
    };
}
macro_rules! sqlite_month {
    () => {
        "cast(strftime('%Y', occurred_at / 1000000, 'unixepoch') as integer) * 12 - 1970 * 12
            + cast(strftime('%m', occurred_at / 1000000, 'unixepoch') as integer) - 1"
    };
}
macro_rules! postgres_month {
    () => {
        "cast(extract(year from to_timestamp(occurred_at / 1000000) at time zone 'utc') as bigint) * 12
            - 1970 * 12
            + cast(extract(month from to_timestamp(occurred_at / 1000000) at time zone 'utc') as bigint) - 1"
    };
}
/// An endpoint that has no row counts as another.
macro_rules! endpoints {
    ($month:expr) => {
        differing!(
            kept!("key_id, month, endpoint", "usage_endpoints"),
            told!(
                "key_id, ",
                $month,
                ", case when exists (select 1 from usage_endpoints e
                    where e.key_id = r.key_id and e.month = ",
                $month,
                " and e.endpoint = r.endpoint)
                 then endpoint else 'other' end"
            )
        )
    };
}
/// A month in which nothing but refused debits came has a row of zeros.
macro_rules! months {
    ($month:expr) => {
        differing!(
            "select account_id, month, requests, predictions, compute_ms from usage_months
             where requests <> 0 or predictions <> 0 or compute_ms <> 0",
            concat!(
                "select account_id, ",
                $month,
                ", count(*), sum(predictions), sum(compute_ms)
                 from usage_records r join keys k using (key_id) group by 1, 2"
            )
        )
    };
}
const HOURS: &str = differing!(
    kept!("hour, key_id, service_id", "usage_hours"),
    told!("occurred_at / 3600000000, key_id, r.service_id")
);
const DAYS: &str = differing!(
    kept!("day, user_id, service_id", "usage_days"),
    told!("occurred_at / 86400000000, user_id, r.service_id")
);

impl TestStore {
    /// Asserts that each table of sums is what the records give; `case` says where, if it is not.
    pub(crate) async fn assert_sums_are_of_the_records(&self, case: &str) {
        let mut raw = self.place.connect().await;
        let (months, endpoints) = match raw {
            Raw::Sqlite(_) => (months!(sqlite_month!()), endpoints!(sqlite_month!())),
            Raw::Postgres(_) => (months!(postgres_month!()), endpoints!(postgres_month!())),
        };
        for (table, query) in [("hours", HOURS), ("days", DAYS), ("months", months), ("endpoints", endpoints)]
        {
            assert_eq!(raw.number(query).await, 0, "usage_{table} differs from the records: {case}");
        }
    }
}
