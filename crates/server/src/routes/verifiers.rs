//! For verifiers: being vouched for a key, units of limits, and the feed of changes.

use std::str::FromStr;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use hokusai_api::verifiers::{
    Allotments, Allotted, AllottedItems, ChangeItem, ChangesPage, DebtSlip, Effective, VouchedKey,
};
use hokusai_core::address::block_text;
use hokusai_core::allotment::{Answer, Ask};
use hokusai_core::debt::{Debt, DebtId};
use hokusai_core::feed::Position;
use hokusai_core::id::HolderId;
use hokusai_core::policy::{Attempt, ClientAddress, Demand, MAX_RATE_LIMIT};
use hokusai_core::time::Hour;
use hokusai_core::token::Role;
use hokusai_engine::{Effect, GoodKey, LONGEST_VALIDITY, VerifierId, Vouched};
use hokusai_store::{AccountAsk, Token};
use serde_json::Value;

use crate::address::origin;
use crate::app::App;
use crate::body::JsonObject;
use crate::caller::service_token;
use crate::error::ApiError;
use crate::fields::{Fields, Parsed};
use crate::routes::pages::Query;
use crate::routes::validate::{refused_body, valid_body};
use crate::values;

/// The most accounts in one message, and the most debts.
const MOST: usize = 1000;
/// The longest wait for a change.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait for a change to be known to all.
const LONGEST_EFFECT: Duration = Duration::from_secs(5);
/// The largest message about limits, in bytes.
const MESSAGE_LIMIT: usize = 512 * 1024;

/// The bearer of a living service token that may verify.
pub(crate) struct ServiceCaller(pub(crate) Token);

impl FromRequestParts<App> for ServiceCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let origin = origin(&parts.extensions, &parts.headers, &app.options.trusted_proxies);
        may_verify(service_token(app, &parts.headers, origin).await?).map(Self)
    }
}

fn may_verify(token: Option<Token>) -> Result<Token, ApiError> {
    let token = token.ok_or_else(ApiError::verifier_token_required)?;
    let may = matches!(token.role, Role::Verifier | Role::Operator);
    if may { Ok(token) } else { Err(ApiError::forbidden("This token's role does not allow this")) }
}

/// What a validation says for a verifier: only that it may ask at all is checked before.
pub(crate) struct VouchWish {
    holder: HolderId,
    seq: Option<i64>,
    valid_for: Duration,
}

pub(crate) fn read_vouch_wish(fields: &mut Fields) -> Option<VouchWish> {
    let holder = fields.nullable("holder", id::<HolderId>).flatten();
    let seq = fields.nullable("seq", values::whole_number(1..=i64::MAX)).flatten();
    let most = i64::try_from(LONGEST_VALIDITY.as_millis()).unwrap_or(i64::MAX);
    let ttl = fields.nullable("validation_ttl_ms", values::whole_number(1..=most)).flatten();
    let valid_for = ttl.map_or(LONGEST_VALIDITY, |ms| Duration::from_millis(ms.unsigned_abs()));
    holder.map(|holder| VouchWish { holder, seq, valid_for })
}

