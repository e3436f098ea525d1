//! Values of keys, read from the command line: what the service would refuse is refused here, too.

use hokusai_core::address;
use hokusai_core::key::Environment;
use hokusai_core::scope::Scope;

/// Requests an hour.
pub(crate) const RATE_LIMIT: std::ops::RangeInclusive<i64> = 10..=100_000;
/// Days of a key's life.
pub(crate) const DAYS: std::ops::RangeInclusive<i64> = 1..=365;

pub(crate) fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    match name.chars().count() {
        1..=100 if !name.contains(char::is_control) => Ok(name.to_owned()),
        1..=100 => Err("must not have control characters, such as a line break".to_owned()),
        count => Err(format!("must be 1 to 100 characters long, not {count}")),
    }
}

pub(crate) fn environment(text: &str) -> Result<String, String> {
    match Environment::from_name(text) {
        Some(environment) => Ok(environment.name().to_owned()),
        None => Err("must be production, test or development".to_owned()),
    }
}

pub(crate) fn address_block(text: &str) -> Result<String, String> {
    match address::parse_block(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("must be an IP address or a CIDR block, such as 203.0.113.7 or 10.0.0.0/8".to_owned()),
    }
}

pub(crate) fn scope(text: &str) -> Result<String, String> {
    match Scope::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("must be 1 to 64 of a-z, 0-9 and :._- such as model:read, or end in *".to_owned()),
    }
}

/// `name=value`.
pub(crate) fn note(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE, such as team=search".to_owned()),
    }
}
