//! The catalogue of models, for gateways and operators. The client's token is shown as a service token.

use hokusai_api::models::{
    CreateModel, CreateModelVersion, CreatedModelVersion, ModelInfo, ModelPage, ModelWithVersions,
};
use hokusai_core::model::ModelName;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::call::{Call, Credential};
use crate::client::Client;
use crate::error::Error;
use crate::pages;

const MODELS: &str = "/api/v1/models";

/// Which models are asked for. Fields left out leave none out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelQuery {
    /// Only models of this kind, such as `lead_scoring`.
    pub model_type: Option<String>,
    /// Only models with this tag: `key:value`.
    pub tag: Option<String>,
    /// How many models a page has at most: 1 to 1000; 100 if that is left out.
    pub page_size: Option<u32>,
    /// Where the page begins: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Which versions of a model are asked for, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelVersionQuery {
    /// How many versions a page has at most: 1 to 1000; 100 if that is left out.
    pub page_size: Option<u32>,
    /// Where the page begins: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl Client {
    /// A page of the catalogue, by name. [`ModelPage::next_cursor`] leads to the next one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn models(&self, query: &ModelQuery) -> Result<ModelPage, Error> {
        let page_size = query.page_size.map(|size| size.to_string());
        let text = pages::query([
            ("model_type", query.model_type.as_deref()),
            ("tag", query.tag.as_deref()),
            ("limit", page_size.as_deref()),
            ("cursor", query.cursor.as_deref()),
        ]);
        let call = Call::list(MODELS, text).credential(Credential::Service);
        self.send(&call).await?.read_as()
    }

    /// A model with a page of its versions. [`ModelWithVersions::next_cursor`] leads to the next one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn model(
        &self,
        name: &ModelName,
        query: &ModelVersionQuery,
    ) -> Result<ModelWithVersions, Error> {
        let page_size = query.page_size.map(|size| size.to_string());
        let text = pages::query([("limit", page_size.as_deref()), ("cursor", query.cursor.as_deref())]);
        let call = Call::list(path(name), text).credential(Credential::Service);
        self.send(&call).await?.read_as()
    }

    /// Makes a model. After [`Error::TimedOut`] or [`Error::Lost`] it may be there.
    ///
    /// # Errors
    /// See [`Error`]; a name that is taken is an [`Error::Conflict`].
    pub async fn create_model(&self, wish: &CreateModel) -> Result<ModelInfo, Error> {
        self.post_model(MODELS.to_owned(), wish).await
    }

    /// The same as [`Client::create_model`], with the fields as somebody else sent them: what is wrong with them
    /// is for the service to say, as [`Error::Invalid`].
    ///
    /// # Errors
    /// See [`Client::create_model`].
    pub async fn create_model_of(&self, fields: &Map<String, Value>) -> Result<ModelInfo, Error> {
        self.post_model(MODELS.to_owned(), fields).await
    }

    /// Makes the next version of a model. It is never asked for twice: after [`Error::TimedOut`] or
    /// [`Error::Lost`] the version may be there.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_model_version(
        &self,
        name: &ModelName,
        wish: &CreateModelVersion,
    ) -> Result<CreatedModelVersion, Error> {
        self.post_model(format!("{}/versions", path(name)), wish).await
    }

    /// The same as [`Client::create_model_version`], with the fields as somebody else sent them.
    ///
    /// # Errors
    /// See [`Client::create_model_version`]; what is wrong with the fields is an [`Error::Invalid`].
    pub async fn create_model_version_of(
        &self,
        name: &ModelName,
        fields: &Map<String, Value>,
    ) -> Result<CreatedModelVersion, Error> {
        self.post_model(format!("{}/versions", path(name)), fields).await
    }

    async fn post_model<T: serde::de::DeserializeOwned>(
        &self,
        path: String,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let call = Call::post(path).body(body).credential(Credential::Service);
        self.send(&call).await?.read_as()
    }
}

/// Where a model is. Its name stays one piece of the path, whatever is in it.
fn path(name: &ModelName) -> String {
    let encoded: String = form_urlencoded::byte_serialize(name.as_str().as_bytes()).collect();
    // A plus that stands for itself is encoded already.
    format!("{MODELS}/{}", encoded.replace('+', "%20"))
}
