//! What is asked of models: of the gateway with an API key, and of the service with an admin token.

use hokusai_client::api::models::{
    CreateModel, CreateModelVersion, CreatedModelVersion, ModelInfo, ModelPage, ModelWithVersions,
};
use hokusai_client::{Client, Error, ModelName, ModelQuery, ModelVersionQuery, Platform};
use serde::Deserialize;

use super::fields::model_name;
use super::{json, page_size};
use crate::fault::Fault;

#[derive(Deserialize)]
#[serde(tag = "ask", content = "fields", rename_all = "snake_case")]
pub(crate) enum ModelAsk {
    Models { model_type: Option<String>, tag: Option<String>, limit: Option<usize> },
    Model { name: String },
    CreateModel(CreateModel),
    CreateModelVersion { name: String, version: CreateModelVersion },
}

/// The answer of the gateway that `client` asks. It is told no name that no model can have.
pub(super) async fn of_platform(client: &Client, ask: ModelAsk) -> Result<String, Fault> {
    if let ModelAsk::CreateModel(wish) = &ask {
        model_name(wish.name.trim())?;
    }
    answer(&Platform::new(client.clone()), ask).await
}

pub(super) async fn answer(of: &impl Catalogue, ask: ModelAsk) -> Result<String, Fault> {
    match ask {
        ModelAsk::Models { model_type, tag, limit } => {
            let query = ModelQuery { model_type, tag, page_size: page_size(limit), cursor: None };
            json(&models(of, query, limit).await?)
        }
        ModelAsk::Model { name } => json(&model(of, &model_name(&name)?).await?),
        ModelAsk::CreateModel(wish) => json(&of.create(&wish).await?),
        ModelAsk::CreateModelVersion { name, version } => {
            json(&of.create_version(&model_name(&name)?, &version).await?)
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

    fn create(&self, wish: &CreateModel) -> impl Future<Output = Result<ModelInfo, Error>> + Send;

    fn create_version(
        &self,
        name: &ModelName,
        wish: &CreateModelVersion,
    ) -> impl Future<Output = Result<CreatedModelVersion, Error>> + Send;
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

            async fn create(&self, wish: &CreateModel) -> Result<ModelInfo, Error> {
                self.create_model(wish).await
            }

            async fn create_version(
                &self,
                name: &ModelName,
                wish: &CreateModelVersion,
            ) -> Result<CreatedModelVersion, Error> {
                self.create_model_version(name, wish).await
            }
        }
    };
}

has_a_catalogue!(Client);
has_a_catalogue!(Platform);

/// The first so many models, or all of them.
async fn models(
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
async fn model(of: &impl Catalogue, name: &ModelName) -> Result<ModelWithVersions, Fault> {
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
