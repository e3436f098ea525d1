//! Taking reports.

use std::collections::{BTreeSet, HashMap, HashSet};

use hokusai_core::billing::Plans;
use hokusai_core::id::{AccountId, KeyId};
use hokusai_core::usage::{Kept, RecordId};

use crate::StoreError;
use crate::database::both;
use crate::keys::damaged;
use crate::usage::columns::Columns;
use crate::usage::intake::{Intake, Owner, Row};
use crate::usage::{Recorded, Remembered, Report, sums};

/// `$1` keys.
macro_rules! owners {
    ($keys:literal) => {
        concat!("select key_id, account_id, user_id, service_id from keys where key_id in ", $keys)
    };
}
const OWNERS_SQLITE: &str = owners!("(select value from json_each($1))");
const OWNERS_POSTGRES: &str = owners!("(select value from json_array_elements_text($1::json))");
/// `$1` now, then records.
macro_rules! insert_records {
    (sqlite $(, $returning:literal)?) => {
        insert_records!(
            "select unhex(value ->> 0), $1, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
                value ->> 6, value ->> 7, value ->> 8, value ->> 9 from json_each($2) where true"
            $(, $returning)?
        )
    };
    (postgres $(, $returning:literal)?) => {
        insert_records!(
            "select t.record_id, $1, t.occurred_at, t.key_id, t.service_id, t.endpoint, t.model_id, t.status_code,
                t.response_micros, t.predictions, t.compute_ms
             from unnest($2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
                $9::bigint[], $10::bigint[], $11::bigint[]) as t (record_id, occurred_at, key_id, service_id,
                endpoint, model_id, status_code, response_micros, predictions, compute_ms)"
            $(, $returning)?
        )
    };
    ($records:literal $(, $returning:literal)?) => {
        concat!(
            "insert into usage_records (record_id, received_at, occurred_at, key_id, service_id, endpoint,
                model_id, status_code, response_micros, predictions, compute_ms) ",
            $records,
            " on conflict (record_id) do nothing "
            $(, $returning)?
        )
    };
}
const INSERT_SQLITE: &str = insert_records!(sqlite);
const INSERT_POSTGRES: &str = insert_records!(postgres);
const INSERT_AND_TELL_SQLITE: &str = insert_records!(sqlite, "returning record_id");
const INSERT_AND_TELL_POSTGRES: &str = insert_records!(postgres, "returning record_id");

const DELETE_SQLITE: &str =
    "delete from usage_records where record_id in (select unhex(value) from json_each($1))";
const DELETE_POSTGRES: &str = "delete from usage_records
    where record_id in (select decode(value, 'hex') from json_array_elements_text($1::json))";

/// The records, as the statement takes them.
fn columns<'a>(rows: &[Row<'a>]) -> Columns<'a> {
    Columns::default()
        .records(rows.iter().map(|row| row.record.id))
        .numbers(rows.iter().map(|row| row.at.0))
        .texts(rows.iter().map(|row| row.record.key.to_string()))
        .texts(rows.iter().map(Row::service))
        .texts(rows.iter().map(|row| &*row.record.endpoint))
        .names(rows.iter().map(|row| row.record.model_id.as_deref()))
        .numbers(rows.iter().map(|row| row.record.status_code.into()))
        .numbers(rows.iter().map(|row| row.record.response_micros))
        .numbers(rows.iter().map(|row| row.record.predictions))
        .numbers(rows.iter().map(|row| row.record.compute_ms))
}

