//! Models of the catalogue: how they are asked for and shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The body of a request for a new model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateModel {
    /// What to call it: 1 to 100 characters, one piece of a path.
    pub name: String,
    /// What kind of model it is, such as `lead_scoring`.
    pub model_type: String,
    /// What it is, for people: up to 2000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Labels to find it by: at most 50, and 4 KiB as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// The user for whom it is made; left out: the token's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// The body of a request for a new version of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateModelVersion {
    /// What is new about it, for people: up to 2000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it lies: up to 1000 characters, usually a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Labels: at most 50, and 4 KiB as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// The user for whom it is made; left out: the token's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// A model, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// What it is called.
    pub name: String,
    /// What kind of model it is.
    pub model_type: String,
    /// What it is, for people.
    pub description: String,
    /// Labels to find it by.
    pub tags: BTreeMap<String, String>,
    /// The number of its latest version, and so how many there are; `None`: it has none yet.
    pub latest_version: Option<i64>,
    /// When it was made.
    pub created_at: String,
    /// For which user.
    pub created_by: String,
    /// When it or its latest version was made.
    pub updated_at: String,
}

/// A page of models, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPage {
    /// The models.
    pub models: Vec<ModelInfo>,
    /// Where the next page begins; `None`: this is the last.
    pub next_cursor: Option<String>,
}

/// A version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelVersion {
    /// Its number: from 1 without a gap.
    pub version: i64,
    /// What is new about it, for people.
    pub description: String,
    /// Where it lies.
    pub source: Option<String>,
    /// Labels.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: String,
    /// For which user.
    pub created_by: String,
}

/// A model with a page of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelWithVersions {
    /// The model.
    #[serde(flatten)]
    pub model: ModelInfo,
    /// Versions of it, the latest first.
    pub versions: Vec<ModelVersion>,
    /// Where the next page of versions begins; `None`: this is the last.
    pub next_cursor: Option<String>,
}

/// The answer to a request for a new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedModelVersion {
    /// The model's name.
    pub name: String,
    /// The version.
    #[serde(flatten)]
    pub version: ModelVersion,
}
