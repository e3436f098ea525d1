//! Managing keys: issue, list, change, rotate, revoke. Each change is decided under the store's lock.

use std::sync::Arc;

use hokusai_core::grant::Grant;
use hokusai_core::id::KeyId;
use hokusai_core::key::{Environment, KeyStatus, Lifetime, PlainKey};
use hokusai_core::policy::{KeyFacts, Rights};
use hokusai_core::scope::Scope;
use hokusai_core::time::{DAY, HOUR, Timestamp};
use hokusai_store::{About, Key, KeyFilter, ListedKey, NewKey, Standing, Writes};
use ipnet::IpNet;

use crate::engine::{Engine, rng};
use crate::refusal::{Actor, Declined};

/// When a key shall expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    Never,
    /// So many days from the store's now.
    InDays(i64),
    /// At an instant, which must lie ahead.
    At(Timestamp),
}

/// A key that somebody wants.
#[derive(Clone, Debug)]
pub struct KeyWish {
    /// What to call it.
    pub name: String,
    /// The service that it is for.
    pub service_id: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Live, test or development.
    pub environment: Environment,
    /// Requests an hour.
    pub rate_limit_per_hour: u32,
    /// When it expires.
    pub expiry: Expiry,
    /// Where it may be used from; empty: anywhere.
    pub allowlist: Vec<IpNet>,
    /// Predictions a month.
    pub monthly_prediction_limit: Option<i64>,
    /// The plan; `None`: the usual one.
    pub billing_plan: Option<String>,
    /// A flat JSON object of strings.
    pub metadata: String,
    /// Whose key it is; `None`: the actor's.
    pub user_id: Option<String>,
}

/// What shall be different about a key; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default)]
pub struct KeyPatch {
    /// What to call it.
    pub name: Option<String>,
    /// What it may be used for.
    pub scopes: Option<Vec<Scope>>,
    /// Requests an hour.
    pub rate_limit_per_hour: Option<u32>,
    /// When it expires.
    pub expiry: Option<Expiry>,
    /// Where it may be used from; empty: anywhere.
    pub allowlist: Option<Vec<IpNet>>,
    /// Predictions a month; `Some(None)`: as many as you like.
    pub monthly_prediction_limit: Option<Option<i64>>,
    /// The plan.
    pub billing_plan: Option<String>,
    /// A flat JSON object of strings.
    pub metadata: Option<String>,
}

/// A new key, with the only copy of its text.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The text, to be shown once.
    pub plain: PlainKey,
    /// The key.
    pub listed: ListedKey,
}

/// A rotated key's successor.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// The successor.
    pub issued: Issued,
    /// The key that was rotated.
    pub previous: KeyId,
    /// Until when it works.
    pub previous_valid_until: Timestamp,
}

impl KeyPatch {
    /// Whether the key may be used longer or from elsewhere than before.
    fn widens(&self) -> bool {
        self.expiry.is_some() || self.allowlist.is_some()
    }
}

impl Expiry {
    fn resolve(self, now: Timestamp) -> Result<Timestamp, Declined> {
        match self {
            Self::Never => Ok(Timestamp::NEVER),
            Self::InDays(days) => Ok(now.plus(days.saturating_mul(DAY))),
            Self::At(at) if at > now => Ok(at),
            Self::At(_) => Err(Declined::ExpiryPassed),
        }
    }
}

impl Engine {
    /// Issues a key.
    ///
    /// # Errors
    /// [`Declined`]; no key was made then.
    pub async fn issue(&self, actor: &Actor, wish: KeyWish) -> Result<Issued, Declined> {
        self.check_wish(actor, &wish)?;
        let plain = PlainKey::generate(wish.environment, &mut rng());
        let new = plain.clone();
        let outcome = self.store.change(About::Nothing, |standing| {
            decide(|| {
                let key = self.new_key(actor, wish, &new, standing.now)?;
                let note = actor.note("key.create", key.facts.id.to_string(), describe(&key));
                let mut writes = Writes::only("create", note);
                let listed = unused(key.clone(), standing.now);
                writes.new_keys.push(NewKey { key, digest: new.digest() });
                Ok((Some(writes), listed))
            })
        });
        Ok(Issued { plain, listed: outcome.await?? })
    }

