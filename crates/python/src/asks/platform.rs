//! What the gateway is asked: its catalogue of models.

use hokusai_client::api::models::{CreateModel, CreateModelVersion, ModelInfo, ModelPage, ModelWithVersions};
use hokusai_client::{Client, Error, ModelName, ModelQuery, ModelVersionQuery, Platform};
use serde::Deserialize;

use super::fields::model_name;
use super::{json, page_size};
use crate::fault::Fault;

#[derive(Deserialize)]
#[serde(tag = "ask", content = "fields", rename_all = "snake_case")]
pub(crate) enum PlatformAsk {
    Models { model_type: Option<String>, tag: Option<String>, limit: Option<usize> },
    Model { name: String },
    CreateModel(CreateModel),
    CreateModelVersion { name: String, version: CreateModelVersion },
}

pub(super) async fn answer(client: &Client, ask: PlatformAsk) -> Result<String, Fault> {
    let platform = Platform::new(client.clone());
    match ask {
        PlatformAsk::Models { model_type, tag, limit } => {
            let query = ModelQuery { model_type, tag, page_size: page_size(limit), cursor: None };
            json(&models(&platform, query, limit).await?)
        }
        PlatformAsk::Model { name } => json(&model(&platform, &model_name(&name)?).await?),
        PlatformAsk::CreateModel(wish) => {
            model_name(wish.name.trim())?;
            json(&platform.create_model(&wish).await?)
        }
        PlatformAsk::CreateModelVersion { name, version } => {
            json(&platform.create_model_version(&model_name(&name)?, &version).await?)
        }
    }
}

/// Who has a catalogue of models.
pub(super) trait Catalogue: Sync {
    fn page(&self, query: &ModelQuery) -> impl Future<Output = Result<ModelPage, Error>> + Send;

    fn versions(
        &self,
        name: &ModelName,
        query: &ModelVersionQuery,
    ) -> impl Future<Output = Result<ModelWithVersions, Error>> + Send;
}

macro_rules! has_a_catalogue {
    ($who:ty) => {
        impl Catalogue for $who {
            async fn page(&self, query: &ModelQuery) -> Result<ModelPage, Error> {
                self.models(query).await
            }

            async fn versions(
                &self,
                name: &ModelName,
                query: &ModelVersionQuery,
            ) -> Result<ModelWithVersions, Error> {
                self.model(name, query).await
            }
        }
    };
}

has_a_catalogue!(Client);
has_a_catalogue!(Platform);

/// The first so many models, or all of them.
pub(super) async fn models(
    of: &impl Catalogue,
    mut query: ModelQuery,
    limit: Option<usize>,
) -> Result<Vec<ModelInfo>, Fault> {
    let most = limit.unwrap_or(usize::MAX);
    let mut all = Vec::new();
    while all.len() < most {
        let page = of.page(&query).await?;
        let is_empty = page.models.is_empty();
        all.extend(page.models);
        query.cursor = next(page.next_cursor, query.cursor.as_deref(), is_empty)?;
        if query.cursor.is_none() {
            break;
        }
    }
    all.truncate(most);
    Ok(all)
}

/// A model with all of its versions.
pub(super) async fn model(of: &impl Catalogue, name: &ModelName) -> Result<ModelWithVersions, Fault> {
    let mut query = ModelVersionQuery { page_size: page_size(None), cursor: None };
    let mut whole = of.versions(name, &query).await?;
    let mut was_empty = whole.versions.is_empty();
    loop {
        query.cursor = next(whole.next_cursor.take(), query.cursor.as_deref(), was_empty)?;
        if query.cursor.is_none() {
            return Ok(whole);
        }
        let page = of.versions(name, &query).await?;
        was_empty = page.versions.is_empty();
        whole.versions.extend(page.versions);
        whole.next_cursor = page.next_cursor;
    }
}

/// Where the list goes on. A page that leads to itself, or an empty one that leads on, would never end.
fn next(next: Option<String>, this: Option<&str>, is_empty: bool) -> Result<Option<String>, Fault> {
    match next {
        Some(next) if is_empty || this == Some(next.as_str()) => Err(Fault::Circle),
        next => Ok(next),
    }
}
