//! The audit log, read. Only `change.rs` writes it.

use hokusai_core::audit::{Entry, Form, Head, SealedEntry};
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
    /// Only what was done to this key, token or model.
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
    /// Only those whose number is this one or a higher one.
    pub from: i64,
    /// At most so many; one more if it shares its number with the last.
    pub limit: i64,
}

macro_rules! columns {
    // SQLite stores what it is given, whatever the column's type. Who verifies the log has to be able to
    // read what somebody put there: it is made to be of the right type, and it is told that it was not.
    (sqlite) => {
        "select coalesce(cast(number as integer), 0) as number, coalesce(cast(at as integer), 0) as at,
            coalesce(cast(user_id as blob), x'') as user_id,
            coalesce(cast(token_id as blob), x'') as token_id,
            coalesce(cast(action as blob), x'') as action,
            coalesce(cast(target as blob), x'') as target,
            coalesce(cast(address as blob), x'') as address,
            coalesce(cast(request_id as blob), x'') as request_id,
            coalesce(cast(detail as blob), x'') as detail, coalesce(cast(seal as blob), x'') as seal,
            typeof(number) = 'integer' as is_numbered,
            typeof(at) = 'integer' and typeof(user_id) = 'text' and typeof(token_id) = 'text'
                and typeof(action) = 'text' and typeof(target) = 'text' and typeof(address) = 'text'
                and typeof(request_id) = 'text' and typeof(detail) = 'text' and typeof(seal) = 'blob'
                as is_whole
        from audit"
    };
    (postgres) => {
        "select number, at, convert_to(user_id, 'UTF8') as user_id, convert_to(token_id, 'UTF8') as token_id,
            convert_to(action, 'UTF8') as action, convert_to(target, 'UTF8') as target,
            convert_to(address, 'UTF8') as address, convert_to(request_id, 'UTF8') as request_id,
            convert_to(detail, 'UTF8') as detail, seal, true as is_numbered, true as is_whole
        from audit"
    };
}

/// One text for each index that a list can follow: a condition that may be absent hinders both databases.
/// The order is that of the column, as the index has it, and not of what is selected under its name.
macro_rules! list {
    ($database:ident, $($first:literal)?) => {
        concat!(
            columns!($database),
            " where number <= $1 and ($2 is null or at >= $2) and ($3 is null or at < $3)
                and ($4 is null or target = $4)
                and ($5 is null or user_id = $5) and ($6 is null or address = $6)
                and ($7 is null or action = $7)",
            $(" and ", $first,)?
            " order by audit.number desc limit $8"
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
            " where number >= $1 and ($2 is null or at >= $2) and ($3 is null or at < $3)
                order by audit.number limit $4"
        )
    };
}

const LISTS_SQLITE: [&str; 5] = lists!(sqlite);
const LISTS_POSTGRES: [&str; 5] = lists!(postgres);

#[derive(sqlx::FromRow)]
pub(crate) struct AuditRow {
    number: i64,
    at: i64,
    user_id: Vec<u8>,
    token_id: Vec<u8>,
    action: Vec<u8>,
    target: Vec<u8>,
    address: Vec<u8>,
    request_id: Vec<u8>,
    detail: Vec<u8>,
    seal: Vec<u8>,
    is_numbered: bool,
    is_whole: bool,
}

#[derive(sqlx::FromRow)]
pub(crate) struct HeadRow {
    audit_number: i64,
    audit_seal: Vec<u8>,
    highest: i64,
    fingerprint: Vec<u8>,
    has_unnumbered: bool,
    is_readable: bool,
}

impl From<AuditRow> for SealedEntry {
    fn from(row: AuditRow) -> Self {
        let mut is_whole = row.is_whole;
        let mut text = |bytes: Vec<u8>| {
            String::from_utf8(bytes).unwrap_or_else(|error| {
                is_whole = false;
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            })
        };
        let entry = Entry {
            number: row.number,
            at: Timestamp(row.at),
            user_id: text(row.user_id),
            token_id: text(row.token_id),
            action: text(row.action),
            target: text(row.target),
            address: text(row.address),
            request_id: text(row.request_id),
            detail: text(row.detail),
        };
        let form = match (row.is_numbered, is_whole) {
            (true, true) => Form::Whole,
            (true, false) => Form::Damaged,
            (false, _) => Form::Unnumbered,
        };
        Self { entry, seal: row.seal, form }
    }
}

impl HeadRow {
    fn head(self) -> Option<Head> {
        let Self { audit_number: number, audit_seal: seal, highest, fingerprint, has_unnumbered, .. } = self;
        self.is_readable.then_some(Head { number, seal, highest, fingerprint, has_unnumbered })
    }
}

impl AuditFilter {
    /// Which of the lists follows the index that leaves the fewest entries.
    fn list(&self) -> usize {
        let conditions = [&self.target, &self.user_id, &self.address, &self.action];
        conditions.iter().position(|condition| condition.is_some()).unwrap_or(conditions.len())
    }
}

impl AuditStretch {
    /// The rest of it, once all up to `last` were read; `None` if nothing can come behind that.
    #[must_use]
    pub fn behind(&self, last: &SealedEntry) -> Option<Self> {
        let number = Some(last.entry.number).filter(|_| last.form != Form::Unnumbered)?;
        Some(Self { from: number.checked_add(1)?, ..self.clone() })
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

    /// Where the audit log stands, all of one instant; `None` if what the database holds of it is gone or
    /// can't be read.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn audit_head(&self) -> Result<Option<Head>, StoreError> {
        Ok(run!(self, audit_head())?.and_then(HeadRow::head))
    }
}

both! {
    pub(crate) async fn list_audit(db: &here::Db, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let list = filter.list();
        let rows = sqlx::query_as(here::either(LISTS_SQLITE[list], LISTS_POSTGRES[list]))
            .bind(filter.before.map_or(i64::MAX, |before| before.saturating_sub(1)))
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
            .bind(stretch.from)
            .bind(stretch.since.map(|since| since.0))
            .bind(stretch.until.map(|until| until.0))
            .bind(stretch.limit.saturating_add(1));
        Ok(rows.fetch_all(db.read()).await?)
    }

    pub(crate) async fn audit_head(db: &here::Db) -> Result<Option<HeadRow>, StoreError> {
        // On SQLite whatever is no number, and numbers of which there are no such integers, come behind all
        // integers, and nulls before them.
        let head = sqlx::query_as(here::either(
            "select coalesce(cast(audit_number as integer), 0) as audit_number,
                coalesce(cast(audit_seal as blob), x'') as audit_seal,
                coalesce((select cast(max(number) as integer) from audit where number <= 9223372036854775807), 0)
                    as highest,
                coalesce(cast(audit_key_fingerprint as blob), x'') as fingerprint,
                exists (select 1 from audit where number > 9223372036854775807)
                    or exists (select 1 from audit where number is null) as has_unnumbered,
                typeof(audit_number) = 'integer' as is_readable
             from authority where id = 1",
            "select audit_number, audit_seal, coalesce((select max(number) from audit), 0) as highest,
                coalesce(audit_key_fingerprint, '') as fingerprint,
                false as has_unnumbered, true as is_readable
             from authority where id = 1",
        ));
        Ok(head.fetch_optional(db.read()).await?)
    }
}
