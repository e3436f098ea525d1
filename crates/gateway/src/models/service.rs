//! The catalogue that is built into the authentication service, asked through the service's nodes.

use std::future::Future;

use hokusai_client::api::models::{CreatedModelVersion, ModelInfo, ModelPage, ModelWithVersions};
use hokusai_client::{Client, Denial, Error, ModelName, ModelQuery, ModelVersionQuery, Told, Unavailable};
use http::StatusCode;
use serde_json::{Map, Value};

/// The nodes of the service.
pub(super) struct Service(pub(super) Vec<Client>);

impl Service {
    pub(super) async fn list(&self, asked: &ModelQuery) -> Result<ModelPage, Denial> {
        self.read(|node| async move { node.models(asked).await }).await
    }

    pub(super) async fn show(
        &self,
        name: &ModelName,
        asked: &ModelVersionQuery,
    ) -> Result<ModelWithVersions, Denial> {
        self.read(|node| async move { node.model(name, asked).await }).await
    }

    pub(super) async fn create(&self, fields: &Map<String, Value>) -> Result<ModelInfo, Denial> {
        self.change(|node| async move { node.create_model_of(fields).await }).await
    }

    pub(super) async fn add_version(
        &self,
        name: &ModelName,
        fields: &Map<String, Value>,
    ) -> Result<CreatedModelVersion, Denial> {
        self.change(|node| async move { node.create_model_version_of(name, fields).await }).await
    }

    /// Asks one node after the other, until one answers.
    async fn read<T, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl Fn(Client) -> F,
    ) -> Result<T, Denial> {
        let mut failure = None;
        for node in &self.0 {
            match ask(node.clone()).await {
                Ok(found) => return Ok(found),
                Err(error) if is_of_this_node(&error) => failure = Some(error),
                Err(error) => return Err(denial(&error)),
            }
        }
        Err(failure.map_or_else(unavailable, |error| denial(&error)))
    }

    /// The same for what must not be done twice: another node is asked only if nothing was sent.
    async fn change<T, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl Fn(Client) -> F,
    ) -> Result<T, Denial> {
        for node in &self.0 {
            match ask(node.clone()).await {
                Ok(made) => return Ok(made),
                Err(Error::Unreachable { .. }) => {}
                Err(error) => return Err(denial(&error)),
            }
        }
        Err(unavailable())
    }
}

fn unavailable() -> Denial {
    Denial::unavailable(Unavailable::Unreachable)
}

/// Whether another node may know better.
fn is_of_this_node(error: &Error) -> bool {
    !matches!(error, Error::NotFound(_) | Error::Invalid { .. } | Error::Conflict(_) | Error::Limited { .. })
}

/// What the service said, to whom it concerns. That it can't be used is nobody's fault but ours.
fn denial(error: &Error) -> Denial {
    let of = |status, code, told: &Told| Denial::new(status, code, told.detail.clone());
    match error {
        Error::NotFound(told) => of(StatusCode::NOT_FOUND, "not_found", told),
        Error::Conflict(told) => of(StatusCode::CONFLICT, "conflict", told),
        Error::Invalid { told, errors } => {
            let denial = of(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", told);
            Denial { errors: errors.clone(), ..denial }
        }
        error => {
            tracing::warn!(%error, "the catalogue of models can't be used");
            unavailable()
        }
    }
}
