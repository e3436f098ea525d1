//! Adding up a month's records once more, and holding every sum to them. All is read in one snapshot, so it
//! comes out even while usage is being recorded.

use std::collections::{BTreeMap, HashMap};

use hokusai_core::billing::{MonthlyUsage, Terms};
use hokusai_core::calendar::{Day, Month};
use hokusai_core::time::{HOUR, Hour, Timestamp};
use hokusai_core::usage::{MAX_AHEAD, Totals};

use crate::StoreError;
use crate::database::{Database, Store, both};
use crate::usage::sums;

/// Records that are added up by one statement.
const RECORDS_AT_ONCE: i64 = 100_000;
/// Differences that are told one by one.
const MOST_TOLD: usize = 100;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Reconciliation {
    /// Records of the month that are kept.
    pub records: i64,
    /// If some were dropped: since when all are kept. Before, the hourly sums stand for them.
    pub kept_since: Option<Timestamp>,
    /// Accounts with usage in the month.
    pub accounts: Vec<ReconciledAccount>,
    /// Sums that are not what the records add up to; a hundred at most.
    pub differences: Vec<Difference>,
    /// How many there are.
    pub difference_count: usize,
}

/// An account's month, added up from records and as it is billed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconciledAccount {
    /// What it is billed by.
    pub terms: Terms,
    /// What its records add up to.
    pub from_records: MonthlyUsage,
    /// What it is billed for.
    pub billed: MonthlyUsage,
}

/// A sum that is not what the records add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The row, by what finds it.
    pub row: String,
    /// What the records add up to; as far as the table has it.
    pub from_records: Totals,
    /// What the table says.
    pub in_table: Totals,
}

/// Sums by what finds their rows.
type Rows<K> = BTreeMap<K, Totals>;
/// Hour, key, service.
type HourKey = (i64, String, String);

/// `$1`, `$2` ids, `$3`, `$4` instants.
const RECORDS: &str = "select occurred_at / 3600000000, key_id, service_id, count(*),
        cast(sum(case when status_code >= 400 then 1 else 0 end) as bigint), cast(sum(predictions) as bigint),
        cast(sum(compute_ms) as bigint), cast(sum(response_micros) as bigint)
    from usage_records where id > $1 and id <= $2 and occurred_at >= $3 and occurred_at < $4
    group by occurred_at / 3600000000, key_id, service_id";
const HOURS: &str =
    "select hour, key_id, service_id, requests, errors, predictions, compute_ms, response_micros
    from usage_hours where hour = $1";
const DAYS: &str =
    "select day, user_id, service_id, requests, errors, predictions, compute_ms, response_micros
    from usage_days where day >= $1 and day < $2";
/// Of all endpoints of a key together.
const ENDPOINTS: &str = "select month, key_id, '', cast(sum(requests) as bigint), cast(sum(errors) as bigint),
        cast(sum(predictions) as bigint), cast(sum(compute_ms) as bigint), cast(sum(response_micros) as bigint)
    from usage_endpoints where month = $1 group by month, key_id";
const MONTHS: &str =
    "select month, account_id, '', requests, cast(0 as bigint), predictions, compute_ms, cast(0 as bigint)
    from usage_months where month = $1";
/// `$1` keys.
macro_rules! owners {
    ($keys:literal) => {
        concat!("select key_id, account_id, user_id from keys where key_id in ", $keys)
    };
}
const OWNERS_SQLITE: &str = owners!("(select value from json_each($1))");
const OWNERS_POSTGRES: &str = owners!("(select value from json_array_elements_text($1::json))");

type SumRow = (i64, String, String, i64, i64, i64, i64, i64);

fn read(
    (first, second, third, requests, errors, predictions, compute_ms, response_micros): SumRow,
) -> (HourKey, Totals) {
    ((first, second, third), Totals { requests, errors, predictions, compute_ms, response_micros })
}

/// What is found out about a month.
struct Books {
    month: Month,
    /// Hours from this one on can be held to records.
    first_kept: Hour,
    records: Rows<HourKey>,
    differences: Vec<Difference>,
    difference_count: usize,
}

