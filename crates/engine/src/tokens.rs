//! Admin tokens: the first one, further ones, and who presents one.

use std::net::IpAddr;

use hokusai_core::id::TokenId;
use hokusai_core::time::{DAY, Timestamp};
use hokusai_core::token::{PlainToken, Role, TokenLifetime, presented_digest};
use hokusai_store::{About, NewToken, Token, TokenFilter, Writes};

use crate::clock::lock;
use crate::engine::{Engine, rng};
use crate::keys::decide;
use crate::refusal::{Actor, Declined};

/// The user that the first operator token belongs to.
const FIRST_USER: &str = "admin";

/// A token that somebody wants.
#[derive(Clone, Debug)]
pub struct TokenWish {
    /// The user that it acts for.
    pub user_id: String,
    /// What to call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// How long it lives; `None`: until it is revoked.
    pub expires_in_days: Option<i64>,
}

/// A new token, with the only copy of its text.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The text, to be shown once.
    pub plain: PlainToken,
    /// The token.
    pub token: Token,
}

impl Engine {
    /// Makes the first operator token, from `chosen` or by chance, if the store never had one.
    ///
    /// # Errors
    /// [`Declined::Store`].
    pub async fn bootstrap(&self, chosen: Option<PlainToken>) -> Result<Option<PlainToken>, Declined> {
        let plain = chosen.unwrap_or_else(|| PlainToken::generate(&mut rng()));
        let wish = TokenWish {
            user_id: FIRST_USER.into(),
            name: "First operator token".into(),
            role: Role::Operator,
            expires_in_days: None,
        };
        let outcome = self.store.change(About::Nothing, |standing| {
            if standing.had_operator {
                return (None, false);
            }
            let token = new_token(&wish, &plain, standing.now);
            (Some(creation(&Actor::system(), token, &plain)), true)
        });
        Ok(outcome.await?.then_some(plain))
    }

    /// Whether there ever was an operator token.
    ///
    /// # Errors
    /// [`Declined::Store`].
    pub async fn had_operator(&self) -> Result<bool, Declined> {
        Ok(self.store.change(About::Nothing, |standing| (None, standing.had_operator)).await?)
    }

    /// Makes a token.
    ///
    /// # Errors
    /// [`Declined::Forbidden`] unless the actor is an operator.
    pub async fn issue_token(&self, actor: &Actor, wish: TokenWish) -> Result<IssuedToken, Declined> {
        actor.only_operators()?;
        let plain = PlainToken::generate(&mut rng());
        let outcome = self.store.change(About::Nothing, |standing| {
            let token = new_token(&wish, &plain, standing.now);
            (Some(creation(actor, token.clone(), &plain)), token)
        });
        let token = outcome.await?;
        Ok(IssuedToken { plain, token })
    }

    /// Lists tokens, newest first.
    ///
    /// # Errors
    /// [`Declined::Forbidden`] unless the actor is an operator.
    pub async fn list_tokens(&self, actor: &Actor, filter: TokenFilter) -> Result<Vec<Token>, Declined> {
        actor.only_operators()?;
        Ok(self.store.list_tokens(&filter).await?)
    }

    /// Revokes a token. Doing so again changes nothing.
    ///
    /// # Errors
    /// [`Declined::LastOperator`] if nobody could manage the service without it.
    pub async fn revoke_token(&self, actor: &Actor, id: TokenId) -> Result<(), Declined> {
        actor.only_operators()?;
        let outcome = self.store.change(About::Token(id), |standing| {
            decide(|| {
                let token = standing.token.as_ref().ok_or(Declined::NotFound)?;
                if token.lifetime.revoked_at != Timestamp::NEVER {
                    return Ok((None, ()));
                }
                let lasts = token.role == Role::Operator && token.lifetime.expires_at == Timestamp::NEVER;
                if lasts && standing.other_lasting_operators == 0 {
                    return Err(Declined::LastOperator);
                }
                let mut writes =
                    Writes::only("token", actor.note("token.revoke", id.to_string(), "{}".into()));
                writes.revoked_tokens.push(id);
                Ok((Some(writes), ()))
            })
        });
        outcome.await?
    }

    /// Who presents this token; `None` if nobody whom the service knows. Texts that were not good lately
    /// count against the look-ups of `address`.
    ///
    /// # Errors
    /// [`Declined::Store`], or [`Declined::TooManyLookups`] once too many were refused.
    pub async fn authenticate(&self, text: &str, address: IpAddr) -> Result<Option<Token>, Declined> {
        let Some(digest) = presented_digest(text) else { return Ok(None) };
        if self.good_tokens.get(&digest).is_some() {
            let token = self.store.find_living_token(&digest).await?;
            if token.is_none() {
                self.good_tokens.remove(&digest);
            }
            return Ok(token);
        }
        let _turn = self.take_turn(address).await?;
        let token = self.store.find_living_token(&digest).await?;
        if token.is_some() {
            self.good_tokens.insert(digest, ());
            lock(&self.lookup_cap).refund(address, self.clock.elapsed());
        }
        Ok(token)
    }
}

fn new_token(wish: &TokenWish, plain: &PlainToken, now: Timestamp) -> Token {
    let expires_at = wish.expires_in_days.map_or(Timestamp::NEVER, |days| now.plus(days.saturating_mul(DAY)));
    Token {
        id: TokenId::new(now, &mut rng()),
        shown_prefix: plain.shown_prefix(),
        user_id: wish.user_id.clone(),
        name: wish.name.clone(),
        role: wish.role,
        created_at: now,
        lifetime: TokenLifetime { expires_at, revoked_at: Timestamp::NEVER },
        place: 0,
    }
}

fn creation(actor: &Actor, token: Token, plain: &PlainToken) -> Writes {
    let detail = format!("{{\"role\":\"{}\"}}", token.role.name());
    let mut writes = Writes::only("token", actor.note("token.create", token.id.to_string(), detail));
    writes.new_tokens.push(NewToken { token, digest: plain.digest() });
    writes
}
