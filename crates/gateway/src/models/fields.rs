//! What somebody sent to make a model, or a version of one, in MLflow's registry. The built-in catalogue has the
//! same rules.

use std::collections::BTreeMap;

use hokusai_client::api::errors::FieldError;
use hokusai_client::model::{MAX_DESCRIPTION, MAX_SOURCE, MAX_TAG_BYTES, are_tags};
use hokusai_client::{Denial, ModelName, ModelType};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::all_invalid;
use super::registry::OWN_TAGS;

/// A model to be.
#[derive(Debug)]
pub(super) struct NewModel {
    pub(super) name: ModelName,
    pub(super) model_type: ModelType,
    pub(super) description: String,
    pub(super) tags: BTreeMap<String, String>,
}

/// A version to be.
#[derive(Debug)]
pub(super) struct NewVersion {
    pub(super) source: String,
    pub(super) description: String,
    pub(super) tags: BTreeMap<String, String>,
}

impl NewModel {
    /// # Errors
    /// The answer that names every fault.
    pub(super) fn read(object: Map<String, Value>) -> Result<Self, Denial> {
        let mut fields = Fields { rest: object, errors: Vec::new() };
        let name = fields.take("name", ModelName::RULE, |value| ModelName::parse(value.as_str()?.trim()));
        let model_type = fields
            .take("model_type", "must be 1 to 64 of a-z 0-9 _ -", |value| ModelType::parse(value.as_str()?));
        let (description, tags) = (fields.description(), fields.tags());
        fields.require("name", name.is_some());
        fields.require("model_type", model_type.is_some());
        fields.finish()?;
        let (name, model_type) = name.zip(model_type).expect("finish refuses what is missing");
        Ok(Self { name, model_type, description, tags })
    }
}

impl NewVersion {
    /// # Errors
    /// The answer that names every fault.
    pub(super) fn read(object: Map<String, Value>) -> Result<Self, Denial> {
        let mut fields = Fields { rest: object, errors: Vec::new() };
        let source =
            fields.take("source", "must be 1 to 1000 characters without control characters", |value| {
                let text = value.as_str()?;
                let fits = (1..=MAX_SOURCE).contains(&text.chars().count());
                (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
            });
        let (description, tags) = (fields.description(), fields.tags());
        fields.require("source", source.is_some());
        fields.finish()?;
        let source = source.expect("finish refuses what is missing");
        Ok(Self { source, description, tags })
    }
}

/// The fields that were not read yet, and the faults of those that were.
struct Fields {
    rest: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// A field that is left out, null, or what `parse` makes of it; `right` says what it has to be.
    fn take<T>(&mut self, name: &str, right: &str, parse: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let value = self.rest.remove(name).filter(|value| !value.is_null())?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.fault(name, right);
        }
        parsed
    }

    fn description(&mut self) -> String {
        let right =
            "must be text of at most 2000 characters, with no control characters but line ends and tabs";
        let allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        let description = self.take("description", right, |value| {
            let text = value.as_str()?;
            let fits = text.chars().count() <= MAX_DESCRIPTION && text.chars().all(allowed);
            fits.then(|| text.to_owned())
        });
        description.unwrap_or_default()
    }

    fn tags(&mut self) -> BTreeMap<String, String> {
        let right =
            "must be an object of at most 50 texts, 4096 bytes as JSON, and none that the gateway gives";
        let tags = self.take("tags", right, |value| {
            let tags = BTreeMap::<String, String>::deserialize(value).ok()?;
            let has_own = OWN_TAGS.iter().any(|own| tags.contains_key(*own));
            (are_tags(&tags) && !has_own && value.to_string().len() <= MAX_TAG_BYTES).then_some(tags)
        });
        tags.unwrap_or_default()
    }

    fn require(&mut self, name: &str, is_there: bool) {
        if !is_there && !self.errors.iter().any(|error| error.field == name) {
            self.fault(name, "is required");
        }
    }

    fn fault(&mut self, field: &str, message: &str) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.to_owned() });
    }

    fn finish(mut self) -> Result<(), Denial> {
        for name in std::mem::take(&mut self.rest).keys() {
            self.fault(name, "is no field here");
        }
        match self.errors.first() {
            None => Ok(()),
            Some(FieldError { field, message }) => {
                Err(all_invalid(format!("{field} {message}"), self.errors))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            other => panic!("{other} is no object"),
        }
    }

    fn faults<T: std::fmt::Debug>(read: Result<T, Denial>) -> Vec<String> {
        let denial = read.unwrap_err();
        assert_eq!((denial.status.as_u16(), denial.code), (422, Some("invalid_fields")));
        let fault = |error: FieldError| format!("{} {}", error.field, error.message);
        denial.errors.into_iter().map(fault).collect()
    }

    #[test]
    fn a_model_needs_a_name_and_a_type() {
        let sent = json!({"name": " Lead scorer ", "model_type": "lead_scoring", "tags": {"team": "growth"}});
        let model = NewModel::read(object(sent)).unwrap();
        assert_eq!((model.name.as_str(), model.model_type.as_str()), ("Lead scorer", "lead_scoring"));
        assert_eq!((model.description.as_str(), model.tags["team"].as_str()), ("", "growth"));
        let nothing = faults(NewModel::read(Map::new()));
        assert_eq!(nothing, ["name is required", "model_type is required"]);
        let wrong = json!({"name": "a/b", "model_type": "A", "tags": {"model_type": "b"}, "owner": "me"});
        let wrong = faults(NewModel::read(object(wrong)));
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        let one = faults(NewModel::read(object(json!({"name": "a", "model_type": 1}))));
        assert_eq!(one, ["model_type must be 1 to 64 of a-z 0-9 _ -"]);
    }

    #[test]
    fn a_version_needs_a_source() {
        let version = NewVersion::read(object(json!({"source": "s3://a", "description": null}))).unwrap();
        assert_eq!((version.source.as_str(), version.description.as_str()), ("s3://a", ""));
        assert_eq!(faults(NewVersion::read(Map::new())), ["source is required"]);
        let wrong = json!({"source": "", "description": "\u{1}", "tags": {"a": 1}});
        assert_eq!(faults(NewVersion::read(object(wrong))).len(), 3);
    }
}