both! {
    pub(crate) async fn record_usage(
        db: &here::Db,
        known: &Remembered,
        reports: &[&Report],
        plans: &Plans,
        retention_days: i64,
    ) -> Result<Vec<Recorded>, StoreError> {
        // Repetitions are rare. To be told of each record whether it is new costs more than to insert it, so
        // that is asked only where not all of them are.
        let rules = (plans, retention_days);
        match attempt(db, known, reports, rules, false).await? {
            Some(outcomes) => Ok(outcomes),
            None => Ok(attempt(db, known, reports, rules, true).await?.unwrap_or_default()),
        }
    }

    /// `None`: there is a repetition, and it was not asked which; nothing was written.
    async fn attempt(
        db: &here::Db,
        known: &Remembered,
        reports: &[&Report],
        (plans, retention_days): (&Plans, i64),
        ask: bool,
    ) -> Result<Option<Vec<Recorded>>, StoreError> {
        let mut tx = db.begin().await?;
        let dropped_until = here::usage_horizon::share_horizon(&mut tx).await?;
        let now = here::now(db, &mut tx).await?;
        let owners = owners(&mut tx, known, reports).await?;
        let mut intake = Intake::new(reports, &owners, now, Kept { retention_days, dropped_until });
        if !intake.rows.is_empty() {
            if ask {
                let new = insert_and_tell(&mut tx, &intake).await?;
                intake.keep_new(Some(&new));
            } else if insert(&mut tx, &intake).await? == intake.rows.len() as u64 {
                intake.keep_new(None);
            } else {
                return Ok(None);
            }
            bill(&mut tx, &mut intake, plans).await?;
            here::usage_sums::add_hours(&mut tx, &intake.hours()).await?;
            here::usage_sums::add_days(&mut tx, &intake.days()).await?;
            here::usage_sums::add_endpoints(&mut tx, &known.endpoints, intake.endpoints()).await?;
        }
        tx.commit().await?;
        Ok(Some(intake.outcomes()))
    }

    /// Whose the keys are: most were asked for before.
    async fn owners(
        tx: &mut here::Connection,
        known: &Remembered,
        reports: &[&Report],
    ) -> Result<HashMap<KeyId, Owner>, StoreError> {
        let records = reports.iter().flat_map(|report| &report.records);
        let keys: BTreeSet<KeyId> = records.map(|record| record.key).collect();
        let mut owners: HashMap<KeyId, Owner> =
            keys.iter().filter_map(|key| Some((*key, known.owners.get(key)?))).collect();
        let unknown: Vec<String> =
            keys.iter().filter(|key| !owners.contains_key(key)).map(KeyId::to_string).collect();
        if unknown.is_empty() {
            return Ok(owners);
        }
        let rows: Vec<(String, String, String, String)> =
            sqlx::query_as(here::either(OWNERS_SQLITE, OWNERS_POSTGRES))
                .bind(sums::json(&unknown))
                .fetch_all(tx)
                .await?;
        for (key, account, user_id, service_id) in rows {
            let key: KeyId = key.parse().map_err(damaged("key"))?;
            let account: AccountId = account.parse().map_err(damaged("key"))?;
            let owner = Owner { account, user_id: user_id.into(), service_id: service_id.into() };
            known.owners.insert(key, owner.clone());
            owners.insert(key, owner);
        }
        Ok(owners)
    }

    /// Inserts the records in the order of their ids; says how many were not there.
    async fn insert(tx: &mut here::Connection, intake: &Intake<'_>) -> Result<u64, StoreError> {
        let records = here::arguments(&[intake.now.0], columns(&intake.rows))?;
        let insert = sqlx::query_with(here::either(INSERT_SQLITE, INSERT_POSTGRES), records);
        Ok(insert.execute(tx).await?.rows_affected())
    }

    /// The same, but says which.
    async fn insert_and_tell(
        tx: &mut here::Connection,
        intake: &Intake<'_>,
    ) -> Result<HashSet<RecordId>, StoreError> {
        let records = here::arguments(&[intake.now.0], columns(&intake.rows))?;
        let insert = here::either(INSERT_AND_TELL_SQLITE, INSERT_AND_TELL_POSTGRES);
        let new: Vec<Vec<u8>> = sqlx::query_scalar_with(insert, records).fetch_all(tx).await?;
        let id = |bytes: &Vec<u8>| RecordId::from_bytes(bytes).ok_or(StoreError::Damaged { what: "record" });
        new.iter().map(id).collect()
    }

    /// Adds to the months; debits last, once nobody else can change what they are judged by.
    async fn bill(
        tx: &mut here::Connection,
        intake: &mut Intake<'_>,
        plans: &Plans,
    ) -> Result<(), StoreError> {
        here::usage_sums::add_months(tx, &intake.months()).await?;
        let debits = intake.debits();
        if debits.is_empty() {
            return Ok(());
        }
        let (mut terms, mut used) = (HashMap::new(), HashMap::new());
        for (key, (account, month)) in debits {
            let standing = here::billing::standing(tx, key, month).await?;
            used.insert((account, month), standing.usage.predictions);
            terms.insert((account, month), standing.terms);
        }
        let (more, refused) = intake.decide_debits(plans, &terms, used);
        here::usage_sums::add_months(tx, &more).await?;
        let ids: Vec<String> = refused.iter().map(RecordId::to_string).collect();
        sqlx::query(here::either(DELETE_SQLITE, DELETE_POSTGRES)).bind(sums::json(&ids)).execute(tx).await?;
        Ok(())
    }
}
