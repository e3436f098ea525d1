//! Sums of refused calls. They are statistics, outside of the audit chain.

use hokusai_core::refused_calls::{Refused, RefusedSum};
use hokusai_core::time::Timestamp;

use crate::StoreError;
use crate::database::{Store, both, run};

/// Which sums to list, newest minute first.
#[derive(Clone, Debug)]
pub struct RefusedFilter {
    /// Only calls from this address.
    pub address: Option<String>,
    /// Only minutes that begin at this instant or later.
    pub since: Option<Timestamp>,
    /// Only minutes that begin before this instant.
    pub until: Option<Timestamp>,
    /// Only those that are listed after this one.
    pub after: Option<Refused>,
    /// At most so many.
    pub limit: i64,
}

/// Sums are added in one order, so that nodes that write at once never wait for each other in a circle.
macro_rules! note {
    ($rows:literal) => {
        concat!(
            "insert into refused_calls (minute, address, code, count)
                select minute, address, code, count from (",
            $rows,
            ") noted where true order by minute, address, code
                on conflict (minute, address, code)
                do update set count = refused_calls.count + excluded.count"
        )
    };
}

const NOTE_SQLITE: &str = note!(
    "select value ->> 0 as minute, value ->> 1 as address, value ->> 2 as code, value ->> 3 as count
        from json_each($1)"
);
const NOTE_POSTGRES: &str = note!(
    "select (value ->> 0)::bigint as minute, value ->> 1 as address, value ->> 2 as code,
        (value ->> 3)::bigint as count
        from json_array_elements($1::json)"
);

macro_rules! list {
    ($($first:literal)?) => {
        concat!(
            "select minute, address, code, count from refused_calls
                where minute >= $1 and minute < $2 and (minute, address, code) < ($3, $4, $5)
                and ($6 is null or address = $6)",
            $(" and ", $first,)?
            " order by minute desc, address desc, code desc limit $7"
        )
    };
}

#[derive(sqlx::FromRow)]
pub(crate) struct RefusedRow {
    minute: i64,
    address: String,
    code: String,
    count: i64,
}

impl From<RefusedRow> for RefusedSum {
    fn from(row: RefusedRow) -> Self {
        let refused = Refused { minute: Timestamp(row.minute), address: row.address, code: row.code };
        Self { refused, count: row.count }
    }
}

impl Store {
    /// Adds to the sums, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn note_refused_calls(&self, sums: &[RefusedSum]) -> Result<(), StoreError> {
        run!(self, note_refused_calls(sums))
    }

    /// Lists sums.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn list_refused_calls(&self, filter: &RefusedFilter) -> Result<Vec<RefusedSum>, StoreError> {
        Ok(run!(self, list_refused_calls(filter))?.into_iter().map(RefusedSum::from).collect())
    }

    /// Drops sums of minutes that began before `before`, at most `most` of them; says how many it dropped.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn prune_refused_calls(&self, before: Timestamp, most: i64) -> Result<u64, StoreError> {
        run!(self, prune_refused_calls(before, most))
    }
}

/// A text as JSON. What is counted is an address or a code; anything else would still be no more than a text.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push('?'),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

both! {
    pub(crate) async fn note_refused_calls(db: &here::Db, sums: &[RefusedSum]) -> Result<(), StoreError> {
        let rows: Vec<String> = sums
            .iter()
            .map(|RefusedSum { refused, count }| {
                let (address, code) = (quoted(&refused.address), quoted(&refused.code));
                format!("[{},{address},{code},{count}]", refused.minute.0)
            })
            .collect();
        let note = sqlx::query(here::either(NOTE_SQLITE, NOTE_POSTGRES));
        note.bind(format!("[{}]", rows.join(","))).execute(db.write()).await?;
        Ok(())
    }

    pub(crate) async fn list_refused_calls(
        db: &here::Db,
        filter: &RefusedFilter,
    ) -> Result<Vec<RefusedRow>, StoreError> {
        let list = if filter.address.is_some() { list!("address = $6") } else { list!() };
        let after = filter.after.as_ref();
        let rows = sqlx::query_as(list)
            .bind(filter.since.map_or(i64::MIN, |since| since.0))
            .bind(filter.until.map_or(i64::MAX, |until| until.0))
            .bind(after.map_or(i64::MAX, |after| after.minute.0))
            .bind(after.map_or("", |after| &after.address))
            .bind(after.map_or("", |after| &after.code))
            .bind(&filter.address)
            .bind(filter.limit);
        Ok(rows.fetch_all(db.read()).await?)
    }

    pub(crate) async fn prune_refused_calls(
        db: &here::Db,
        before: Timestamp,
        most: i64,
    ) -> Result<u64, StoreError> {
        let prune = "delete from refused_calls where (minute, address, code) in
            (select minute, address, code from refused_calls where minute < $1
             order by minute, address, code limit $2)";
        Ok(sqlx::query(prune).bind(before.0).bind(most).execute(db.write()).await?.rows_affected())
    }
}
