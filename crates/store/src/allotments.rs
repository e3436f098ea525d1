//! Allotments: which process may admit how many requests of an account in an hour.
//!
//! One statement decides and writes, for many accounts at once: `allotted = used + min(want, what the
//! limit leaves)`. On PostgreSQL the accounts are locked first, in the order of their ids, so that the
//! statement sees what every earlier one wrote; SQLite has one writer, and there the statement is the whole
//! transaction. It names the hour by the store's own clock, and never an earlier one than was ever named.

use std::collections::HashMap;
use std::time::Duration;

use hokusai_core::allotment::{Answer, Ask};
use hokusai_core::debt::Debt;
use hokusai_core::id::{AccountId, HolderId};
use hokusai_core::time::Hour;

use crate::StoreError;
use crate::database::{Store, both, run};
use crate::keys::damaged;

/// One account's message.
#[derive(Clone, Copy, Debug)]
pub struct AccountAsk {
    /// The account.
    pub account: AccountId,
    /// What the holder says of it.
    pub ask: Ask,
}

/// Which messages are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum If {
    /// Those that are newer than the latest of their holder and account.
    Newer,
    /// Those that are the first of their holder and account in the hour.
    First,
}

/// Stands for the hour of a message that is carried out only if it is the first.
const ONLY_FIRST: i64 = -2;

/// What the deciding statement wrote, and how the account stands after it.
#[derive(sqlx::FromRow)]
pub(crate) struct AllottedRow {
    account_id: String,
    hour: i64,
    seq: i64,
    allotted: i64,
    used: i64,
    awaited: i64,
    asked_at: i64,
    rate_limit_per_hour: i64,
    /// What other holders may spend.
    others: i64,
    holders: i64,
    reclaimable: bool,
    living: bool,
    /// The latest hour that was named before.
    known_hour: i64,
}

impl Store {
    /// Carries the messages of `holder` out at once, and answers each that was new, in the order
    /// of `asks`. An account may occur once.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer; the whole may have happened all the same, which the
    /// next message about an account puts right.
    pub async fn allot(
        &self,
        holder: HolderId,
        asks: &[AccountAsk],
    ) -> Result<Vec<Option<Answer>>, StoreError> {
        self.answer(holder, asks, If::Newer).await
    }

    /// As [`Store::allot`], for accounts of which `holder` has nothing in this hour. Where it has, or had,
    /// nothing is written or answered.
    ///
    /// # Errors
    /// As [`Store::allot`].
    pub async fn allot_first(
        &self,
        holder: HolderId,
        asks: &[AccountAsk],
    ) -> Result<Vec<Option<Answer>>, StoreError> {
        self.answer(holder, asks, If::First).await
    }

    async fn answer(
        &self,
        holder: HolderId,
        asks: &[AccountAsk],
        only: If,
    ) -> Result<Vec<Option<Answer>>, StoreError> {
        let mut answers = HashMap::new();
        for row in run!(self, allot(holder, asks, only))? {
            let id: AccountId = row.account_id.parse().map_err(damaged("account"))?;
            answers.insert(id, answer(&row)?);
        }
        Ok(asks.iter().map(|ask| answers.remove(&ask.account)).collect())
    }

    /// Counts debts against their hours: what was admitted while nobody could be asked. Settling a debt again
    /// counts what it has grown by. Debts of accounts that do not exist are passed over.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn settle_debts(&self, debts: &[Debt]) -> Result<(), StoreError> {
        if debts.is_empty() { Ok(()) } else { run!(self, settle_debts(debts)) }
    }

    /// Drops the counts of hours before `hour`, at most `most` of them; says how many it dropped.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn prune_allotments(&self, hour: Hour, most: i64) -> Result<u64, StoreError> {
        run!(self, prune_allotments(hour, most))
    }
}

fn answer(row: &AllottedRow) -> Result<Answer, StoreError> {
    let count = |number: i64| u32::try_from(number).map_err(damaged("allotment"));
    let hour = Hour(row.hour);
    let expires_in = u64::try_from(hour.end().0 - row.asked_at).unwrap_or(0);
    Ok(Answer {
        seq: row.seq,
        hour,
        allotted: count(row.allotted)?,
        used: count(row.used)?,
        awaited: count(row.awaited)?,
        expires_in: Duration::from_micros(expires_in),
        limit: count(row.rate_limit_per_hour)?,
        left: count((row.rate_limit_per_hour - row.others - row.allotted).max(0))?,
        holders: count(row.holders)?,
        reclaimable: row.reclaimable,
        living: row.living,
    })
}