impl Books {
    fn new(month: Month, dropped_until: i64) -> Self {
        // A record lies that far ahead of its arrival at the most.
        let dropped = Timestamp(dropped_until).plus(MAX_AHEAD).hour();
        let first_kept = if dropped_until == 0 { Hour(0) } else { Hour(dropped.0 + 1) };
        Self { month, first_kept, records: Rows::new(), differences: Vec::new(), difference_count: 0 }
    }

    /// Holds the sums of an hour to the records; where those were dropped, takes the sums for them.
    fn add_hour(&mut self, hour: Hour, in_table: Rows<HourKey>) {
        if hour < self.first_kept {
            self.records.extend(in_table);
            return;
        }
        let next = (hour.0 + 1, String::new(), String::new());
        let first = (hour.0, String::new(), String::new());
        let of_hour = self.records.range(first..next).map(|(key, sum)| (key.clone(), *sum)).collect();
        self.compare("usage_hours", of_hour, in_table);
    }

    fn compare<K: Ord + std::fmt::Debug>(
        &mut self,
        table: &'static str,
        records: Rows<K>,
        mut in_table: Rows<K>,
    ) {
        for (row, from_records) in records {
            let in_table = in_table.remove(&row).unwrap_or_default();
            self.check(table, &row, from_records, in_table);
        }
        for (row, in_table) in in_table {
            self.check(table, &row, Totals::default(), in_table);
        }
    }

    fn check(
        &mut self,
        table: &'static str,
        row: &impl std::fmt::Debug,
        from_records: Totals,
        in_table: Totals,
    ) {
        if from_records == in_table {
            return;
        }
        self.difference_count += 1;
        if self.differences.len() < MOST_TOLD {
            self.differences.push(Difference { table, row: format!("{row:?}"), from_records, in_table });
        }
    }

    /// The records, summed by something else.
    fn by<K: Ord>(&self, key: impl Fn(&HourKey) -> K) -> Rows<K> {
        let mut sums = Rows::new();
        for (row, sum) in &self.records {
            *sums.entry(key(row)).or_default() += *sum;
        }
        sums
    }
}

/// Only what a month has of a sum.
fn billed(sum: Totals) -> Totals {
    Totals { errors: 0, response_micros: 0, ..sum }
}

fn monthly(sum: Totals) -> MonthlyUsage {
    MonthlyUsage { requests: sum.requests, predictions: sum.predictions, compute_ms: sum.compute_ms }
}

impl Store {
    /// Adds a month's records up once more. It takes as long as it takes: some seconds for a million records.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn reconcile_usage(&self, month: Month) -> Result<Reconciliation, StoreError> {
        match &self.database {
            Database::Sqlite(db) => {
                db.check_file()?;
                let found = on_sqlite::reconcile(db, month).await?;
                db.check_stillness()?;
                Ok(found)
            }
            Database::Postgres(db) => on_postgres::reconcile(db, month).await,
        }
    }
}

