//! What the service is asked of keys, tokens and itself.

use std::time::Duration;

use hokusai_client::api::admin_tokens::CreateToken;
use hokusai_client::api::keys::{CreateKey, UpdateKey};
use hokusai_client::api::validate::ValidateKey;
use hokusai_client::{Client, KeyId, KeyQuery, Secret, Validation};
use serde::Deserialize;
use serde_json::json as object;

use super::fields::id;
use super::{collect, json, page_size};
use crate::fault::Fault;

#[derive(Deserialize)]
#[serde(tag = "ask", content = "fields", rename_all = "snake_case")]
pub(crate) enum ServiceAsk {
    Ready {},
    Version {},
    Validate {
        key: String,
        question: ValidateKey,
    },
    Keys {
        service_id: Option<String>,
        environment: Option<String>,
        active_only: bool,
        user_id: Option<String>,
        limit: Option<usize>,
    },
    Key {
        key_id: String,
    },
    CreateKey(Box<CreateKey>),
    UpdateKey {
        key_id: String,
        change: Box<UpdateKey>,
    },
    RevokeKey {
        key_id: String,
    },
    RotateKey {
        key_id: String,
        grace_period_hours: Option<u32>,
    },
    Validations {
        key_id: String,
        hours: Option<u32>,
    },
    Alerts {},
    Tokens {
        limit: Option<usize>,
    },
    CurrentToken {},
    CreateToken(CreateToken),
    RevokeToken {
        token_id: String,
    },
}

pub(super) async fn answer(client: &Client, ask: ServiceAsk) -> Result<String, Fault> {
    match ask {
        ServiceAsk::Ready {} => json(&client.ready().await?),
        ServiceAsk::Version {} => json(&client.version().await?),
        ServiceAsk::Validate { key, question } => validate(client, Secret::new(key), &question).await,
        ServiceAsk::Keys { service_id, environment, active_only, user_id, limit } => {
            let page_size = page_size(limit);
            let query = KeyQuery { service_id, environment, active_only, user_id, page_size };
            json(&collect(client.keys(&query), limit).await?)
        }
        ServiceAsk::Key { key_id } => json(&client.key(key(&key_id)?).await?),
        ServiceAsk::CreateKey(wish) => json(&client.create_key(&wish).await?),
        ServiceAsk::UpdateKey { key_id, change } => json(&client.update_key(key(&key_id)?, &change).await?),
        ServiceAsk::RevokeKey { key_id } => json(&client.revoke_key(key(&key_id)?).await?),
        ServiceAsk::RotateKey { key_id, grace_period_hours } => {
            json(&client.rotate_key(key(&key_id)?, grace_period_hours).await?)
        }
        ServiceAsk::Validations { key_id, hours } => json(&client.validations(key(&key_id)?, hours).await?),
        ServiceAsk::Alerts {} => json(&client.alerts().await?),
        ServiceAsk::Tokens { limit } => json(&collect(client.tokens(page_size(limit)), limit).await?),
        ServiceAsk::CurrentToken {} => json(&client.current_token().await?),
        ServiceAsk::CreateToken(wish) => json(&client.create_token(&wish).await?),
        ServiceAsk::RevokeToken { token_id } => json(&client.revoke_token(id("token_id", &token_id)?).await?),
    }
}

/// What the service says of a key; a refused one is a fault here, as Python wants to hear it.
async fn validate(client: &Client, key: Secret, question: &ValidateKey) -> Result<String, Fault> {
    match client.validate(&key, question).await? {
        Validation::Valid { key, quota } => json(&object!({
            "key": key, "limit": quota.limit, "remaining": quota.remaining,
            "resets_at": quota.resets_at.0,
        })),
        Validation::Refused { code, detail } => Err(Fault::Refused { code, detail, status: 401 }),
        Validation::Limited { retry_after } => Err(Fault::UsedUp { retry_after: whole(retry_after) }),
    }
}

fn whole(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs().max(1))
}

pub(super) fn key(key_id: &str) -> Result<KeyId, Fault> {
    id("key_id", key_id)
}
