//! Admin tokens.

use hokusai_core::id::TokenId;
use hokusai_core::key::KeyDigest;
use hokusai_core::time::Timestamp;
use hokusai_core::token::{Role, TokenLifetime};

use crate::StoreError;
use crate::database::{Store, both, run};
use crate::keys::{damaged, if_ever, or_never};

/// All that is kept of an admin token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// The part of its text that may be shown.
    pub shown_prefix: String,
    /// The user that it acts for.
    pub user_id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it lives.
    pub lifetime: TokenLifetime,
    /// Its place in lists: newer tokens have higher ones.
    pub place: i64,
}

/// A token to add.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The token; its place is given by the store.
    pub token: Token,
    /// What it will be found by.
    pub digest: KeyDigest,
}

/// Which tokens to list, newest first.
#[derive(Clone, Debug)]
pub struct TokenFilter {
    /// Only those whose place is below this one.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

macro_rules! columns {
    () => {
        "token_id, shown_prefix, user_id, name, role, created_at, expires_at, revoked_at,
         created_revision as place"
    };
}

pub(crate) const BY_ID: &str = concat!("select ", columns!(), " from admin_tokens where token_id = $1");
pub(crate) const OTHER_LASTING_OPERATORS: &str = "select count(*) from admin_tokens
    where role = 'operator' and revoked_at is null and expires_at is null and token_id <> $1";

#[derive(sqlx::FromRow)]
pub(crate) struct TokenRow {
    token_id: String,
    shown_prefix: String,
    user_id: String,
    name: String,
    role: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    place: i64,
}

impl TryFrom<TokenRow> for Token {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.token_id.parse().map_err(damaged("token"))?,
            shown_prefix: row.shown_prefix,
            user_id: row.user_id,
            name: row.name,
            role: Role::from_name(&row.role).ok_or(StoreError::Damaged { what: "token" })?,
            created_at: Timestamp(row.created_at),
            lifetime: TokenLifetime {
                expires_at: or_never(row.expires_at),
                revoked_at: or_never(row.revoked_at),
            },
            place: row.place,
        })
    }
}

impl Store {
    /// Finds a living token, by the store's time.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn find_living_token(&self, digest: &KeyDigest) -> Result<Option<Token>, StoreError> {
        let Some((row, now)) = run!(self, find_token(digest))? else { return Ok(None) };
        let token = Token::try_from(row)?;
        Ok(token.lifetime.lives(now).then_some(token))
    }

    /// Lists tokens.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn list_tokens(&self, filter: &TokenFilter) -> Result<Vec<Token>, StoreError> {
        run!(self, list_tokens(filter))?.into_iter().map(Token::try_from).collect()
    }
}

both! {
    pub(crate) async fn find_token(
        db: &here::Db,
        digest: &KeyDigest,
    ) -> Result<Option<(TokenRow, Timestamp)>, StoreError> {
        let mut connection = db.read().acquire().await?;
        let find = concat!("select ", columns!(), " from admin_tokens where digest = $1");
        let row: Option<TokenRow> =
            sqlx::query_as(find).bind(digest.as_bytes()).fetch_optional(&mut *connection).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((row, here::now(db, &mut connection).await?)))
    }

    pub(crate) async fn list_tokens(db: &here::Db, filter: &TokenFilter) -> Result<Vec<TokenRow>, StoreError> {
        let list = concat!(
            "select ",
            columns!(),
            " from admin_tokens where created_revision < $1 order by created_revision desc limit $2"
        );
        let rows = sqlx::query_as(list).bind(filter.before.unwrap_or(i64::MAX)).bind(filter.limit);
        Ok(rows.fetch_all(db.read()).await?)
    }

    pub(crate) async fn insert(tx: &mut here::Connection, new: &NewToken, revision: i64) -> Result<(), sqlx::Error> {
        let token = &new.token;
        let insert = "insert into admin_tokens (token_id, digest, shown_prefix, user_id, name, role, created_at,
                created_revision, expires_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        sqlx::query(insert)
            .bind(token.id.to_string())
            .bind(new.digest.as_bytes())
            .bind(&token.shown_prefix)
            .bind(&token.user_id)
            .bind(&token.name)
            .bind(token.role.name())
            .bind(token.created_at.0)
            .bind(revision)
            .bind(if_ever(token.lifetime.expires_at))
            .execute(tx)
            .await?;
        Ok(())
    }

    pub(crate) async fn revoke(tx: &mut here::Connection, token: TokenId, now: Timestamp) -> Result<(), sqlx::Error> {
        sqlx::query("update admin_tokens set revoked_at = $2 where token_id = $1 and revoked_at is null")
            .bind(token.to_string())
            .bind(now.0)
            .execute(tx)
            .await?;
        Ok(())
    }
}
