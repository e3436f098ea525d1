//! Keys and the accounts they count against.

use std::collections::HashMap;
use std::sync::Arc;

use hokusai_core::address;
use hokusai_core::feed::Position;
use hokusai_core::id::{AccountId, HolderId, KeyId};
use hokusai_core::key::{Environment, KeyDigest, Lifetime};
use hokusai_core::policy::{KeyFacts, Rights};
use hokusai_core::scope::Scope;
use hokusai_core::time::{Hour, Timestamp};

use crate::StoreError;
use crate::database::{Store, both, run};

/// All that is kept of a key.
#[derive(Clone, Debug)]
pub struct Key {
    /// What decides over it.
    pub facts: KeyFacts,
    /// What its owner calls it.
    pub name: String,
    /// The part of its text that may be shown.
    pub shown_prefix: String,
    /// A flat JSON object of strings.
    pub metadata: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How long it was given to live when its expiry was last set, in microseconds; `None`: for ever.
    pub life: Option<i64>,
    /// The key that it succeeded.
    pub rotated_from: Option<KeyId>,
    /// The key that succeeded it.
    pub rotated_to: Option<KeyId>,
}

/// A key to add.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The key.
    pub key: Key,
    /// What it will be found by.
    pub digest: KeyDigest,
}

/// A key that was looked up to be judged.
#[derive(Clone, Debug)]
pub struct FoundKey {
    /// What decides over it.
    pub facts: KeyFacts,
    /// Where the feed stood at the instant of reading.
    pub read_at: Position,
}

/// A key as lists show it.
#[derive(Clone, Debug)]
pub struct ListedKey {
    /// The key.
    pub key: Key,
    /// Its place in lists: newer keys have higher ones.
    pub place: i64,
    /// The store's time.
    pub now: Timestamp,
    /// The hour that the counts are of.
    pub hour: Hour,
    /// Requests that other holders say their share of the account admitted in this hour.
    pub used_elsewhere: i64,
    /// Requests that the asking holder has said so of.
    pub used_here: i64,
    /// When it was last accepted, to about a second.
    pub last_used_at: Option<Timestamp>,
}

/// Which keys to list, newest first.
#[derive(Clone, Debug)]
pub struct KeyFilter {
    /// This key only.
    pub key: Option<KeyId>,
    /// This user's only.
    pub user_id: Option<String>,
    /// This service's only.
    pub service_id: Option<String>,
    /// This environment's only.
    pub environment: Option<Environment>,
    /// Only those that work now.
    pub active_only: bool,
    /// Only those whose place is below this one.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

macro_rules! columns {
    () => {
        "k.key_id, k.account_id, k.shown_prefix, k.user_id, k.name, k.service_id, k.scopes, k.environment,
         k.allowed_ips, k.billing_plan, k.metadata, k.created_at, k.expires_at, k.life, k.grace_until, k.revoked_at,
         k.rotated_from, k.rotated_to, a.rate_limit_per_hour, a.monthly_prediction_limit"
    };
}

pub(crate) const BY_ID: &str =
    concat!("select ", columns!(), " from keys k join accounts a using (account_id) where k.key_id = $1");

macro_rules! by_digest {
    ($asked:literal) => {
        concat!(
            "select ",
            columns!(),
            ", k.digest, y.epoch, y.revision from ",
            $asked,
            " as asked cross join authority y join keys k on k.digest = asked.digest
             join accounts a using (account_id)"
        )
    };
}
const BY_DIGEST_SQLITE: &str = by_digest!("(select unhex(value) as digest from json_each($1))");
const BY_DIGEST_POSTGRES: &str =
    by_digest!("(select decode(value #>> '{}', 'hex') as digest from json_array_elements($1::json))");

macro_rules! list {
    ($first:literal) => {
        concat!(
            "select ",
            columns!(),
            ", k.created_revision as place, $1 as now, $2 as hour,
        cast(coalesce((select sum(o.used + o.awaited) from allotments o where o.hour = $2
            and o.account_id = k.account_id and o.holder <> $3), 0) as bigint) as used_elsewhere,
        coalesce((select o.used + o.awaited from allotments o where o.hour = $2
            and o.account_id = k.account_id and o.holder = $3), 0) as used_here,
        (select v.last_used_at from validations v where v.key_id = k.key_id and v.last_used_at is not null
            order by v.hour desc limit 1) as last_used_at
     from keys k join accounts a using (account_id)
     where ",
            $first,
            " and (cast($6 as text) is null or k.service_id = $6)
        and (cast($7 as text) is null or k.environment = $7)
        and (not $8 or (k.revoked_at is null and (k.grace_until is null or k.grace_until > $1)
            and (k.expires_at is null or k.expires_at > $1)))
        and k.created_revision < $9
     order by k.created_revision desc limit $10"
        )
    };
}

/// One text for each way to find keys, so that each uses its index. All take the same parameters.
const LIST_ONE: &str = list!("k.key_id = $4 and (cast($5 as text) is null or k.user_id = $5)");
const LIST_OF_USER: &str = list!("k.user_id = $5 and (cast($4 as text) is null or k.key_id = $4)");
const LIST_ALL: &str = list!("cast($4 as text) is null and cast($5 as text) is null");

macro_rules! account_life {
    ($least:literal) => {
        concat!(
            "update accounts set lives_until = (select coalesce(max(",
            $least,
            "(coalesce(k.expires_at, $2), coalesce(k.grace_until, $2))), 0)
                from keys k where k.account_id = $1 and k.revoked_at is null)
             where account_id = $1"
        )
    };
}

