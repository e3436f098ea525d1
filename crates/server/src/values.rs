//! Values of fields and parameters: from JSON or text into types, each with its bound.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use hokusai_core::address::{MAX_ALLOWLIST, parse_block};
use hokusai_core::calendar::{Day, Month};
use hokusai_core::key::Environment;
use hokusai_core::model::{
    MAX_TAG_BYTES, MAX_TAG_KEY, MAX_TAG_VALUE, MAX_TAGS, MAX_TYPE, ModelName, ModelType, Tag, are_tags,
};
use hokusai_core::policy::{MAX_RATE_LIMIT, MIN_RATE_LIMIT, canonical_service};
use hokusai_core::scope::Scope;
use hokusai_core::time::{DAY, Timestamp};
use hokusai_core::token::Role;
use hokusai_core::usage::{self, MAX_ENDPOINT, MAX_FIGURE, MAX_IDEMPOTENCY_KEY};
use hokusai_engine::Expiry;
use ipnet::IpNet;
use serde_json::Value;

use crate::fields::Parsed;

/// The largest whole number that every JSON reader keeps exactly: 2⁵³ − 1.
const MAX_EXACT: i64 = 9_007_199_254_740_991;
const MAX_DAYS: i64 = 365;
const MAX_NAME: usize = 100;
const MAX_SCOPES: usize = 64;
/// The longest id of a model, and the longest idempotency key.
const MAX_WORD: usize = MAX_IDEMPOTENCY_KEY;
/// The largest metadata, in bytes of JSON.
const MAX_METADATA: usize = 4096;

pub(crate) fn name(value: Value) -> Parsed<String> {
    let wrong = || format!("must be 1 to {MAX_NAME} characters without control characters");
    let text = text(value).map_err(|_| wrong())?;
    let trimmed = text.trim();
    let fits = (1..=MAX_NAME).contains(&trimmed.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(trimmed.to_owned()) } else { Err(wrong()) }
}

pub(crate) fn user_id(value: Value) -> Parsed<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._@:-".contains(&b);
    match text(value) {
        Ok(text) if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(allowed) => Ok(text),
        _ => Err(format!("must be 1 to {MAX_NAME} of A-Z a-z 0-9 . _ @ : -")),
    }
}

/// A service by its present or an older name.
pub(crate) fn service(known: &[String]) -> impl FnOnce(Value) -> Parsed<String> {
    move |value| {
        let wrong = || format!("must be one of: {}", known.join(", "));
        let text = text(value).map_err(|_| wrong())?;
        let name = canonical_service(&text);
        known.iter().find(|service| *service == name).cloned().ok_or_else(wrong)
    }
}

pub(crate) fn one_of(known: &[String]) -> impl FnOnce(Value) -> Parsed<String> {
    move |value| {
        let text = text(value).ok().filter(|text| known.contains(text));
        text.ok_or_else(|| format!("must be one of: {}", known.join(", ")))
    }
}

pub(crate) fn scopes(value: Value) -> Parsed<Vec<Scope>> {
    let wrong = || {
        format!(
            "must be a list of at most {MAX_SCOPES} scopes, each 1 to 64 of a-z 0-9 : . _ -, \
             or such a text ending in ':*', or '*'"
        )
    };
    let Value::Array(items) = value else { return Err(wrong()) };
    if items.len() > MAX_SCOPES {
        return Err(wrong());
    }
    items.iter().map(|item| item.as_str().and_then(Scope::parse).ok_or_else(wrong)).collect()
}

pub(crate) fn environment(value: Value) -> Parsed<Environment> {
    let found = text(value).ok().and_then(|name| Environment::from_name(&name));
    found.ok_or_else(|| "must be production, test or development".to_owned())
}

pub(crate) fn role(value: Value) -> Parsed<Role> {
    let found = text(value).ok().and_then(|name| Role::from_name(&name));
    found.ok_or_else(|| "must be operator, member or verifier".to_owned())
}

pub(crate) fn rate_limit(value: Value) -> Parsed<u32> {
    let number = whole_number(i64::from(MIN_RATE_LIMIT)..=i64::from(MAX_RATE_LIMIT))(value)?;
    Ok(u32::try_from(number).expect("the range of limits fits"))
}

pub(crate) fn monthly_limit(value: Value) -> Parsed<i64> {
    whole_number(0..=MAX_EXACT)(value)
}

pub(crate) fn days(value: Value) -> Parsed<i64> {
    whole_number(1..=MAX_DAYS)(value)
}

pub(crate) fn whole_number(range: RangeInclusive<i64>) -> impl FnOnce(Value) -> Parsed<i64> {
    move |value| {
        let Value::Number(number) = value else { return Err(wrong_number(&range)) };
        let number = number.as_i64().or_else(|| number.as_f64().and_then(whole));
        number.filter(|number| range.contains(number)).ok_or_else(|| wrong_number(&range))
    }
}