    fn check_wish(&self, actor: &Actor, wish: &KeyWish) -> Result<(), Declined> {
        let grant = Grant {
            scopes: Some(&wish.scopes),
            rate_limit_per_hour: Some(wish.rate_limit_per_hour),
            chooses_plan: wish
                .billing_plan
                .as_ref()
                .is_some_and(|plan| *plan != self.options.plans.first().name),
            sets_monthly_limit: wish.monthly_prediction_limit.is_some(),
            for_another_user: wish.user_id.as_ref().is_some_and(|user| *user != actor.user_id),
        };
        grant.check(actor.role, self.options.member_max_rate_limit).map_err(Declined::Forbidden)
    }

    fn new_key(
        &self,
        actor: &Actor,
        wish: KeyWish,
        plain: &PlainKey,
        now: Timestamp,
    ) -> Result<Key, Declined> {
        let id = KeyId::new(now, &mut rng());
        let expires_at = wish.expiry.resolve(now)?;
        let rights = Rights {
            user_id: wish.user_id.unwrap_or_else(|| actor.user_id.clone()).into(),
            service_id: wish.service_id.into(),
            scopes: wish.scopes.into(),
            environment: wish.environment,
            allowlist: wish.allowlist.into(),
            rate_limit_per_hour: wish.rate_limit_per_hour,
            monthly_prediction_limit: wish.monthly_prediction_limit,
            billing_plan: wish.billing_plan.unwrap_or_else(|| self.options.plans.first().name.clone()).into(),
        };
        let facts = KeyFacts {
            id,
            account: id.into(),
            lifetime: fresh_lifetime(expires_at),
            rights: Arc::new(rights),
        };
        Ok(Key {
            facts,
            name: wish.name,
            shown_prefix: plain.shown_prefix(),
            metadata: wish.metadata,
            created_at: now,
            life: length(expires_at, now),
            rotated_from: None,
            rotated_to: None,
        })
    }

    /// Lists the keys that the actor may know of.
    ///
    /// # Errors
    /// [`Declined::Store`].
    pub async fn list(&self, actor: &Actor, mut filter: KeyFilter) -> Result<Vec<ListedKey>, Declined> {
        if actor.role != hokusai_core::token::Role::Operator {
            let own = actor.user_id.clone();
            if filter.user_id.replace(own).is_some_and(|asked| asked != actor.user_id) {
                return Ok(Vec::new());
            }
        }
        let mut listed = self.store.list_keys(&filter, self.holder).await?;
        for key in &mut listed {
            // What this process has in memory is newer than what it last told the store.
            if let Some((hour, used)) = self.allotments.used(key.key.facts.account)
                && hour == key.hour
            {
                key.used_here = i64::from(used);
            }
        }
        Ok(listed)
    }

    /// Shows one key.
    ///
    /// # Errors
    /// [`Declined::NotFound`] also if the actor may not know of it.
    pub async fn show(&self, actor: &Actor, id: KeyId) -> Result<ListedKey, Declined> {
        let filter = KeyFilter {
            key: Some(id),
            user_id: None,
            service_id: None,
            environment: None,
            active_only: false,
            before: None,
            limit: 1,
        };
        self.list(actor, filter).await?.pop().ok_or(Declined::NotFound)
    }

    /// Changes a key. It takes effect at once; this hour's count stays.
    ///
    /// # Errors
    /// [`Declined`]; nothing was changed then.
    pub async fn patch(&self, actor: &Actor, id: KeyId, patch: KeyPatch) -> Result<ListedKey, Declined> {
        let grant = Grant {
            scopes: patch.scopes.as_deref(),
            rate_limit_per_hour: patch.rate_limit_per_hour,
            chooses_plan: patch.billing_plan.is_some(),
            sets_monthly_limit: patch.monthly_prediction_limit.is_some(),
            for_another_user: false,
        };
        let outcome = self.store.change(About::Key(id), |standing| {
            decide(|| {
                let key = known_key(actor, standing)?;
                grant.check(actor.role, self.options.member_max_rate_limit).map_err(Declined::Forbidden)?;
                if key.facts.lifetime.status(standing.now) == KeyStatus::Revoked {
                    return Err(Declined::KeyRevoked);
                }
                let changed = patched(key.clone(), &patch, standing.now)?;
                if patch.widens() {
                    self.check_regrant(actor, &changed)?;
                }
                let note = actor.note("key.update", id.to_string(), describe(&changed));
                let mut writes = Writes::only("update", note);
                writes.changed_keys.push(changed);
                Ok((Some(writes), ()))
            })
        });
        outcome.await??;
        self.follow_own_change().await;
        self.show(actor, id).await
    }