/// Answers a validation of a verifier.
pub(crate) async fn vouch(
    app: &App,
    token: Option<Token>,
    key: &str,
    wish: &VouchWish,
) -> Result<Response, ApiError> {
    let verifier = VerifierId { holder: wish.holder, token: may_verify(token)?.id };
    let vouched = app.engine.vouch(verifier, key, wish.valid_for, wish.seq).await?;
    let status = if vouched.verdict.is_ok() { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    Ok((status, Json(vouched_body(&vouched))).into_response())
}

fn vouched_body(vouched: &Vouched) -> VouchedKey {
    let position = written(vouched.position);
    match &vouched.verdict {
        Err(refusal) => {
            let attempt =
                Attempt { service_id: None, demand: Demand::Nothing, client: ClientAddress::Told("unknown") };
            VouchedKey {
                key: refused_body(*refusal, &attempt),
                account: None,
                allowed_ips: None,
                valid_for_ms: None,
                allotment: None,
                position,
            }
        }
        Ok(GoodKey { key, valid_for, allotment }) => VouchedKey {
            key: valid_body(key),
            account: Some(key.account.to_string()),
            allowed_ips: Some(key.rights.allowlist.iter().map(block_text).collect()),
            valid_for_ms: Some(millis(*valid_for)),
            allotment: allotment.as_ref().map(allotted),
            position,
        },
    }
}

pub(crate) async fn allotments(
    State(app): State<App>,
    ServiceCaller(token): ServiceCaller,
    request: Request,
) -> Result<Json<AllottedItems>, ApiError> {
    let body = JsonObject::up_to(MESSAGE_LIMIT, request).await?.required()?;
    // What serde says of another form may repeat what was sent.
    let message: Allotments = serde_json::from_value(values::with_whole_numbers(Value::Object(body)))
        .map_err(|_| ApiError::field("body", "must have the documented form"))?;
    let holder: HolderId = parsed("holder", &message.holder)?;
    let verifier = VerifierId { holder, token: token.id };
    let (asks, debts) = (read_asks(&message)?, read_debts(&app, &message.debt)?);
    let answers = app.engine.allot_for(verifier, &asks, &debts).await?;
    if message.goodbye {
        app.engine.say_goodbye(verifier).await?;
    }
    Ok(Json(AllottedItems { items: answers.iter().map(|answer| answer.as_ref().map(allotted)).collect() }))
}

fn read_asks(message: &Allotments) -> Result<Vec<AccountAsk>, ApiError> {
    if message.items.len() > MOST {
        return Err(ApiError::field("items", format!("must be {MOST} at the most")));
    }
    let mut accounts = std::collections::HashSet::new();
    let ask = |(index, item): (usize, &hokusai_api::verifiers::AllotmentAsk)| {
        let account = parsed(&format!("items[{index}].account"), &item.account)?;
        let wrong = |field: &str, what: &str| Err(ApiError::field(&format!("items[{index}].{field}"), what));
        if !accounts.insert(account) {
            return wrong("account", "must not occur twice");
        }
        if item.used > MAX_RATE_LIMIT || item.want > MAX_RATE_LIMIT {
            return wrong("used", "must be 100,000 at the most, and so must be what is wanted");
        }
        if item.seq < 1 || item.hour.is_some_and(|hour| !(0..=10_000_000).contains(&hour)) {
            return wrong("seq", "must be 1 or more, and the hour one since 1970");
        }
        let hour = item.hour.map(Hour);
        let ask = Ask { hour, seq: item.seq, used: item.used, want: item.want, waiting: 0 };
        Ok(AccountAsk { account, ask })
    };
    message.items.iter().enumerate().map(ask).collect()
}

fn read_debts(app: &App, slips: &[DebtSlip]) -> Result<Vec<Debt>, ApiError> {
    if slips.len() > MOST {
        return Err(ApiError::field("debt", format!("must be {MOST} at the most")));
    }
    // Clocks differ; but nobody has admitted anything in hours to come.
    let latest = app.engine.clock().now().hour().0 + 3;
    let debt = |(index, slip): (usize, &DebtSlip)| {
        let place = |field: &str| format!("debt[{index}].{field}");
        if !(0..=latest).contains(&slip.hour) {
            return Err(ApiError::field(&place("hour"), "must be an hour that has begun"));
        }
        if slip.units > MAX_RATE_LIMIT {
            return Err(ApiError::field(&place("units"), "must be 100,000 at the most"));
        }
        let id = DebtId {
            debtor: parsed(&place("id"), &slip.id)?,
            account: parsed(&place("account"), &slip.account)?,
            hour: Hour(slip.hour),
        };
        Ok(Debt { id, units: slip.units })
    };
    slips.iter().enumerate().map(debt).collect()
}

pub(crate) async fn changes(
    State(app): State<App>,
    ServiceCaller(token): ServiceCaller,
    query: Query,
) -> Result<Json<ChangesPage>, ApiError> {
    query.only(&["holder", "position", "wait_ms", "validation_ttl_ms"])?;
    let holder = query.get("holder", id)?.ok_or_else(|| ApiError::field("holder", "is required"))?;
    let verifier = VerifierId { holder, token: token.id };
    let position = query.get("position", place)?;
    let wait = millis_in(&query, "wait_ms", LONGEST_WAIT)?.unwrap_or(LONGEST_WAIT);
    let valid_for = millis_in(&query, "validation_ttl_ms", LONGEST_VALIDITY)?.unwrap_or(LONGEST_VALIDITY);
    let changes = app.engine.changes(verifier, position, valid_for, wait).await?;
    let page = &changes.page;
    let kind = |revision| if page.new_keys.contains(&revision) { "create" } else { "change" };
    let items = page.changes.iter().filter(|_| !changes.reset).map(|(change, _)| ChangeItem {
        revision: change.revision,
        kind: kind(change.revision).into(),
        key_id: change.key.map(|(key, _)| key.to_string()),
        account: change.key.map(|(_, account)| account.to_string()),
    });
    Ok(Json(ChangesPage {
        position: written(page.head),
        reset: changes.reset,
        items: items.collect(),
        dry: page.dry.iter().map(ToString::to_string).collect(),
    }))
}

/// How long a change shall be waited for to be known to all.
pub(crate) fn read_wait(query: &Query, usual: Duration) -> Result<Duration, ApiError> {
    Ok(millis_in(query, "wait_ms", LONGEST_EFFECT)?.unwrap_or(usual))
}

fn millis_in(query: &Query, name: &str, most: Duration) -> Result<Option<Duration>, ApiError> {
    let range = 0..=most.as_millis();
    let number = query.get(name, |value| {
        let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
        let wrong = || format!("must be a whole number from 0 to {}", range.end());
        number.filter(|number| range.contains(&u128::from(*number))).ok_or_else(wrong)
    })?;
    Ok(number.map(Duration::from_millis))
}

/// Waits for a change to be known to all, and says what became of it. The change is made: that it can't be
/// found out who knows of it does not undo it.
pub(crate) async fn effective(app: &App, wait: Duration) -> Option<Effective> {
    let effect = app.engine.await_effect(wait).await;
    let time = |at: hokusai_core::time::Timestamp| Some(hokusai_api::time::write(at.0));
    match effect {
        Ok(Effect::Everywhere(at)) => {
            Some(Effective { everywhere: true, at: time(at), pending: None, at_latest: None })
        }
        Ok(Effect::Pending { holders, at_latest }) => Some(Effective {
            everywhere: false,
            at: None,
            pending: Some(holders.iter().map(ToString::to_string).collect()),
            at_latest: time(at_latest),
        }),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "it can't be found out who knows of a change"
            );
            None
        }
    }
}

fn allotted(answer: &Answer) -> Allotted {
    Allotted {
        hour: answer.hour.0,
        seq: answer.seq,
        allotted: answer.allotted,
        used: answer.used,
        awaited: answer.awaited,
        expires_in_ms: millis(answer.expires_in),
        limit: answer.limit,
        remaining: answer.left,
        holders: answer.holders,
        reclaimable: answer.reclaimable,
        living: answer.living,
    }
}

/// Rounded down: nothing is used for longer than it may.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn written(position: Position) -> String {
    format!("{}:{}", position.epoch, position.revision)
}

fn place(value: Value) -> Parsed<Position> {
    let read = |text: &str| {
        let (epoch, revision) = text.split_once(':')?;
        let revision = revision.parse().ok().filter(|revision| *revision >= 0)?;
        Some(Position { epoch: epoch.parse().ok()?, revision })
    };
    value.as_str().and_then(read).ok_or_else(|| "must be a place in the feed, as it was answered".to_owned())
}

fn parsed<T: FromStr>(field: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::field(field, "must be an id"))
}

fn id<T: FromStr>(value: Value) -> Parsed<T> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| "must be an id".to_owned())
}