#[derive(sqlx::FromRow)]
pub(crate) struct KeyRow {
    key_id: String,
    account_id: String,
    shown_prefix: String,
    user_id: String,
    name: String,
    service_id: String,
    scopes: String,
    environment: String,
    allowed_ips: String,
    billing_plan: String,
    metadata: String,
    created_at: i64,
    expires_at: Option<i64>,
    life: Option<i64>,
    grace_until: Option<i64>,
    revoked_at: Option<i64>,
    rotated_from: Option<String>,
    rotated_to: Option<String>,
    rate_limit_per_hour: i64,
    monthly_prediction_limit: Option<i64>,
}

#[derive(sqlx::FromRow)]
pub(crate) struct FoundRow {
    #[sqlx(flatten)]
    key: KeyRow,
    digest: Vec<u8>,
    epoch: String,
    revision: i64,
}

impl TryFrom<FoundRow> for FoundKey {
    type Error = StoreError;

    fn try_from(row: FoundRow) -> Result<Self, StoreError> {
        let epoch = row.epoch.parse().map_err(damaged("epoch"))?;
        let read_at = Position { epoch, revision: row.revision };
        Ok(Self { facts: Key::try_from(row.key)?.facts, read_at })
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct ListedRow {
    #[sqlx(flatten)]
    key: KeyRow,
    place: i64,
    now: i64,
    hour: i64,
    used_elsewhere: i64,
    used_here: i64,
    last_used_at: Option<i64>,
}

impl TryFrom<KeyRow> for Key {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let bad = || StoreError::Damaged { what: "key" };
        let scopes = row.scopes.split_whitespace().map(Scope::parse).collect::<Option<_>>();
        let allowlist = row.allowed_ips.split_whitespace().map(address::parse_block).collect::<Option<_>>();
        let optional = |id: Option<String>| id.map(|id| id.parse().map_err(damaged("key"))).transpose();
        let rights = Rights {
            user_id: row.user_id.into(),
            service_id: row.service_id.into(),
            scopes: scopes.ok_or_else(bad)?,
            environment: Environment::from_name(&row.environment).ok_or_else(bad)?,
            allowlist: allowlist.ok_or_else(bad)?,
            rate_limit_per_hour: u32::try_from(row.rate_limit_per_hour).map_err(damaged("key"))?,
            monthly_prediction_limit: row.monthly_prediction_limit,
            billing_plan: row.billing_plan.into(),
        };
        let facts = KeyFacts {
            id: row.key_id.parse().map_err(damaged("key"))?,
            account: row.account_id.parse().map_err(damaged("key"))?,
            lifetime: Lifetime {
                expires_at: or_never(row.expires_at),
                grace_until: or_never(row.grace_until),
                revoked_at: or_never(row.revoked_at),
            },
            rights: Arc::new(rights),
        };
        Ok(Self {
            facts,
            name: row.name,
            shown_prefix: row.shown_prefix,
            metadata: row.metadata,
            created_at: Timestamp(row.created_at),
            life: row.life,
            rotated_from: optional(row.rotated_from)?,
            rotated_to: optional(row.rotated_to)?,
        })
    }
}

pub(crate) fn or_never(at: Option<i64>) -> Timestamp {
    at.map_or(Timestamp::NEVER, Timestamp)
}

pub(crate) fn if_ever(at: Timestamp) -> Option<i64> {
    at.if_ever().map(|at| at.0)
}

/// Turns whatever was wrong with a stored value into the one error that says so.
pub(crate) fn damaged<E>(what: &'static str) -> impl FnOnce(E) -> StoreError {
    move |_| StoreError::Damaged { what }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn words<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}

impl Store {
    /// Looks keys up to judge them, all in one statement; answers in the order of `digests`. A row
    /// whose values make no sense spoils its own answer only.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn find_keys(
        &self,
        digests: &[KeyDigest],
    ) -> Result<Vec<Result<Option<FoundKey>, StoreError>>, StoreError> {
        let rows = run!(self, find_keys(digests))?;
        let found: HashMap<Option<KeyDigest>, Result<FoundKey, StoreError>> =
            rows.into_iter().map(|row| (KeyDigest::from_bytes(&row.digest), row.try_into())).collect();
        Ok(digests.iter().map(|digest| found.get(&Some(*digest)).cloned().transpose()).collect())
    }

