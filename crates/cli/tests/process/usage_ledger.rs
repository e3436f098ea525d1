//! What the database holds of usage, read behind the service's back.

use std::collections::{BTreeMap, HashMap};

use hokusai_core::calendar::{Day, Month};
use hokusai_core::time::Timestamp;
use hokusai_core::usage::RecordId;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection as _, FromRow};

use crate::site::Site;
use crate::usage_reports::Record;

const RECORDS: &str = "select record_id, received_at, occurred_at, key_id, service_id, endpoint, status_code,
    response_micros, predictions, compute_ms from usage_records";
const HOURS: &str = "select hour, key_id, service_id, requests, errors, predictions, compute_ms,
    response_micros from usage_hours";
const DAYS: &str = "select day, user_id, service_id, requests, errors, predictions, compute_ms,
    response_micros from usage_days";
const ENDPOINTS: &str = "select month, key_id, endpoint, requests, errors, predictions, compute_ms,
    response_micros from usage_endpoints";
const MONTHS: &str = "select month, account_id, '', requests, predictions, compute_ms from usage_months";
const OWNERS: &str = "select key_id, account_id, user_id from keys";

type RecordRow = (Vec<u8>, i64, i64, String, String, String, i64, i64, i64, i64);
type SumRow = (i64, String, String, i64, i64, i64, i64, i64);
type MonthRow = (i64, String, String, i64, i64, i64);
/// Sums by a span of time and two names.
type Sums<const N: usize> = BTreeMap<(i64, String, String), [i64; N]>;

/// All records, and whose they are.
pub(crate) struct Ledger {
    records: Vec<(RecordId, Timestamp, Record)>,
    /// The account and user of a key.
    owners: HashMap<String, (String, String)>,
    hours: Sums<5>,
    days: Sums<5>,
    endpoints: Sums<5>,
    months: Sums<3>,
}

impl Ledger {
    pub(crate) fn of(site: &Site) -> Self {
        let url = site.database();
        let owners: Vec<(String, String, String)> = fetch(&url, OWNERS);
        let months: Vec<MonthRow> = fetch(&url, MONTHS);
        Self {
            records: fetch(&url, RECORDS).into_iter().map(record).collect(),
            owners: owners.into_iter().map(|(key, account, user)| (key, (account, user))).collect(),
            hours: sums(&url, HOURS),
            days: sums(&url, DAYS),
            endpoints: sums(&url, ENDPOINTS),
            months: months.into_iter().map(|(at, a, b, n, p, c)| ((at, a, b), [n, p, c])).collect(),
        }
    }

    /// Holds exactly these records, each once, and all sums are those of the records.
    pub(crate) fn assert_holds(&self, taken: &HashMap<RecordId, Record>) {
        let mut lost = taken.clone();
        for (id, _, record) in &self.records {
            let answered = lost.remove(id);
            assert!(answered.is_some(), "a record was not answered with 200, or counts twice: {record:?}");
            assert_eq!(answered.as_ref(), Some(record));
        }
        let shown: Vec<_> = lost.values().take(3).collect();
        assert!(lost.is_empty(), "{} of {} answered records are lost: {shown:?}", lost.len(), taken.len());
        assert_eq!(self.hours, self.sum(|at, record| (at.hour().0, &record.key_id, &record.service_id)));
        assert_eq!(self.days, self.sum(|at, record| (Day::of(at).0, self.user(record), &record.service_id)));
        assert_eq!(
            self.endpoints,
            self.sum(|at, record| (Month::of(at).0, &record.key_id, &record.endpoint))
        );
        let months = self.sum(|at, record| (Month::of(at).0, &self.owners[&record.key_id].0, ""));
        let billed = months.into_iter().map(|(month, [n, _, p, c, _])| (month, [n, p, c])).collect();
        assert_eq!(self.months, billed);
    }

    /// The predictions that a key's account was billed in each month.
    pub(crate) fn predictions_by_month(&self, key_id: &str) -> Vec<i64> {
        let account = &self.owners[key_id].0;
        let of_key = self.months.iter().filter(|((_, of, _), _)| of == account);
        of_key.map(|(_, [_, predictions, _])| *predictions).collect()
    }

    fn user(&self, record: &Record) -> &str {
        &self.owners[&record.key_id].1
    }

    fn sum<'a>(&'a self, place: impl Fn(Timestamp, &'a Record) -> (i64, &'a str, &'a str)) -> Sums<5> {
        let mut sums = Sums::new();
        for (_, at, record) in &self.records {
            let (span, one, other) = place(*at, record);
            let sum = sums.entry((span, one.to_owned(), other.to_owned())).or_insert([0; 5]);
            let is_error = i64::from(record.status_code >= 400);
            let figures = [1, is_error, record.predictions, record.compute_ms, record.response_micros];
            for (sum, figure) in sum.iter_mut().zip(figures) {
                *sum += figure;
            }
        }
        sums
    }
}

fn record(row: RecordRow) -> (RecordId, Timestamp, Record) {
    let (id, received_at, occurred_at, key_id, service_id, endpoint, ..) = row;
    let (.., status_code, response_micros, predictions, compute_ms) = (row.6, row.7, row.8, row.9);
    let record = Record {
        key_id,
        service_id,
        endpoint,
        status_code,
        response_micros,
        predictions,
        compute_ms,
        occurred_at: (occurred_at != received_at).then_some(occurred_at),
    };
    (RecordId::from_bytes(&id).unwrap(), Timestamp(occurred_at), record)
}

fn sums(url: &str, query: &'static str) -> Sums<5> {
    let rows: Vec<SumRow> = fetch(url, query);
    rows.into_iter().map(|(at, a, b, n, e, p, c, r)| ((at, a, b), [n, e, p, c, r])).collect()
}

fn fetch<T>(url: &str, query: &'static str) -> Vec<T>
where
    T: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            let rows = sqlx::query_as(query).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            rows
        } else {
            let mut connection = PgConnection::connect(url).await.unwrap();
            sqlx::query_as(query).fetch_all(&mut connection).await.unwrap()
        }
    })
}
