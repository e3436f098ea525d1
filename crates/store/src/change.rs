//! Changes to who may do what, and to the catalogue of models: each is written in one transaction with its
//! audit entry. Those of the first kind take revisions in the feed; of models, nobody keeps a copy to forget.
//!
//! Every change first locks the one `authority` row. So changes have one order, a reader never sees a
//! revision before an earlier one, and the audit chain has no fork.

use hokusai_core::audit::{AuditKey, Entry, Seal};
use hokusai_core::id::{AccountId, KeyId, TokenId};
use hokusai_core::model::ModelName;
use hokusai_core::time::Timestamp;

use crate::database::{Store, both, run};
use crate::keys::{Key, KeyRow, NewKey, damaged};
use crate::models::{Model, ModelRow, ModelVersion};
use crate::tokens::{NewToken, Token, TokenRow};
use crate::{StoreError, keys, models, tokens};

/// What a change is about; it is read under the lock before anything is decided.
#[derive(Clone, Copy, Debug)]
pub enum About<'a> {
    /// Things that do not exist yet.
    Nothing,
    /// A key.
    Key(KeyId),
    /// An admin token.
    Token(TokenId),
    /// A model of this name, which may not exist yet.
    Model(&'a ModelName),
}

/// What is the case when a change is decided. Nothing of it can change until the change is written.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The store's time.
    pub now: Timestamp,
    /// Whether there ever was an operator token.
    pub had_operator: bool,
    /// The key that the change is about.
    pub key: Option<Key>,
    /// The admin token that the change is about.
    pub token: Option<Token>,
    /// Operator tokens other than `token` that neither expire nor are revoked.
    pub other_lasting_operators: i64,
    /// The model that the change is about.
    pub model: Option<Model>,
    /// How many models there are, if the change is about one.
    pub models: i64,
}

/// What a change writes.
#[derive(Clone, Debug)]
pub struct Writes {
    /// The word for it in the feed, if it takes a revision.
    pub kind: &'static str,
    /// Keys to add; each opens its account unless it names an existing one.
    pub new_keys: Vec<NewKey>,
    /// Keys to write anew, with the limits of their account.
    pub changed_keys: Vec<Key>,
    /// Tokens to add.
    pub new_tokens: Vec<NewToken>,
    /// Tokens to revoke.
    pub revoked_tokens: Vec<TokenId>,
    /// Models to add.
    pub new_models: Vec<Model>,
    /// Versions to add to models; each is the latest of its model from then on.
    pub new_versions: Vec<ModelVersion>,
    /// What the audit log says of it.
    pub note: Note,
}

/// An audit entry without its place in the chain.
#[derive(Clone, Debug)]
pub struct Note {
    /// Who: the user.
    pub user_id: String,
    /// By which admin token; empty for the system itself.
    pub token_id: String,
    /// What.
    pub action: &'static str,
    /// To which key, token or model.
    pub target: String,
    /// From which address.
    pub address: String,
    /// The request's id.
    pub request_id: String,
    /// The rest, as JSON; never a secret.
    pub detail: String,
}

impl Writes {
    /// A change that writes nothing but its audit entry.
    #[must_use]
    pub fn only(kind: &'static str, note: Note) -> Self {
        Self {
            kind,
            new_keys: Vec::new(),
            changed_keys: Vec::new(),
            new_tokens: Vec::new(),
            revoked_tokens: Vec::new(),
            new_models: Vec::new(),
            new_versions: Vec::new(),
            note,
        }
    }
}

#[derive(sqlx::FromRow)]
struct Head {
    revision: i64,
    had_operator: bool,
    audit_number: i64,
    audit_seal: Vec<u8>,
}