    /// Looks one key up, as [`Store::find_keys`].
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer, or its row can't be read.
    pub async fn find_key(&self, digest: &KeyDigest) -> Result<Option<FoundKey>, StoreError> {
        self.find_keys(std::slice::from_ref(digest)).await?.pop().unwrap_or(Ok(None))
    }

    /// Lists keys with their counts of this hour, as `holder` asks for them.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn list_keys(
        &self,
        filter: &KeyFilter,
        holder: HolderId,
    ) -> Result<Vec<ListedKey>, StoreError> {
        let rows = run!(self, list_keys(filter, holder))?;
        let listed = rows.into_iter().map(|row| {
            Ok(ListedKey {
                key: row.key.try_into()?,
                place: row.place,
                now: Timestamp(row.now),
                hour: Hour(row.hour),
                used_elsewhere: row.used_elsewhere,
                used_here: row.used_here,
                last_used_at: row.last_used_at.map(Timestamp),
            })
        });
        listed.collect()
    }
}

both! {
    pub(crate) async fn find_keys(
        db: &here::Db,
        digests: &[KeyDigest],
    ) -> Result<Vec<FoundRow>, StoreError> {
        let digests: Vec<String> = digests.iter().map(|digest| format!("\"{}\"", hex(digest.as_bytes()))).collect();
        let find = sqlx::query_as(here::either(BY_DIGEST_SQLITE, BY_DIGEST_POSTGRES));
        Ok(find.bind(format!("[{}]", digests.join(","))).fetch_all(db.read()).await?)
    }

    pub(crate) async fn list_keys(
        db: &here::Db,
        filter: &KeyFilter,
        holder: HolderId,
    ) -> Result<Vec<ListedRow>, StoreError> {
        let mut connection = db.read().acquire().await?;
        let now = here::now(db, &mut connection).await?;
        let named: i64 =
            sqlx::query_scalar("select hour from latest_hour").fetch_one(&mut *connection).await?;
        let list = match filter {
            KeyFilter { key: Some(_), .. } => LIST_ONE,
            KeyFilter { user_id: Some(_), .. } => LIST_OF_USER,
            _ => LIST_ALL,
        };
        let rows = sqlx::query_as(list)
            .bind(now.0)
            .bind(now.hour().0.max(named))
            .bind(holder.to_string())
            .bind(filter.key.map(|key| key.to_string()))
            .bind(&filter.user_id)
            .bind(&filter.service_id)
            .bind(filter.environment.map(Environment::name))
            .bind(filter.active_only)
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(filter.limit)
            .fetch_all(&mut *connection)
            .await?;
        Ok(rows)
    }

    pub(crate) async fn insert(tx: &mut here::Connection, new: &NewKey, revision: i64) -> Result<(), sqlx::Error> {
        let (facts, rights) = (&new.key.facts, &*new.key.facts.rights);
        let account = "insert into accounts
                (account_id, rate_limit_per_hour, monthly_prediction_limit, lives_until)
            values ($1, $2, $3, $4) on conflict (account_id) do nothing";
        sqlx::query(account)
            .bind(facts.account.to_string())
            .bind(i64::from(rights.rate_limit_per_hour))
            .bind(rights.monthly_prediction_limit)
            .bind(facts.lifetime.expires_at.0)
            .execute(&mut *tx)
            .await?;
        let insert = "insert into keys (key_id, digest, shown_prefix, account_id, user_id, name, service_id,
                scopes, environment, allowed_ips, billing_plan, metadata, created_at, created_revision,
                expires_at, rotated_from, life)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
        sqlx::query(insert)
            .bind(facts.id.to_string())
            .bind(new.digest.as_bytes())
            .bind(&new.key.shown_prefix)
            .bind(facts.account.to_string())
            .bind(&*rights.user_id)
            .bind(&new.key.name)
            .bind(&*rights.service_id)
            .bind(words(rights.scopes.iter()))
            .bind(rights.environment.name())
            .bind(words(rights.allowlist.iter()))
            .bind(&*rights.billing_plan)
            .bind(&new.key.metadata)
            .bind(new.key.created_at.0)
            .bind(revision)
            .bind(if_ever(facts.lifetime.expires_at))
            .bind(new.key.rotated_from.map(|key| key.to_string()))
            .bind(new.key.life)
            .execute(tx)
            .await?;
        Ok(())
    }

    pub(crate) async fn update(tx: &mut here::Connection, key: &Key) -> Result<(), sqlx::Error> {
        let (facts, rights) = (&key.facts, &*key.facts.rights);
        let update = "update keys set name = $2, scopes = $3, allowed_ips = $4, billing_plan = $5,
                metadata = $6, expires_at = $7, grace_until = $8, revoked_at = $9, rotated_to = $10, life = $11
            where key_id = $1";
        sqlx::query(update)
            .bind(facts.id.to_string())
            .bind(&key.name)
            .bind(words(rights.scopes.iter()))
            .bind(words(rights.allowlist.iter()))
            .bind(&*rights.billing_plan)
            .bind(&key.metadata)
            .bind(if_ever(facts.lifetime.expires_at))
            .bind(if_ever(facts.lifetime.grace_until))
            .bind(if_ever(facts.lifetime.revoked_at))
            .bind(key.rotated_to.map(|key| key.to_string()))
            .bind(key.life)
            .execute(tx)
            .await?;
        Ok(())
    }

    /// Writes what the keys of an account have in common: limits and plan.
    pub(crate) async fn update_account(tx: &mut here::Connection, key: &Key) -> Result<(), sqlx::Error> {
        let (facts, rights) = (&key.facts, &*key.facts.rights);
        let limits = "update accounts set rate_limit_per_hour = $2, monthly_prediction_limit = $3
            where account_id = $1";
        sqlx::query(limits)
            .bind(facts.account.to_string())
            .bind(i64::from(rights.rate_limit_per_hour))
            .bind(rights.monthly_prediction_limit)
            .execute(&mut *tx)
            .await?;
        sqlx::query("update keys set billing_plan = $2 where account_id = $1 and billing_plan <> $2")
            .bind(facts.account.to_string())
            .bind(&*rights.billing_plan)
            .execute(tx)
            .await?;
        Ok(())
    }

    /// Writes until when an account lives, now that its keys are written.
    pub(crate) async fn update_life(
        tx: &mut here::Connection,
        account: AccountId,
    ) -> Result<(), sqlx::Error> {
        let life = here::either(account_life!("min"), account_life!("least"));
        sqlx::query(life).bind(account.to_string()).bind(Timestamp::NEVER.0).execute(tx).await?;
        Ok(())
    }

    /// The key and all others of its account that are not revoked: what a change to it may touch.
    pub(crate) async fn living(
        tx: &mut here::Connection,
        key: &Key,
    ) -> Result<Vec<(KeyId, AccountId)>, sqlx::Error> {
        let living = "select key_id from keys where account_id = $1 and revoked_at is null";
        let ids: Vec<String> =
            sqlx::query_scalar(living).bind(key.facts.account.to_string()).fetch_all(tx).await?;
        let ids = ids.iter().filter_map(|id| id.parse().ok()).chain([key.facts.id]);
        Ok(ids.map(|id| (id, key.facts.account)).collect())
    }
}