fn wrong_number(range: &RangeInclusive<i64>) -> String {
    format!("must be a whole number from {} to {}", range.start(), range.end())
}

/// JSON knows one kind of number: 1e3 and 1000.0 are the number 1000.
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= MAX_EXACT as f64).then_some(number as i64)
}

/// The same value with all whole numbers in it written as such, for readers that know integers alone.
pub(crate) fn with_whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            number.as_f64().and_then(whole).map_or(Value::Number(number), Value::from)
        }
        Value::Array(items) => items.into_iter().map(with_whole_numbers).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, with_whole_numbers(value))).collect()
        }
        other => other,
    }
}

pub(crate) fn boolean(value: Value) -> Parsed<bool> {
    if let Value::Bool(answer) = value { Ok(answer) } else { Err("must be true or false".to_owned()) }
}

pub(crate) fn any_text(value: Value) -> Parsed<String> {
    text(value).map_err(|_| "must be text".to_owned())
}

/// Text of at most `most` characters.
pub(crate) fn text_up_to(most: usize) -> impl FnOnce(Value) -> Parsed<String> {
    move |value| {
        let text = text(value).ok().filter(|text| text.chars().count() <= most);
        text.ok_or_else(|| format!("must be text of at most {most} characters"))
    }
}

/// Text of one line at most: what the store can be asked for. PostgreSQL takes no text with a NUL in it.
pub(crate) fn line_up_to(most: usize) -> impl FnOnce(Value) -> Parsed<String> {
    move |value| {
        let text = text_up_to(most)(value).ok().filter(|text| !text.chars().any(char::is_control));
        text.ok_or_else(|| format!("must be text of at most {most} characters without control characters"))
    }
}

/// Text of one line that is not empty.
pub(crate) fn line_from_1_to(most: usize) -> impl FnOnce(Value) -> Parsed<String> {
    move |value| {
        let text = line_up_to(most)(value).ok().filter(|text| !text.is_empty());
        text.ok_or_else(|| format!("must be 1 to {most} characters without control characters"))
    }
}

/// Text of any number of lines.
pub(crate) fn prose_up_to(most: usize) -> impl FnOnce(Value) -> Parsed<String> {
    let allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    move |value| {
        let text = text_up_to(most)(value).ok().filter(|text| text.chars().all(allowed));
        text.ok_or_else(|| {
            format!(
                "must be text of at most {most} characters, with no control characters but line ends and tabs"
            )
        })
    }
}

pub(crate) fn allowlist(value: Value) -> Parsed<Vec<IpNet>> {
    let wrong = || format!("must be a list of at most {MAX_ALLOWLIST} IPv4 or IPv6 addresses or CIDR blocks");
    let Value::Array(items) = value else { return Err(wrong()) };
    if items.len() > MAX_ALLOWLIST {
        return Err(wrong());
    }
    let block = |item: &Value| {
        let shown: String = item.to_string().chars().take(64).collect();
        item.as_str().and_then(parse_block).ok_or_else(|| format!("{shown} is no IP address or CIDR block"))
    };
    items.iter().map(block).collect()
}

/// An instant ahead of `now`: RFC 3339, or the form `<local time>+30d` that a deployed client sends for
/// "30 days from now".
pub(crate) fn expiry(now: Timestamp) -> impl FnOnce(Value) -> Parsed<Expiry> {
    move |value| {
        let wrong =
            || "must be an RFC 3339 time in the future, with zone, at most 100 years ahead".to_owned();
        let text = text(value).map_err(|_| wrong())?;
        if let Some(days) = days_from_now(&text) {
            return Ok(Expiry::InDays(days));
        }
        let at = Timestamp(hokusai_api::time::read(&text).ok_or_else(wrong)?);
        if at > now && at <= now.plus(36_525 * DAY) { Ok(Expiry::At(at)) } else { Err(wrong()) }
    }
}

/// An instant, as RFC 3339 writes it.
pub(crate) fn time(value: Value) -> Parsed<Timestamp> {
    let at = text(value).ok().and_then(|text| hokusai_api::time::read(&text));
    at.map(Timestamp)
        .ok_or_else(|| "must be an RFC 3339 time with zone, such as 2026-03-04T10:30:00Z".to_owned())
}

/// An address, in the form in which it is kept.
pub(crate) fn address(value: Value) -> Parsed<String> {
    let address = text(value).ok().and_then(|text| text.parse::<IpAddr>().ok());
    address
        .map(|address| address.to_canonical().to_string())
        .ok_or_else(|| "must be an IP address".to_owned())
}