/// The messages as a JSON array of arrays. Account ids are UUIDs, so nothing needs escaping.
fn json(asks: &[AccountAsk], only: If) -> String {
    let none = if only == If::First { ONLY_FIRST } else { -1 };
    let rows: Vec<String> = asks
        .iter()
        .map(|AccountAsk { account, ask }| {
            let hour = ask.hour.map_or(none, |hour| hour.0);
            format!("[\"{account}\",{hour},{},{},{},{}]", ask.seq, ask.used, ask.want, ask.waiting)
        })
        .collect();
    format!("[{}]", rows.join(","))
}

/// Locks the accounts of the messages, in one order for all nodes.
const LOCK: &str = "select account_id from accounts
    where account_id in (select value ->> 0 from jsonb_array_elements($1::jsonb))
    order by account_id for no key update";

/// How the accounts stand, told along with what was written. Only rows of other holders are read beside the
/// written one, and the statement writes none of those.
macro_rules! allotted_row {
    () => {
        "returning account_id, hour, seq, allotted, used, awaited, asked_at,
            (select a.rate_limit_per_hour from accounts a where a.account_id = allotments.account_id)
                as rate_limit_per_hour,
            (select cast(coalesce(sum(o.allotted), 0) as bigint) from allotments o where o.hour = allotments.hour
                and o.account_id = allotments.account_id and o.holder <> $2) as others,
            (select 1 + count(*) from allotments o where o.hour = allotments.hour
                and o.account_id = allotments.account_id and o.holder <> $2
                and o.asked_at > allotments.asked_at - 20000000) as holders,
            exists (select 1 from allotments o join holders h on h.holder = o.holder
                where o.hour = allotments.hour and o.account_id = allotments.account_id and o.holder <> $2
                and o.allotted > o.used + o.awaited and h.kind <> 'gone'
                and h.seen_at > allotments.asked_at - 20000000) as reclaimable,
            (select a.lives_until > allotments.asked_at from accounts a
                where a.account_id = allotments.account_id) as living,
            (select hour from latest_hour) as known_hour"
    };
}

/// The messages and the store's hour, as the statements below begin. `$1` now, `$2` holder, `$3` messages.
macro_rules! sqlite_messages {
    ($($rest:expr),+) => {
        concat!(
            "with clock (now, hour) as (select $1, max($1 / 3600000000, (select hour from latest_hour))),
             message (account_id, hour, seq, used, want, waiting) as (select value ->> 0, value ->> 1,
                value ->> 2, value ->> 3, value ->> 4, value ->> 5 from json_each($3)) ",
            $($rest),+
        )
    };
}
macro_rules! postgres_messages {
    ($($rest:expr),+) => {
        concat!(
            "with clock (now, hour) as materialized (select instant.now,
                greatest(instant.now / 3600000000, (select hour from latest_hour))
                from (select store_now($1) as now) as instant),
             message (account_id, hour, seq, used, want, waiting) as (select value ->> 0, (value ->> 1)::bigint,
                (value ->> 2)::bigint, (value ->> 3)::bigint, (value ->> 4)::bigint, (value ->> 5)::bigint
                from jsonb_array_elements($3::jsonb)) ",
            $($rest),+
        )
    };
}

