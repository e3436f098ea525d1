//! What an account used in a month, and by which terms it is billed.

use hokusai_core::billing::{MonthlyUsage, Terms};
use hokusai_core::calendar::Month;
use hokusai_core::id::{AccountId, KeyId};
use hokusai_core::time::Timestamp;

use crate::StoreError;
use crate::database::{Store, both, run};
use crate::keys::{Key, damaged};

/// What a key's account used in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountUsage {
    /// The account.
    pub account: AccountId,
    /// Whose it is.
    pub user_id: String,
    /// What held at the end of the month, or holds now.
    pub terms: Terms,
    /// What was used.
    pub usage: MonthlyUsage,
}

/// `$1` key, `$2` month.
const ACCOUNT_USAGE: &str = "select k.account_id, k.user_id,
        case when p.account_id is null then k.billing_plan else p.billing_plan end as billing_plan,
        case when p.account_id is null then a.monthly_prediction_limit else p.monthly_prediction_limit end
            as monthly_prediction_limit,
        coalesce(m.requests, 0) as requests, coalesce(m.predictions, 0) as predictions,
        coalesce(m.compute_ms, 0) as compute_ms
    from keys k join accounts a using (account_id)
        left join usage_months m on m.account_id = k.account_id and m.month = $2
        left join past_terms p on p.account_id = k.account_id and p.until_month =
            (select min(o.until_month) from past_terms o where o.account_id = k.account_id and o.until_month >= $2)
    where k.key_id = $1";

/// What held until now is what the months before are billed by, unless an earlier change in this month noted
/// the same.
const NOTE_PAST: &str = "insert into past_terms
        (account_id, until_month, billing_plan, monthly_prediction_limit)
    values ($1, $2, $3, $4) on conflict (account_id, until_month) do nothing";

#[derive(sqlx::FromRow)]
pub(crate) struct AccountRow {
    account_id: String,
    user_id: String,
    billing_plan: String,
    monthly_prediction_limit: Option<i64>,
    requests: i64,
    predictions: i64,
    compute_ms: i64,
}

impl TryFrom<AccountRow> for AccountUsage {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Self, StoreError> {
        Ok(Self {
            account: row.account_id.parse().map_err(damaged("account"))?,
            user_id: row.user_id,
            terms: Terms { plan: row.billing_plan, monthly_prediction_limit: row.monthly_prediction_limit },
            usage: MonthlyUsage {
                requests: row.requests,
                predictions: row.predictions,
                compute_ms: row.compute_ms,
            },
        })
    }
}

impl Store {
    /// What the account of a key used in a month; `None` if there is no such key.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn account_usage(&self, key: KeyId, month: Month) -> Result<Option<AccountUsage>, StoreError> {
        let row: Option<AccountRow> = run!(self, account_usage(key, month))?;
        row.map(AccountUsage::try_from).transpose()
    }
}

both! {
    pub(crate) async fn account_usage(
        db: &here::Db,
        key: KeyId,
        month: Month,
    ) -> Result<Option<AccountRow>, StoreError> {
        let usage = sqlx::query_as(ACCOUNT_USAGE).bind(key.to_string()).bind(month.0);
        Ok(usage.fetch_optional(db.read()).await?)
    }

    /// How the account of a key, which exists, stands in a month.
    pub(crate) async fn standing(
        tx: &mut here::Connection,
        key: KeyId,
        month: Month,
    ) -> Result<AccountUsage, StoreError> {
        let row: AccountRow =
            sqlx::query_as(ACCOUNT_USAGE).bind(key.to_string()).bind(month.0).fetch_one(tx).await?;
        row.try_into()
    }

    /// Notes what the months before this one are billed by, if a change makes it something else.
    pub(crate) async fn note_past_terms(
        tx: &mut here::Connection,
        before: &Key,
        after: &Key,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let (was, is) = (&before.facts.rights, &after.facts.rights);
        let same_plan = was.billing_plan == is.billing_plan;
        if same_plan && was.monthly_prediction_limit == is.monthly_prediction_limit {
            return Ok(());
        }
        sqlx::query(NOTE_PAST)
            .bind(before.facts.account.to_string())
            .bind(Month::of(now).previous().0)
            .bind(&*was.billing_plan)
            .bind(was.monthly_prediction_limit)
            .execute(tx)
            .await?;
        Ok(())
    }
}
