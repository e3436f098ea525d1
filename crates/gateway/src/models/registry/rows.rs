//! Models and versions as MLflow writes them.

use std::collections::BTreeMap;

use hokusai_client::api::models::{ModelInfo, ModelVersion};
use hokusai_client::api::time;
use serde::Deserialize;
use serde_json::Value;

use super::{CREATED_BY, IS_PROMPT, MODEL_TYPE};

#[derive(Debug, Deserialize)]
pub(super) struct RegisteredModel {
    name: String,
    #[serde(default)]
    description: String,
    creation_timestamp: Option<Number>,
    last_updated_timestamp: Option<Number>,
    /// The latest version of each stage.
    #[serde(default)]
    latest_versions: Vec<Version>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Version {
    version: Number,
    #[serde(default)]
    description: String,
    source: Option<String>,
    creation_timestamp: Option<Number>,
    /// Whoever made it, if MLflow knows.
    #[serde(default)]
    user_id: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// A whole number, which may be written as a text.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Number(Value);

impl Number {
    fn get(&self) -> Option<i64> {
        match &self.0 {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        }
    }
}

impl RegisteredModel {
    pub(super) fn has_type(&self) -> bool {
        value(&self.tags, MODEL_TYPE).is_some()
    }

    pub(super) fn is_prompt(&self) -> bool {
        value(&self.tags, IS_PROMPT).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A model without a type is of the type that its name says.
    pub(super) fn into_info(self) -> ModelInfo {
        ModelInfo {
            model_type: value(&self.tags, MODEL_TYPE).unwrap_or(&self.name).to_owned(),
            created_by: value(&self.tags, CREATED_BY).unwrap_or_default().to_owned(),
            latest_version: self.latest_versions.iter().filter_map(|version| version.version.get()).max(),
            created_at: written(self.creation_timestamp.as_ref()),
            updated_at: written(self.last_updated_timestamp.as_ref()),
            tags: others(self.tags),
            description: self.description,
            name: self.name,
        }
    }
}

impl Version {
    pub(super) fn into_version(self) -> ModelVersion {
        ModelVersion {
            created_by: value(&self.tags, CREATED_BY).unwrap_or(&self.user_id).to_owned(),
            version: self.version.get().unwrap_or_default(),
            description: self.description,
            source: self.source.filter(|source| !source.is_empty()),
            created_at: written(self.creation_timestamp.as_ref()),
            tags: others(self.tags),
        }
    }
}

fn value<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key == key).map(|tag| &*tag.value)
}

/// The tags that are not shown elsewhere.
fn others(tags: Vec<Tag>) -> BTreeMap<String, String> {
    let shown = |tag: &Tag| ![MODEL_TYPE, CREATED_BY].contains(&&*tag.key);
    tags.into_iter().filter(shown).map(|tag| (tag.key, tag.value)).collect()
}

/// A time that is given in milliseconds since 1970.
fn written(millis: Option<&Number>) -> String {
    time::write(millis.and_then(Number::get).unwrap_or_default().saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_type_is_a_tag_or_the_name() {
        let row = |tags: Value| {
            let row = json!({"name": "lead_scoring", "tags": tags, "creation_timestamp": 1_736_937_000_000_i64,
                "latest_versions": [{"version": "9"}, {"version": 10}]});
            serde_json::from_value::<RegisteredModel>(row).unwrap()
        };
        let plain = row(json!([]));
        assert!(!plain.has_type() && !plain.is_prompt());
        let plain = plain.into_info();
        assert_eq!(
            (&*plain.model_type, &*plain.created_by, plain.latest_version),
            ("lead_scoring", "", Some(10))
        );
        assert_eq!(
            (&*plain.created_at, &*plain.updated_at),
            ("2025-01-15T10:30:00Z", "1970-01-01T00:00:00Z")
        );
        let tagged =
            row(json!([{"key": "model_type", "value": "x"}, {"key": "hokusai.created_by", "value": "ann"},
            {"key": "team", "value": "growth"}, {"key": "empty"}, {"key": IS_PROMPT, "value": "True"}]));
        assert!(tagged.has_type() && tagged.is_prompt());
        let tagged = tagged.into_info();
        assert_eq!((&*tagged.model_type, &*tagged.created_by), ("x", "ann"));
        assert_eq!(tagged.tags.keys().collect::<Vec<_>>(), ["empty", IS_PROMPT, "team"]);
    }
}
