//! What facts are stated with: a running service, callers, answers, and what they were heard to say.

mod answer;
mod caller;
mod certificate;
mod contract;
mod database;
mod logs;
mod service;
mod usage;
mod verifier;
mod wire;

pub(crate) use answer::Answer;
pub(crate) use caller::{Caller, IssuedKey};
pub(crate) use certificate::Certificate;
pub(crate) use contract::Contract;
pub(crate) use database::Place;
pub(crate) use logs::Logs;
pub(crate) use service::{START, Service, Setup};
pub(crate) use usage::{instant, record_of, report};
pub(crate) use verifier::{Verifier, position_of};
pub(crate) use wire::Wire;

use std::time::Duration;

/// Longer than anything that is waited for takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until something can be seen, which happens soon or never.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let seen = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}