fn days_from_now(text: &str) -> Option<i64> {
    let (local, days) = text.strip_suffix('d')?.rsplit_once('+')?;
    local.parse::<jiff::civil::DateTime>().ok()?;
    let days: i64 = days.parse().ok().filter(|number: &i64| number.to_string() == days)?;
    (1..=MAX_DAYS).contains(&days).then_some(days)
}

/// A time of the past, or of what is nearly the present: how near is judged where it is used.
pub(crate) fn instant(value: Value) -> Parsed<Timestamp> {
    let read = text(value).ok().and_then(|text| hokusai_api::time::read(&text));
    read.map(Timestamp).ok_or_else(|| "must be an RFC 3339 time, with zone".to_owned())
}

/// A UTC month: `2025-01`.
pub(crate) fn month(value: Value) -> Parsed<Month> {
    let read = text(value).ok().and_then(|text| Month::parse(&text));
    read.ok_or_else(|| "must be a month such as 2025-01".to_owned())
}

/// A UTC day: `2025-01-15`.
pub(crate) fn day(value: Value) -> Parsed<Day> {
    let read = text(value).ok().and_then(|text| Day::parse(&text));
    read.ok_or_else(|| "must be a day such as 2025-01-15".to_owned())
}

pub(crate) fn status_code(value: Value) -> Parsed<u16> {
    let number = whole_number(100..=599)(value)?;
    Ok(u16::try_from(number).expect("the range of statuses fits"))
}

pub(crate) fn endpoint(value: Value) -> Parsed<Box<str>> {
    let read = text(value).ok().and_then(|text| usage::endpoint(&text));
    read.ok_or_else(|| format!("must be a path of 1 to {MAX_ENDPOINT} characters without control characters"))
}

/// A short text that is not empty.
pub(crate) fn word(value: Value) -> Parsed<String> {
    let wrong = || format!("must be 1 to {MAX_WORD} characters without control characters");
    let fits =
        |text: &String| (1..=MAX_WORD).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    text(value).ok().filter(fits).ok_or_else(wrong)
}

pub(crate) fn count(value: Value) -> Parsed<i64> {
    whole_number(0..=MAX_FIGURE)(value)
}

/// A duration of at most `most` milliseconds, in units of which each millisecond has so many; to the nearest.
pub(crate) fn milliseconds(most: i64, units: f64) -> impl FnOnce(Value) -> Parsed<i64> {
    move |value| {
        let number = value.as_f64().filter(|number| (0.0..=most as f64).contains(number));
        let units = number.map(|number| (number * units).round() as i64);
        units.ok_or_else(|| format!("must be a number of milliseconds from 0 to {most}"))
    }
}

/// A flat object of strings, as JSON text.
pub(crate) fn metadata(value: Value) -> Parsed<String> {
    let wrong = || format!("must be an object with text values, at most {MAX_METADATA} bytes as JSON");
    let object: BTreeMap<String, String> = serde_json::from_value(value).map_err(|_| wrong())?;
    let json = serde_json::to_string(&object).map_err(|_| wrong())?;
    if json.len() <= MAX_METADATA { Ok(json) } else { Err(wrong()) }
}

pub(crate) fn model_name(value: Value) -> Parsed<ModelName> {
    let found = text(value).ok().filter(|text| !text.chars().any(char::is_control));
    found.and_then(|text| ModelName::parse(text.trim())).ok_or_else(|| ModelName::RULE.to_owned())
}

pub(crate) fn model_type(value: Value) -> Parsed<ModelType> {
    let found = text(value).ok().and_then(|text| ModelType::parse(&text));
    found.ok_or_else(|| format!("must be 1 to {MAX_TYPE} of a-z 0-9 _ -"))
}

/// The tags of a model or version, as JSON text.
pub(crate) fn tags(value: Value) -> Parsed<String> {
    let wrong = || {
        format!(
            "must be an object of at most {MAX_TAGS} texts, {MAX_TAG_BYTES} bytes as JSON: keys of 1 to \
             {MAX_TAG_KEY} characters without ':', values of at most {MAX_TAG_VALUE}, none with control characters"
        )
    };
    let object: BTreeMap<String, String> = serde_json::from_value(value).map_err(|_| wrong())?;
    let json = serde_json::to_string(&object).map_err(|_| wrong())?;
    if are_tags(&object) && json.len() <= MAX_TAG_BYTES { Ok(json) } else { Err(wrong()) }
}

/// A tag to look for: `key:value`.
pub(crate) fn tag(value: Value) -> Parsed<Tag> {
    let read = text(value).ok().and_then(|text| Tag::parse(&text));
    read.ok_or_else(|| "must be a tag such as team:growth: its key, a colon, its value".to_owned())
}

fn text(value: Value) -> Result<String, Value> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(other),
    }
}
