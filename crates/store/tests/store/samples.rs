//! Keys, tokens and filters to state facts with: plain ones, told apart by a number.

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;

use hokusai_core::key::{Environment, KeyDigest, Lifetime};
use hokusai_core::policy::{KeyFacts, Rights};
use hokusai_core::time::{HOUR, Timestamp};
use hokusai_core::token::{Role, TokenLifetime};
use hokusai_store::{Key, KeyFilter, NewKey, NewToken, Note, Token, TokenFilter, Writes};

/// Where every clock starts: the beginning of an hour.
pub(crate) const START: Timestamp = Timestamp(490_000 * HOUR);

/// The id of this number, of any kind. A key and the account that it opens have the same number.
pub(crate) fn id<T: FromStr<Err: Debug>>(number: u32) -> T {
    format!("018f0000-0000-7000-8000-{number:012}").parse().unwrap()
}

/// What the key or token of this number is found by.
pub(crate) fn digest(number: u32) -> KeyDigest {
    KeyDigest::of(&format!("text {number}"))
}

/// A key without anything that can be left out, and a limit of 100.
pub(crate) fn key(number: u32) -> Key {
    let rights = Rights {
        user_id: "ada".into(),
        service_id: "platform".into(),
        scopes: [].into(),
        environment: Environment::Production,
        allowlist: [].into(),
        rate_limit_per_hour: 100,
        monthly_prediction_limit: None,
        billing_plan: "free".into(),
    };
    let lifetime = Lifetime {
        expires_at: Timestamp::NEVER,
        grace_until: Timestamp::NEVER,
        revoked_at: Timestamp::NEVER,
    };
    Key {
        facts: KeyFacts { id: id(number), account: id(number), lifetime, rights: Arc::new(rights) },
        name: format!("key {number}"),
        shown_prefix: "hk_live_AbC***".to_owned(),
        metadata: "{}".to_owned(),
        created_at: START,
        life: None,
        rotated_from: None,
        rotated_to: None,
    }
}

pub(crate) fn rights(key: &mut Key) -> &mut Rights {
    Arc::make_mut(&mut key.facts.rights)
}

pub(crate) fn new_key(number: u32) -> NewKey {
    NewKey { key: key(number), digest: digest(number) }
}

/// A new key with something changed about it.
pub(crate) fn new_key_with(number: u32, change: impl FnOnce(&mut Key)) -> NewKey {
    let mut new = new_key(number);
    change(&mut new.key);
    new
}

/// A key that takes part in the account of an earlier one.
pub(crate) fn successor(number: u32, of: u32) -> NewKey {
    new_key_with(number, |key| {
        key.facts.account = id(of);
        key.rotated_from = Some(id(of));
    })
}

/// A token that does not expire.
pub(crate) fn new_token(number: u32, role: Role) -> NewToken {
    let token = Token {
        id: id(number),
        shown_prefix: "hka_AbC***".to_owned(),
        user_id: "ada".to_owned(),
        name: format!("token {number}"),
        role,
        created_at: START,
        lifetime: TokenLifetime { expires_at: Timestamp::NEVER, revoked_at: Timestamp::NEVER },
        place: 0,
    };
    NewToken { token, digest: digest(number) }
}

pub(crate) fn note(target: &str) -> Note {
    Note {
        user_id: "ada".to_owned(),
        token_id: "token".to_owned(),
        action: "key.create",
        target: target.to_owned(),
        address: "192.0.2.7".to_owned(),
        request_id: "request".to_owned(),
        detail: r#"{"name":"é"}"#.to_owned(),
    }
}

/// A change that writes nothing but its note, to be filled.
pub(crate) fn writes() -> Writes {
    Writes::only("change", note("target"))
}

pub(crate) const ALL_KEYS: KeyFilter = KeyFilter {
    key: None,
    user_id: None,
    service_id: None,
    environment: None,
    active_only: false,
    before: None,
    limit: 1000,
};

pub(crate) const ALL_TOKENS: TokenFilter = TokenFilter { before: None, limit: 1000 };
