//! What can be asked, by name and with fields as JSON, and the answers as JSON.

mod fields;
mod models;
mod records;
mod service;

use hokusai_client::{Client, Error, Pages};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fault::Fault;
use models::ModelAsk;
use records::RecordAsk;
use service::ServiceAsk;

/// Entries of a page when all are wanted.
const PAGE: u32 = 1000;

/// A question, read.
pub(crate) enum Ask {
    /// To the gateway, with an API key.
    Platform(ModelAsk),
    /// To the service, of models.
    Models(ModelAsk),
    /// To the service, of keys, tokens and itself.
    Service(Box<ServiceAsk>),
    /// To the service, of usage and what was done.
    Records(Box<RecordAsk>),
}

impl Ask {
    /// Reads a question: to whom or of what, a dot, and its name.
    pub(crate) fn read(what: &str, fields: &str) -> Result<Self, Fault> {
        let (to, ask) = what.split_once('.').ok_or(Fault::Broken)?;
        let fields: Value = serde_json::from_str(fields)?;
        let tagged = serde_json::json!({ "ask": ask, "fields": fields });
        Ok(match to {
            "platform" => Self::Platform(serde_json::from_value(tagged)?),
            "models" => Self::Models(serde_json::from_value(tagged)?),
            "service" => Self::Service(Box::new(serde_json::from_value(tagged)?)),
            _ => Self::Records(Box::new(serde_json::from_value(tagged)?)),
        })
    }
}

/// The answer as JSON.
pub(crate) async fn answer(client: &Client, ask: Ask) -> Result<String, Fault> {
    match ask {
        Ask::Platform(ask) => models::of_platform(client, ask).await,
        Ask::Models(ask) => models::answer(client, ask).await,
        Ask::Service(ask) => service::answer(client, *ask).await,
        Ask::Records(ask) => records::answer(client, *ask).await,
    }
}

fn json(answer: &impl Serialize) -> Result<String, Fault> {
    Ok(serde_json::to_string(answer)?)
}

/// How large a page is when this many entries are wanted.
fn page_size(limit: Option<usize>) -> Option<u32> {
    Some(limit.and_then(|limit| u32::try_from(limit).ok()).map_or(PAGE, |limit| limit.clamp(1, PAGE)))
}

/// The first so many entries of a list, or all of them.
async fn collect<T: DeserializeOwned>(mut pages: Pages<T>, limit: Option<usize>) -> Result<Vec<T>, Error> {
    let most = limit.unwrap_or(usize::MAX);
    let mut all = Vec::new();
    while all.len() < most
        && let Some(page) = pages.next().await?
    {
        all.extend(page);
    }
    all.truncate(most);
    Ok(all)
}