both! {
    pub(crate) async fn reconcile(db: &here::Db, month: Month) -> Result<Reconciliation, StoreError> {
        let mut tx = db.read().begin_with(here::SNAPSHOT).await?;
        let dropped_until: i64 =
            sqlx::query_scalar("select dropped_until from usage_horizon").fetch_one(&mut *tx).await?;
        let mut books = Books::new(month, dropped_until);
        let records = add_records(&mut tx, &mut books).await?;
        let (from, to) = month.hours();
        for hour in from.0..to.0 {
            let rows: Vec<SumRow> = sqlx::query_as(HOURS).bind(hour).fetch_all(&mut *tx).await?;
            books.add_hour(Hour(hour), rows.into_iter().map(read).collect());
        }
        let owners = owners(&mut tx, &books).await?;
        check_days(&mut tx, &mut books, &owners).await?;
        let endpoints: Vec<SumRow> = sqlx::query_as(ENDPOINTS).bind(month.0).fetch_all(&mut *tx).await?;
        let of_keys = books.by(|(_, key, _)| (month.0, key.clone(), String::new()));
        books.compare("usage_endpoints", of_keys, endpoints.into_iter().map(read).collect());
        let accounts = check_months(&mut tx, &mut books, &owners).await?;
        let some_are_gone = books.first_kept > from;
        Ok(Reconciliation {
            records,
            kept_since: some_are_gone.then(|| Timestamp(books.first_kept.0.saturating_mul(HOUR))),
            accounts,
            differences: books.differences,
            difference_count: books.difference_count,
        })
    }

    async fn add_records(tx: &mut here::Connection, books: &mut Books) -> Result<i64, StoreError> {
        let (first, last): (Option<i64>, Option<i64>) =
            sqlx::query_as("select min(id), max(id) from usage_records").fetch_one(&mut *tx).await?;
        let (Some(mut place), Some(last)) = (first.map(|first| first - 1), last) else { return Ok(0) };
        let mut count = 0;
        while place < last {
            let rows: Vec<SumRow> = sqlx::query_as(RECORDS)
                .bind(place)
                .bind(place + RECORDS_AT_ONCE)
                .bind(books.month.start().0.max(books.first_kept.0.saturating_mul(HOUR)))
                .bind(books.month.end().0)
                .fetch_all(&mut *tx)
                .await?;
            for (row, sum) in rows.into_iter().map(read) {
                count += sum.requests;
                *books.records.entry(row).or_default() += sum;
            }
            place += RECORDS_AT_ONCE;
        }
        Ok(count)
    }

    /// The account and the user of each key.
    async fn owners(
        tx: &mut here::Connection,
        books: &Books,
    ) -> Result<HashMap<String, (String, String)>, StoreError> {
        let keys: Vec<String> = books.by(|(_, key, _)| key.clone()).into_keys().collect();
        let mut owners = HashMap::new();
        for some in keys.chunks(1000) {
            let rows: Vec<(String, String, String)> =
                sqlx::query_as(here::either(OWNERS_SQLITE, OWNERS_POSTGRES))
                    .bind(sums::json(&some))
                    .fetch_all(&mut *tx)
                    .await?;
            owners.extend(rows.into_iter().map(|(key, account, user)| (key, (account, user))));
        }
        Ok(owners)
    }

    async fn check_days(
        tx: &mut here::Connection,
        books: &mut Books,
        owners: &HashMap<String, (String, String)>,
    ) -> Result<(), StoreError> {
        let (first, end) = (books.month.first_day(), books.month.next().first_day());
        let days: Vec<SumRow> = sqlx::query_as(DAYS).bind(first.0).bind(end.0).fetch_all(tx).await?;
        let user = |key: &String| owners.get(key).map(|(_, user)| user.clone()).unwrap_or_default();
        let of_days = books.by(|(hour, key, service)| {
            (Day::of(Timestamp(hour * HOUR)).0, user(key), service.clone())
        });
        books.compare("usage_days", of_days, days.into_iter().map(read).collect());
        Ok(())
    }

    async fn check_months(
        tx: &mut here::Connection,
        books: &mut Books,
        owners: &HashMap<String, (String, String)>,
    ) -> Result<Vec<ReconciledAccount>, StoreError> {
        let rows: Vec<SumRow> = sqlx::query_as(MONTHS).bind(books.month.0).fetch_all(&mut *tx).await?;
        let in_table: Rows<String> =
            rows.into_iter().map(read).map(|((_, account, _), sum)| (account, sum)).collect();
        let account = |key: &String| owners.get(key).map(|(account, _)| account.clone()).unwrap_or_default();
        let sums = books.by(|(_, key, _)| account(key)).into_iter();
        let of_accounts: Rows<String> = sums.map(|(account, sum)| (account, billed(sum))).collect();
        let mut accounts = Vec::new();
        let mut of_key: BTreeMap<&String, &String> = BTreeMap::new();
        of_key.extend(owners.iter().map(|(key, (account, _))| (account, key)));
        for (account, key) in of_key {
            let Ok(id) = key.parse() else { continue };
            let standing = here::billing::standing(tx, id, books.month).await?;
            accounts.push(ReconciledAccount {
                terms: standing.terms,
                from_records: of_accounts.get(account).copied().map(monthly).unwrap_or_default(),
                billed: standing.usage,
            });
        }
        books.compare("usage_months", of_accounts, in_table);
        Ok(accounts)
    }
}