impl Store {
    /// Decides and writes one change as one step. `decide` sees what is the case and says what to write;
    /// `None` writes nothing. It must be quick: other changes wait for it.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer; nothing was written then, except perhaps after
    /// [`StoreError::TimedOut`].
    pub async fn change<T, D>(&self, about: About<'_>, decide: D) -> Result<T, StoreError>
    where
        D: FnOnce(&Standing) -> (Option<Writes>, T),
    {
        let audit_key = self.audit_key.as_ref().ok_or(StoreError::ReadOnly)?;
        run!(self, change(audit_key, about, decide))
    }
}

/// Gives the note its place and seal.
fn chain(key: &AuditKey, head: &Head, at: Timestamp, note: &Note) -> Result<(Entry, Seal), StoreError> {
    let previous: Seal = head.audit_seal.as_slice().try_into().map_err(damaged("audit seal"))?;
    let entry = Entry {
        number: head.audit_number + 1,
        at,
        user_id: note.user_id.clone(),
        token_id: note.token_id.clone(),
        action: note.action.to_owned(),
        target: note.target.clone(),
        address: note.address.clone(),
        request_id: note.request_id.clone(),
        detail: note.detail.clone(),
    };
    let seal = key.seal(&previous, &entry);
    Ok((entry, seal))
}

both! {
    pub(crate) async fn change<T, D>(
        db: &here::Db,
        audit_key: &AuditKey,
        about: About<'_>,
        decide: D,
    ) -> Result<T, StoreError>
    where
        D: FnOnce(&Standing) -> (Option<Writes>, T),
    {
        let mut tx = db.begin().await?;
        let mut head = lock_head(&mut tx).await?;
        let standing = standing(db, &mut tx, &head, about).await?;
        let (writes, outcome) = decide(&standing);
        let Some(writes) = writes else { return Ok(outcome) };
        let before = head.revision;
        write_keys(&mut tx, &mut head, &writes, &standing).await?;
        write_tokens(&mut tx, &mut head, &writes, standing.now).await?;
        write_models(&mut tx, &writes).await?;
        write_head(&mut tx, &head, audit_key, &writes.note, standing.now).await?;
        let is_news = head.revision > before;
        if is_news {
            db.announce(&mut tx).await?;
        }
        tx.commit().await?;
        if is_news {
            db.announced();
        }
        Ok(outcome)
    }

    async fn lock_head(tx: &mut here::Connection) -> Result<Head, sqlx::Error> {
        let lock = here::either(
            "select revision, had_operator, audit_number, audit_seal from authority where id = 1",
            "select revision, had_operator, audit_number, audit_seal from authority where id = 1 for update",
        );
        sqlx::query_as(lock).fetch_one(tx).await
    }

    async fn standing(
        db: &here::Db,
        tx: &mut here::Connection,
        head: &Head,
        about: About<'_>,
    ) -> Result<Standing, StoreError> {
        let (mut key, mut token, mut model, mut models) = (None, None, None, 0);
        if let About::Key(id) = about {
            let row: Option<KeyRow> =
                sqlx::query_as(keys::BY_ID).bind(id.to_string()).fetch_optional(&mut *tx).await?;
            key = row.map(Key::try_from).transpose()?;
        }
        if let About::Token(id) = about {
            let row: Option<TokenRow> =
                sqlx::query_as(tokens::BY_ID).bind(id.to_string()).fetch_optional(&mut *tx).await?;
            token = row.map(Token::try_from).transpose()?;
        }
        if let About::Model(name) = about {
            let row: Option<ModelRow> =
                sqlx::query_as(models::BY_NAME).bind(name.as_str()).fetch_optional(&mut *tx).await?;
            model = row.map(Model::try_from).transpose()?;
            models = sqlx::query_scalar(models::HIGHEST).fetch_one(&mut *tx).await?;
        }
        let other = token.as_ref().map_or_else(String::new, |token| token.id.to_string());
        let other_lasting_operators =
            sqlx::query_scalar(tokens::OTHER_LASTING_OPERATORS).bind(other).fetch_one(&mut *tx).await?;
        let now = here::now(db, tx).await?;
        let had_operator = head.had_operator;
        Ok(Standing { now, had_operator, key, token, other_lasting_operators, model, models })
    }

    async fn write_keys(
        tx: &mut here::Connection,
        head: &mut Head,
        writes: &Writes,
        standing: &Standing,
    ) -> Result<(), sqlx::Error> {
        let now = standing.now;
        for new in &writes.new_keys {
            head.revision += 1;
            here::keys::insert(tx, new, head.revision).await?;
            let key = (new.key.facts.id, new.key.facts.account);
            record(tx, head.revision, writes.kind, Some(key), now).await?;
        }
        let mut touched: Vec<(KeyId, AccountId)> = Vec::new();
        // Keys, and then accounts, are locked in the order of their ids, as everywhere else.
        let mut changed: Vec<&Key> = writes.changed_keys.iter().collect();
        changed.sort_by_key(|key| key.facts.id);
        for key in &changed {
            here::keys::update(tx, key).await?;
            touched.extend(here::keys::living(tx, key).await?);
        }
        let joined = writes.new_keys.iter().filter(|new| new.key.facts.account != new.key.facts.id.into());
        let mut accounts: Vec<(AccountId, Option<&Key>)> =
            joined.map(|new| (new.key.facts.account, None)).collect();
        accounts.extend(changed.iter().map(|key| (key.facts.account, Some(*key))));
        accounts.sort_by_key(|(account, _)| *account);
        for (account, changed) in accounts {
            if let Some(key) = changed {
                here::keys::update_account(tx, key).await?;
                if let Some(before) = standing.key.as_ref().filter(|before| before.facts.id == key.facts.id) {
                    here::billing::note_past_terms(tx, before, key, now).await?;
                }
            }
            here::keys::update_life(tx, account).await?;
        }
        touched.sort_unstable();
        touched.dedup();
        for (key, account) in touched {
            head.revision += 1;
            record(tx, head.revision, writes.kind, Some((key, account)), now).await?;
        }
        Ok(())
    }

    async fn write_tokens(
        tx: &mut here::Connection,
        head: &mut Head,
        writes: &Writes,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        for new in &writes.new_tokens {
            head.revision += 1;
            head.had_operator |= new.token.role == hokusai_core::token::Role::Operator;
            here::tokens::insert(tx, new, head.revision).await?;
            record(tx, head.revision, writes.kind, None, now).await?;
        }
        for token in &writes.revoked_tokens {
            head.revision += 1;
            here::tokens::revoke(tx, *token, now).await?;
            record(tx, head.revision, writes.kind, None, now).await?;
        }
        Ok(())
    }

    async fn write_models(tx: &mut here::Connection, writes: &Writes) -> Result<(), sqlx::Error> {
        for model in &writes.new_models {
            here::models::insert(tx, model).await?;
        }
        for version in &writes.new_versions {
            here::models::insert_version(tx, version).await?;
        }
        Ok(())
    }

    async fn record(
        tx: &mut here::Connection,
        revision: i64,
        kind: &str,
        key: Option<(KeyId, AccountId)>,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let record = "insert into changes (revision, kind, key_id, account_id, at) values ($1, $2, $3, $4, $5)";
        sqlx::query(record)
            .bind(revision)
            .bind(kind)
            .bind(key.map(|(key, _)| key.to_string()))
            .bind(key.map(|(_, account)| account.to_string()))
            .bind(now.0)
            .execute(tx)
            .await?;
        Ok(())
    }

    async fn write_head(
        tx: &mut here::Connection,
        head: &Head,
        audit_key: &AuditKey,
        note: &Note,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (entry, seal) = chain(audit_key, head, now, note)?;
        let audit = "insert into audit
            (number, at, user_id, token_id, action, target, address, request_id, detail, seal)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        sqlx::query(audit)
            .bind(entry.number)
            .bind(entry.at.0)
            .bind(entry.user_id)
            .bind(entry.token_id)
            .bind(entry.action)
            .bind(entry.target)
            .bind(entry.address)
            .bind(entry.request_id)
            .bind(entry.detail)
            .bind(&seal[..])
            .execute(&mut *tx)
            .await?;
        let stand = "update authority set revision = $1, had_operator = $2, audit_number = $3, audit_seal = $4
            where id = 1";
        sqlx::query(stand)
            .bind(head.revision)
            .bind(head.had_operator)
            .bind(entry.number)
            .bind(&seal[..])
            .execute(tx)
            .await?;
        Ok(())
    }
}