    /// Gives a key a successor with the same settings; the key itself works for `grace_hours` more.
    ///
    /// # Errors
    /// [`Declined`]; nothing was changed then.
    pub async fn rotate(&self, actor: &Actor, id: KeyId, grace_hours: i64) -> Result<Rotated, Declined> {
        let mut plain = None;
        let outcome = self.store.change(About::Key(id), |standing| {
            decide(|| {
                let mut old = known_key(actor, standing)?.clone();
                self.check_rotation(actor, &old, standing.now)?;
                let new_plain = PlainKey::generate(old.facts.rights.environment, &mut rng());
                let new = successor(&old, &new_plain, standing.now);
                let (new_id, listed) = (new.facts.id, unused(new.clone(), standing.now));
                old.rotated_to = Some(new_id);
                old.facts.lifetime.grace_until = standing.now.plus(grace_hours.saturating_mul(HOUR));
                let valid_until = old.facts.lifetime.grace_until.min(old.facts.lifetime.expires_at);
                let detail = format!("{{\"successor\":\"{new_id}\",\"grace_hours\":{grace_hours}}}");
                let mut writes = Writes::only("rotate", actor.note("key.rotate", id.to_string(), detail));
                writes.new_keys.push(NewKey { key: new, digest: new_plain.digest() });
                writes.changed_keys.push(old);
                plain = Some(new_plain);
                Ok((Some(writes), (listed, valid_until)))
            })
        });
        let (fresh, previous_valid_until) = outcome.await??;
        self.follow_own_change().await;
        let plain = plain.expect("a rotation that was decided made a key");
        // The count that the two share is nice to know; the new secret must not be lost for want of it.
        let listed = self.show(actor, fresh.key.facts.id).await.unwrap_or(fresh);
        Ok(Rotated { issued: Issued { plain, listed }, previous: id, previous_valid_until })
    }

    fn check_rotation(&self, actor: &Actor, key: &Key, now: Timestamp) -> Result<(), Declined> {
        if key.facts.lifetime.status(now) == KeyStatus::Revoked {
            return Err(Declined::KeyRevoked);
        }
        if let Some(successor) = key.rotated_to {
            return Err(Declined::AlreadyRotating { successor });
        }
        self.check_regrant(actor, key)
    }

    /// Whether the actor could have given the key what it has: to give it on is to give it.
    fn check_regrant(&self, actor: &Actor, key: &Key) -> Result<(), Declined> {
        let grant = Grant {
            scopes: Some(&key.facts.rights.scopes),
            rate_limit_per_hour: Some(key.facts.rights.rate_limit_per_hour),
            chooses_plan: false,
            sets_monthly_limit: false,
            for_another_user: false,
        };
        grant.check(actor.role, self.options.member_max_rate_limit).map_err(Declined::Forbidden)
    }

    /// Revokes a key, at once and for good. Doing so again changes nothing.
    ///
    /// # Errors
    /// [`Declined`]; nothing was changed then.
    pub async fn revoke(&self, actor: &Actor, id: KeyId) -> Result<(), Declined> {
        let outcome = self.store.change(About::Key(id), |standing| {
            decide(|| {
                let mut key = known_key(actor, standing)?.clone();
                if key.facts.lifetime.status(standing.now) == KeyStatus::Revoked {
                    return Ok((None, ()));
                }
                key.facts.lifetime.revoked_at = standing.now;
                let note = actor.note("key.revoke", id.to_string(), "{}".into());
                let mut writes = Writes::only("revoke", note);
                writes.changed_keys.push(key);
                Ok((Some(writes), ()))
            })
        });
        outcome.await??;
        self.follow_own_change().await;
        Ok(())
    }
}

