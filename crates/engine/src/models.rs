//! The catalogue of models: for gateways and operators. Each new model and version leaves its audit entry.

use hokusai_core::grant::Forbidden;
use hokusai_core::model::{MAX_MODELS, MAX_VERSIONS, ModelName, ModelType};
use hokusai_core::token::Role;
use hokusai_store::{About, Model, ModelFilter, ModelVersion, Standing, VersionFilter, Writes};

use crate::engine::Engine;
use crate::keys::decide;
use crate::refusal::{Actor, Declined};

/// A model that somebody wants.
#[derive(Clone, Debug)]
pub struct ModelWish {
    /// What to call it.
    pub name: ModelName,
    /// What kind of model it is.
    pub model_type: ModelType,
    /// What it is, for people.
    pub description: String,
    /// A flat object of texts, as JSON.
    pub tags: String,
    /// The user for whom it is made; `None`: whoever asks.
    pub user_id: Option<String>,
}

/// A version of a model that somebody wants.
#[derive(Clone, Debug)]
pub struct VersionWish {
    /// What is new about it, for people.
    pub description: String,
    /// Where it lies.
    pub source: Option<String>,
    /// A flat object of texts, as JSON.
    pub tags: String,
    /// The user for whom it is made; `None`: whoever asks.
    pub user_id: Option<String>,
}

impl Engine {
    /// Lists models by name.
    ///
    /// # Errors
    /// [`Declined::Forbidden`] unless the actor is an operator or a verifier.
    pub async fn list_models(&self, actor: &Actor, filter: &ModelFilter) -> Result<Vec<Model>, Declined> {
        may_use_catalogue(actor)?;
        Ok(self.store.list_models(filter).await?)
    }

    /// A model, with versions of it.
    ///
    /// # Errors
    /// [`Declined::NotFound`], and those of [`Engine::list_models`].
    pub async fn show_model(
        &self,
        actor: &Actor,
        name: &ModelName,
        filter: VersionFilter,
    ) -> Result<(Model, Vec<ModelVersion>), Declined> {
        may_use_catalogue(actor)?;
        self.store.find_model(name, filter).await?.ok_or(Declined::NotFound)
    }

    /// Makes a model without versions.
    ///
    /// # Errors
    /// [`Declined::ModelExists`], [`Declined::TooManyModels`], and those of [`Engine::list_models`].
    pub async fn create_model(&self, actor: &Actor, wish: ModelWish) -> Result<Model, Declined> {
        may_use_catalogue(actor)?;
        let name = wish.name.clone();
        let outcome = self.store.change(About::Model(&name), |standing| {
            decide(|| {
                let model = new_model(actor, wish, standing)?;
                let detail = format!("{{\"created_by\":\"{}\"}}", model.created_by);
                let note = actor.note("model.create", target(&model.name), detail);
                let mut writes = Writes::only("model", note);
                writes.new_models.push(model.clone());
                Ok((Some(writes), model))
            })
        });
        outcome.await?
    }

    /// Makes the next version of a model.
    ///
    /// # Errors
    /// [`Declined::NotFound`], [`Declined::TooManyVersions`], and those of [`Engine::list_models`].
    pub async fn create_model_version(
        &self,
        actor: &Actor,
        name: &ModelName,
        wish: VersionWish,
    ) -> Result<ModelVersion, Declined> {
        may_use_catalogue(actor)?;
        let outcome = self.store.change(About::Model(name), |standing| {
            decide(|| {
                let version = new_version(actor, wish, standing)?;
                let (number, by) = (version.version, &version.created_by);
                let detail = format!("{{\"version\":{number},\"created_by\":\"{by}\"}}");
                let note = actor.note("model.version", target(name), detail);
                let mut writes = Writes::only("model", note);
                writes.new_versions.push(version.clone());
                Ok((Some(writes), version))
            })
        });
        outcome.await?
    }
}

/// The catalogue is for whoever decides by itself who may see and change what: gateways and operators.
fn may_use_catalogue(actor: &Actor) -> Result<(), Declined> {
    match actor.role {
        Role::Operator | Role::Verifier => Ok(()),
        Role::Member => Err(Declined::Forbidden(Forbidden::Role)),
    }
}

/// How the audit log names a model. No name has a colon, so nobody can call one like a key or a token.
fn target(name: &ModelName) -> String {
    format!("model:{name}")
}

fn new_model(actor: &Actor, wish: ModelWish, standing: &Standing) -> Result<Model, Declined> {
    if standing.model.is_some() {
        return Err(Declined::ModelExists);
    }
    if standing.models >= MAX_MODELS {
        return Err(Declined::TooManyModels);
    }
    Ok(Model {
        name: wish.name,
        number: standing.models + 1,
        model_type: wish.model_type,
        description: wish.description,
        tags: wish.tags,
        created_at: standing.now,
        created_by: wish.user_id.unwrap_or_else(|| actor.user_id.clone()),
        updated_at: standing.now,
        latest_version: 0,
    })
}

fn new_version(actor: &Actor, wish: VersionWish, standing: &Standing) -> Result<ModelVersion, Declined> {
    let model = standing.model.as_ref().ok_or(Declined::NotFound)?;
    if model.latest_version >= MAX_VERSIONS {
        return Err(Declined::TooManyVersions);
    }
    Ok(ModelVersion {
        model: model.number,
        version: model.latest_version + 1,
        description: wish.description,
        source: wish.source,
        tags: wish.tags,
        created_at: standing.now,
        created_by: wish.user_id.unwrap_or_else(|| actor.user_id.clone()),
    })
}