const ALLOT_SQLITE: &str = sqlite_messages!(
    "insert into allotments (hour, account_id, holder, seq, allotted, used, awaited, asked_at)
     select hour, account_id, $2, seq, used + given, used, min(waiting, given), now
     from (select *, max(0, min(want, open - used)) as given from (
        select c.hour, c.now, m.account_id, m.seq, m.waiting,
            case when m.hour = c.hour then m.used else coalesce((select o.used + o.awaited from allotments o
                where o.hour = c.hour and o.account_id = m.account_id and o.holder = $2), 0) end as used,
            case when a.lives_until > c.now then m.want else 0 end as want,
            a.rate_limit_per_hour - coalesce((select sum(o.allotted) from allotments o
                where o.hour = c.hour and o.account_id = m.account_id and o.holder <> $2), 0) as open
        from message m join accounts a on a.account_id = m.account_id cross join clock c
        where m.hour <> -2 or not exists (select 1 from allotments o where o.hour = c.hour
            and o.account_id = m.account_id and o.holder = $2)))
     where true
     on conflict (hour, account_id, holder) do update
        set seq = excluded.seq, allotted = excluded.allotted, used = excluded.used, awaited = excluded.awaited,
            asked_at = excluded.asked_at
        where excluded.seq > allotments.seq
     ",
    allotted_row!()
);
const ALLOT_POSTGRES: &str = postgres_messages!(
    "insert into allotments (hour, account_id, holder, seq, allotted, used, awaited, asked_at)
     select hour, account_id, $2, seq, used + given, used, least(waiting, given), now
     from (select *, greatest(0, least(want, open - used)) as given from (
        select c.hour, c.now, m.account_id, m.seq, m.waiting,
            case when m.hour = c.hour then m.used else coalesce((select o.used + o.awaited from allotments o
                where o.hour = c.hour and o.account_id = m.account_id and o.holder = $2), 0) end as used,
            case when a.lives_until > c.now then m.want else 0 end as want,
            a.rate_limit_per_hour - coalesce((select sum(o.allotted) from allotments o
                where o.hour = c.hour and o.account_id = m.account_id and o.holder <> $2), 0)::bigint as open
        from message m join accounts a on a.account_id = m.account_id cross join clock c
        where m.hour <> -2 or not exists (select 1 from allotments o where o.hour = c.hour
            and o.account_id = m.account_id and o.holder = $2)) as standing) as decided
     on conflict (hour, account_id, holder) do update
        set seq = excluded.seq, allotted = excluded.allotted, used = excluded.used, awaited = excluded.awaited,
            asked_at = excluded.asked_at
        where excluded.seq > allotments.seq
     ",
    allotted_row!()
);

/// What was spent in an hour that is over is only noted: nothing of that hour can be had any longer.
const SETTLE_SQLITE: &str = sqlite_messages!(
    "update allotments set seq = message.seq, used = message.used, awaited = 0, allotted = message.used
     from message cross join clock
     where message.hour < clock.hour and allotments.hour = message.hour
        and allotments.account_id = message.account_id and allotments.holder = $2
        and message.seq > allotments.seq"
);
const SETTLE_POSTGRES: &str = postgres_messages!(
    "update allotments set seq = message.seq, used = message.used, awaited = 0, allotted = message.used
     from message cross join clock
     where message.hour < clock.hour and allotments.hour = message.hour
        and allotments.account_id = message.account_id and allotments.holder = $2
        and message.seq > allotments.seq"
);

/// A debt is a row of its own, under the id that one process makes for its debts: spent to the last unit, and
/// never asked about. `$1` debts.
macro_rules! settle_debts {
    ($debts:literal, $larger:literal) => {
        concat!(
            "insert into allotments (hour, account_id, holder, seq, allotted, used, awaited, asked_at)
             select d.hour, d.account_id, d.debtor, 1, d.units, d.units, 0, 0 from ",
            $debts,
            " join accounts a on a.account_id = d.account_id
             where true order by d.account_id, d.hour, d.debtor
             on conflict (hour, account_id, holder) do update set allotted = ",
            $larger,
            "(allotments.allotted, excluded.allotted), used = ",
            $larger,
            "(allotments.used, excluded.used)"
        )
    };
}
const SETTLE_DEBTS_SQLITE: &str = settle_debts!(
    "(select value ->> 0 as account_id, value ->> 1 as hour, value ->> 2 as debtor, value ->> 3 as units
        from json_each($1)) d",
    "max"
);
const SETTLE_DEBTS_POSTGRES: &str = settle_debts!(
    "(select value ->> 0 as account_id, (value ->> 1)::bigint as hour, value ->> 2 as debtor,
        (value ->> 3)::bigint as units from jsonb_array_elements($1::jsonb)) d",
    "greatest"
);

/// `$1` accounts, as a JSON array; `$2` now.
macro_rules! mark_dry {
    ($accounts:literal) => {
        concat!(
            "insert into dry_accounts (account_id, at) select value, $2 from ",
            $accounts,
            " where true order by value on conflict (account_id) do update set at = excluded.at
             where dry_accounts.at <= excluded.at - 250000"
        )
    };
}
const MARK_DRY_SQLITE: &str = mark_dry!("json_each($1)");
const MARK_DRY_POSTGRES: &str = mark_dry!("json_array_elements_text($1::json) as accounts (value)");

