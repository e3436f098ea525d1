//! The audit log, read. Only `change.rs` writes it.

use hokusai_core::audit::{Entry, Head, SealedEntry};
use hokusai_core::time::Timestamp;

use crate::StoreError;
use crate::database::{Store, both, run};

/// Which entries to list, newest first.
#[derive(Clone, Debug)]
pub struct AuditFilter {
    /// Only what this user did.
    pub user_id: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only what was done to this key or token.
    pub target: Option<String>,
    /// Only what was done from this address.
    pub address: Option<String>,
    /// Only from this instant on.
    pub since: Option<Timestamp>,
    /// Only before this instant.
    pub until: Option<Timestamp>,
    /// Only those whose number is below this one.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

/// Which entries to read, oldest first.
#[derive(Clone, Debug)]
pub struct AuditStretch {
    /// Only from this instant on.
    pub since: Option<Timestamp>,
    /// Only before this instant.
    pub until: Option<Timestamp>,
    /// Only those whose number is above this one.
    pub after: i64,
    /// At most so many; one more if it shares its number with the last.
    pub limit: i64,
}

macro_rules! columns {
    // SQLite stores what it is given, whatever the column's type. Who verifies the log has to be able to
    // read what somebody put there: it is made to be of the right type, and does not fit its seal then.
    (sqlite) => {
        "select cast(number as integer) as number, cast(at as integer) as at,
            cast(user_id as text) as user_id, cast(token_id as text) as token_id,
            cast(action as text) as action,
            cast(target as text) as target, cast(address as text) as address,
            cast(request_id as text) as request_id, cast(detail as text) as detail,
            cast(seal as blob) as seal
        from audit"
    };
    (postgres) => {
        "select number, at, user_id, token_id, action, target, address, request_id, detail, seal from audit"
    };
}

/// One text for each index that a list can follow: a condition that may be absent hinders both databases.
macro_rules! list {
    ($database:ident, $($first:literal)?) => {
        concat!(
            columns!($database),
            " where number < $1 and ($2 is null or at >= $2) and ($3 is null or at < $3)
                and ($4 is null or target = $4)
                and ($5 is null or user_id = $5) and ($6 is null or address = $6)
                and ($7 is null or action = $7)",
            $(" and ", $first,)?
            " order by number desc limit $8"
        )
    };
}

macro_rules! lists {
    ($database:ident) => {
        [
            list!($database, "target = $4"),
            list!($database, "user_id = $5"),
            list!($database, "address = $6"),
            list!($database, "action = $7"),
            list!($database,),
        ]
    };
}

macro_rules! stretch {
    ($database:ident) => {
        concat!(
            columns!($database),
            " where number > $1 and ($2 is null or at >= $2) and ($3 is null or at < $3)
                order by number limit $4"
        )
    };
}

const LISTS_SQLITE: [&str; 5] = lists!(sqlite);
const LISTS_POSTGRES: [&str; 5] = lists!(postgres);

#[derive(sqlx::FromRow)]
pub(crate) struct AuditRow {
    number: i64,
    at: i64,
    user_id: String,
    token_id: String,
    action: String,
    target: String,
    address: String,
    request_id: String,
    detail: String,
    seal: Vec<u8>,
}

#[derive(sqlx::FromRow)]
pub(crate) struct HeadRow {
    audit_number: i64,
    audit_seal: Vec<u8>,
    highest: i64,
    fingerprint: Vec<u8>,
}

impl From<AuditRow> for SealedEntry {
    fn from(row: AuditRow) -> Self {
        let entry = Entry {
            number: row.number,
            at: Timestamp(row.at),
            user_id: row.user_id,
            token_id: row.token_id,
            action: row.action,
            target: row.target,
            address: row.address,
            request_id: row.request_id,
            detail: row.detail,
        };
        Self { entry, seal: row.seal }
    }
}

impl From<HeadRow> for Head {
    fn from(row: HeadRow) -> Self {
        let HeadRow { audit_number: number, audit_seal: seal, highest, fingerprint } = row;
        Self { number, seal, highest, fingerprint }
    }
}

impl AuditFilter {
    /// Which of the lists follows the index that leaves the fewest entries.
    fn list(&self) -> usize {
        let conditions = [&self.target, &self.user_id, &self.address, &self.action];
        conditions.iter().position(|condition| condition.is_some()).unwrap_or(conditions.len())
    }
}

impl Store {
    /// Lists entries of the audit log.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn list_audit(&self, filter: &AuditFilter) -> Result<Vec<SealedEntry>, StoreError> {
        Ok(run!(self, list_audit(filter))?.into_iter().map(SealedEntry::from).collect())
    }

    /// Reads the next entries of a stretch of the audit log. Entries that share a number, as there should be
    /// none, are not parted.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn read_audit(&self, stretch: &AuditStretch) -> Result<Vec<SealedEntry>, StoreError> {
        let mut rows = run!(self, read_audit(stretch))?;
        let is_over = i64::try_from(rows.len()).is_ok_and(|length| length > stretch.limit);
        let share_a_number = matches!(&rows[..], [.., one, other] if one.number == other.number);
        if is_over && !share_a_number {
            rows.pop();
        }
        Ok(rows.into_iter().map(SealedEntry::from).collect())
    }

    /// Where the audit log stands, all of one instant.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn audit_head(&self) -> Result<Head, StoreError> {
        run!(self, audit_head()).map(Head::from)
    }
}

both! {
    pub(crate) async fn list_audit(db: &here::Db, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let list = filter.list();
        let rows = sqlx::query_as(here::either(LISTS_SQLITE[list], LISTS_POSTGRES[list]))
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(filter.since.map(|since| since.0))
            .bind(filter.until.map(|until| until.0))
            .bind(&filter.target)
            .bind(&filter.user_id)
            .bind(&filter.address)
            .bind(&filter.action)
            .bind(filter.limit);
        Ok(rows.fetch_all(db.read()).await?)
    }

    pub(crate) async fn read_audit(
        db: &here::Db,
        stretch: &AuditStretch,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query_as(here::either(stretch!(sqlite), stretch!(postgres)))
            .bind(stretch.after)
            .bind(stretch.since.map(|since| since.0))
            .bind(stretch.until.map(|until| until.0))
            .bind(stretch.limit.saturating_add(1));
        Ok(rows.fetch_all(db.read()).await?)
    }

    pub(crate) async fn audit_head(db: &here::Db) -> Result<HeadRow, StoreError> {
        let head = sqlx::query_as(here::either(
            "select audit_number, cast(audit_seal as blob) as audit_seal,
                cast(coalesce((select max(number) from audit), 0) as integer) as highest,
                cast(coalesce(audit_key_fingerprint, x'') as blob) as fingerprint
             from authority where id = 1",
            "select audit_number, audit_seal, coalesce((select max(number) from audit), 0) as highest,
                coalesce(audit_key_fingerprint, '') as fingerprint
             from authority where id = 1",
        ));
        Ok(head.fetch_one(db.read()).await?)
    }
}
