//! Keys, tokens and filters to state facts with: plain ones, told apart by a number.

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;

use hokusai_core::billing::Plans;
use hokusai_core::calendar::{Day, Month};
use hokusai_core::key::{Environment, KeyDigest, Lifetime};
use hokusai_core::policy::{KeyFacts, Rights};
use hokusai_core::time::{HOUR, Timestamp};
use hokusai_core::token::{Role, TokenLifetime};
use hokusai_core::usage::{Record, RecordId};
use hokusai_store::{
    AuditFilter, Key, KeyFilter, NewKey, NewToken, Note, Report, Reporter, Token, TokenFilter, Writes,
};

/// Where every clock starts: the beginning of an hour.
pub(crate) const START: Timestamp = Timestamp(490_000 * HOUR);

/// Days for which records are kept where that is not what a fact is about.
pub(crate) const FOR_EVER: i64 = 1_000_000;

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

/// A key whose account has this plan and monthly limit.
pub(crate) fn billed(number: u32, plan: &str, limit: impl Into<Option<i64>>) -> NewKey {
    new_key_with(number, |key| {
        let rights = rights(key);
        rights.billing_plan = plan.into();
        rights.monthly_prediction_limit = limit.into();
    })
}

/// Two plans: by `free`, predictions past the limit cost something; by `fixed`, there are none.
pub(crate) fn plans() -> Plans {
    Plans::parse(&["free=0.001".to_owned(), "fixed".to_owned()]).unwrap()
}

/// One prediction by the key of this number, told from others by the idempotency key `name`; it happens when
/// it arrives.
pub(crate) fn record(key: u32, name: &str) -> Record {
    Record {
        id: RecordId::of(id(key), name),
        key: id(key),
        service_id: "".into(),
        endpoint: "/v1/generate".into(),
        model_id: None,
        status_code: 200,
        response_micros: 1500,
        predictions: 1,
        compute_ms: 10,
        occurred_at: None,
    }
}

/// A record of an instant.
pub(crate) fn record_at(key: u32, name: &str, at: Timestamp) -> Record {
    Record { occurred_at: Some(at), ..record(key, name) }
}

/// A report by somebody who may report of every key.
pub(crate) fn report(records: Vec<Record>) -> Report {
    Report { reporter: Reporter::Anyone, records, is_debit: false }
}

/// A debit of so many predictions.
pub(crate) fn debit(key: u32, name: &str, predictions: i64) -> Report {
    debit_of(Record { predictions, ..record(key, name) })
}

pub(crate) fn debit_of(record: Record) -> Report {
    Report { is_debit: true, ..report(vec![record]) }
}

/// The first instant of a day such as `2024-02-29`.
pub(crate) fn start_of(day: &str) -> Timestamp {
    Day::parse(day).unwrap().start()
}

/// A month such as `2024-02`.
pub(crate) fn month(text: &str) -> Month {
    Month::parse(text).unwrap()
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

pub(crate) const ALL_ENTRIES: AuditFilter = AuditFilter {
    user_id: None,
    action: None,
    target: None,
    address: None,
    since: None,
    until: None,
    before: None,
    limit: 1000,
};

pub(crate) const ALL_TOKENS: TokenFilter = TokenFilter { before: None, limit: 1000 };