both! {
    pub(crate) async fn allot(
        db: &here::Db,
        holder: HolderId,
        asks: &[AccountAsk],
        only: If,
    ) -> Result<Vec<AllottedRow>, StoreError> {
        let (messages, holder) = (json(asks, only), holder.to_string());
        let mut tx = db.begin_allotment().await?;
        if here::LOCKS_ROWS {
            sqlx::query(LOCK).bind(&messages).execute(&mut *tx).await?;
        }
        let allotted: Vec<AllottedRow> = sqlx::query_as(here::either(ALLOT_SQLITE, ALLOT_POSTGRES))
            .bind(db.injected_now())
            .bind(&holder)
            .bind(&messages)
            .fetch_all(&mut *tx)
            .await?;
        let Some(first) = allotted.first() else { return Ok(allotted) };
        let hour = Hour(first.hour);
        let is_new_hour = first.known_hour < hour.0;
        if is_new_hour && !here::LOCKS_ROWS {
            // Before anything is settled by it: each statement is a transaction.
            name_hour(&mut tx, hour).await?;
        }
        if asks.iter().any(|ask| ask.ask.hour.is_some_and(|asked| asked < hour)) {
            sqlx::query(here::either(SETTLE_SQLITE, SETTLE_POSTGRES))
                .bind(db.injected_now())
                .bind(&holder)
                .bind(&messages)
                .execute(&mut *tx)
                .await?;
        }
        mark_dry(&mut tx, asks, &allotted).await?;
        if is_new_hour && here::LOCKS_ROWS {
            // Once in each hour, before anybody is told of it; always the last lock that is taken.
            name_hour(&mut tx, hour).await?;
        }
        here::end_allotment(tx).await?;
        Ok(allotted)
    }

    pub(crate) async fn settle_debts(db: &here::Db, debts: &[Debt]) -> Result<(), StoreError> {
        let rows: Vec<String> = debts
            .iter()
            .map(|Debt { id, units }| format!("[\"{}\",{},\"{}\",{units}]", id.account, id.hour.0, id.debtor))
            .collect();
        let debts = format!("[{}]", rows.join(","));
        let mut tx = db.begin().await?;
        if here::LOCKS_ROWS {
            // Whoever allots sees the debt, or is seen by it.
            sqlx::query(LOCK).bind(&debts).execute(&mut *tx).await?;
        }
        let settle = here::either(SETTLE_DEBTS_SQLITE, SETTLE_DEBTS_POSTGRES);
        sqlx::query(settle).bind(&debts).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn name_hour(tx: &mut here::Connection, hour: Hour) -> Result<(), StoreError> {
        let name = "update latest_hour set hour = $1 where hour < $1";
        sqlx::query(name).bind(hour.0).execute(tx).await?;
        Ok(())
    }

    /// Tells the other holders of accounts that want more while others may have unspent units; at most
    /// four times a second for each.
    async fn mark_dry(
        tx: &mut here::Connection,
        asks: &[AccountAsk],
        allotted: &[AllottedRow],
    ) -> Result<(), StoreError> {
        let wants: HashMap<String, u32> =
            asks.iter().map(|ask| (ask.account.to_string(), ask.ask.want)).collect();
        let is_short = |row: &&AllottedRow| {
            let wanted = wants.get(&row.account_id).copied().unwrap_or(0);
            row.reclaimable && row.living && row.allotted - row.used < i64::from(wanted)
        };
        let short: Vec<&AllottedRow> = allotted.iter().filter(is_short).collect();
        let Some(first) = short.first() else { return Ok(()) };
        let accounts: Vec<String> = short.iter().map(|row| format!("\"{}\"", row.account_id)).collect();
        sqlx::query(here::either(MARK_DRY_SQLITE, MARK_DRY_POSTGRES))
            .bind(format!("[{}]", accounts.join(",")))
            .bind(first.asked_at)
            .execute(tx)
            .await?;
        Ok(())
    }

    pub(crate) async fn prune_allotments(db: &here::Db, hour: Hour, most: i64) -> Result<u64, StoreError> {
        let prune = here::either(
            "delete from allotments where (hour, account_id, holder) in
                (select hour, account_id, holder from allotments where hour < $1 order by hour limit $2)",
            // What somebody is settling is left for the next time: waiting for it could go round in a circle.
            "delete from allotments where ctid in (select ctid from allotments where hour < $1 order by hour
                limit $2 for update skip locked)",
        );
        Ok(sqlx::query(prune).bind(hour.0).bind(most).execute(db.write()).await?.rows_affected())
    }
}