/// Lets a decision use `?`: declining writes nothing.
pub(crate) fn decide<T>(
    decision: impl FnOnce() -> Result<(Option<Writes>, T), Declined>,
) -> (Option<Writes>, Result<T, Declined>) {
    match decision() {
        Ok((writes, outcome)) => (writes, Ok(outcome)),
        Err(declined) => (None, Err(declined)),
    }
}

fn known_key<'a>(actor: &Actor, standing: &'a Standing) -> Result<&'a Key, Declined> {
    let key = standing.key.as_ref().ok_or(Declined::NotFound)?;
    if actor.sees(&key.facts.rights.user_id) { Ok(key) } else { Err(Declined::NotFound) }
}

/// A key that was just made, as lists will show it while nobody has used it.
fn unused(key: Key, now: Timestamp) -> ListedKey {
    ListedKey { key, place: 0, now, hour: now.hour(), used_elsewhere: 0, used_here: 0, last_used_at: None }
}

fn fresh_lifetime(expires_at: Timestamp) -> Lifetime {
    Lifetime { expires_at, grace_until: Timestamp::NEVER, revoked_at: Timestamp::NEVER }
}

/// How long a key that is to expire then has been given to live, in microseconds.
fn length(expires_at: Timestamp, now: Timestamp) -> Option<i64> {
    expires_at.if_ever().map(|at| at.0 - now.0)
}

/// The key that succeeds `old`: same rights and account, and as long a life if it expires.
fn successor(old: &Key, plain: &PlainKey, now: Timestamp) -> Key {
    let expires_at = old.life.map_or(Timestamp::NEVER, |life| now.plus(life));
    let facts = KeyFacts {
        id: KeyId::new(now, &mut rng()),
        lifetime: fresh_lifetime(expires_at),
        ..old.facts.clone()
    };
    Key {
        facts,
        shown_prefix: plain.shown_prefix(),
        created_at: now,
        life: old.life,
        rotated_from: Some(old.facts.id),
        rotated_to: None,
        name: old.name.clone(),
        metadata: old.metadata.clone(),
    }
}

fn patched(mut key: Key, patch: &KeyPatch, now: Timestamp) -> Result<Key, Declined> {
    let rights = Arc::make_mut(&mut key.facts.rights);
    if let Some(scopes) = &patch.scopes {
        rights.scopes = scopes.as_slice().into();
    }
    if let Some(allowlist) = &patch.allowlist {
        rights.allowlist = allowlist.as_slice().into();
    }
    if let Some(plan) = &patch.billing_plan {
        rights.billing_plan = plan.as_str().into();
    }
    rights.rate_limit_per_hour = patch.rate_limit_per_hour.unwrap_or(rights.rate_limit_per_hour);
    rights.monthly_prediction_limit =
        patch.monthly_prediction_limit.unwrap_or(rights.monthly_prediction_limit);
    if let Some(expiry) = patch.expiry {
        key.facts.lifetime.expires_at = expiry.resolve(now)?;
        key.life = length(key.facts.lifetime.expires_at, now);
    }
    key.name = patch.name.clone().unwrap_or(key.name);
    key.metadata = patch.metadata.clone().unwrap_or(key.metadata);
    Ok(key)
}

/// What the audit log keeps of a key's settings. The name and the labels are left out: they are free text.
fn describe(key: &Key) -> String {
    let rights = &*key.facts.rights;
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    let number = |number: Option<i64>| number.map_or("null".to_owned(), |number| number.to_string());
    let fields = [
        ("user_id", quoted(&rights.user_id)),
        ("service_id", quoted(&rights.service_id)),
        ("scopes", list(rights.scopes.iter().map(quoted).collect())),
        ("allowed_ips", list(rights.allowlist.iter().map(quoted).collect())),
        ("rate_limit_per_hour", rights.rate_limit_per_hour.to_string()),
        ("monthly_prediction_limit", number(rights.monthly_prediction_limit)),
        ("billing_plan", quoted(&rights.billing_plan)),
        ("expires_at", number(key.facts.lifetime.expires_at.if_ever().map(|at| at.0))),
    ];
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// As a JSON string. Only texts of bounded alphabets come here, and names from the configuration.
fn quoted(text: &(impl std::fmt::Display + ?Sized)) -> String {
    format!("\"{}\"", text.to_string().replace(['"', '\\'], "_"))
}
