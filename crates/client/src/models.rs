//! The catalogue of models: at the service, for gateways and operators, with the client's token as a service
//! token; and at the platform's gateway, for the bearers of API keys.

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

/// Where a catalogue is asked for, and what the client's token is shown as there.
#[derive(Clone, Copy)]
struct Catalogue<'a> {
    client: &'a Client,
    path: &'static str,
    credential: Credential,
}

/// The catalogue as the platform's gateway shows it: the client's token is an API key, and its URL the gateway's.
#[derive(Clone, Debug)]
pub struct Platform(Client);

/// Both have the same catalogue.
macro_rules! catalogue {
    ($asked:ty) => {
        impl $asked {
            /// A page of the catalogue, by name. [`ModelPage::next_cursor`] leads to the next one.
            ///
            /// # Errors
            /// See [`Error`].
            pub async fn models(&self, query: &ModelQuery) -> Result<ModelPage, Error> {
                self.catalogue().models(query).await
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
                self.catalogue().model(name, query).await
            }

            /// Makes a model. After [`Error::TimedOut`] or [`Error::Lost`] it may be there.
            ///
            /// # Errors
            /// See [`Error`]; a name that is taken is an [`Error::Conflict`].
            pub async fn create_model(&self, wish: &CreateModel) -> Result<ModelInfo, Error> {
                self.catalogue().create(wish).await
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
                self.catalogue().create_version(name, wish).await
            }
        }
    };
}

catalogue!(Client);
catalogue!(Platform);

impl Client {
    /// The same as [`Client::create_model`], with the fields as somebody else sent them: what is wrong with them
    /// is for the service to say, as [`Error::Invalid`].
    ///
    /// # Errors
    /// See [`Client::create_model`].
    pub async fn create_model_of(&self, fields: &Map<String, Value>) -> Result<ModelInfo, Error> {
        self.catalogue().create(fields).await
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
        self.catalogue().create_version(name, fields).await
    }

    fn catalogue(&self) -> Catalogue<'_> {
        Catalogue { client: self, path: "/api/v1/models", credential: Credential::Service }
    }
}

impl Platform {
    /// The gateway that `client` asks, with an API key as its token.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    fn catalogue(&self) -> Catalogue<'_> {
        Catalogue { client: &self.0, path: "/v1/models", credential: Credential::Bearer }
    }
}

impl Catalogue<'_> {
    async fn models(self, query: &ModelQuery) -> Result<ModelPage, Error> {
        let page_size = query.page_size.map(|size| size.to_string());
        let text = pages::query([
            ("model_type", query.model_type.as_deref()),
            ("tag", query.tag.as_deref()),
            ("limit", page_size.as_deref()),
            ("cursor", query.cursor.as_deref()),
        ]);
        let call = Call::list(self.path, text).credential(self.credential);
        self.client.send(&call).await?.read_as()
    }

    async fn model(self, name: &ModelName, query: &ModelVersionQuery) -> Result<ModelWithVersions, Error> {
        let page_size = query.page_size.map(|size| size.to_string());
        let text = pages::query([("limit", page_size.as_deref()), ("cursor", query.cursor.as_deref())]);
        let call = Call::list(self.one(name), text).credential(self.credential);
        self.client.send(&call).await?.read_as()
    }

    async fn create(self, wish: &impl Serialize) -> Result<ModelInfo, Error> {
        self.post(self.path.to_owned(), wish).await
    }

    async fn create_version(
        self,
        name: &ModelName,
        wish: &impl Serialize,
    ) -> Result<CreatedModelVersion, Error> {
        self.post(format!("{}/versions", self.one(name)), wish).await
    }

    async fn post<T: serde::de::DeserializeOwned>(
        self,
        path: String,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let call = Call::post(path).body(body).credential(self.credential);
        self.client.send(&call).await?.read_as()
    }

    /// Where a model is. Its name stays one piece of the path, whatever is in it.
    fn one(self, name: &ModelName) -> String {
        let encoded: String = form_urlencoded::byte_serialize(name.as_str().as_bytes()).collect();
        // A plus that stands for itself is encoded already.
        format!("{}/{}", self.path, encoded.replace('+', "%20"))
    }
}
