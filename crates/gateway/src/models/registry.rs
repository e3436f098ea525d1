//! MLflow's registry, seen as the catalogue: what is made here is there for MLflow's client, and the other way
//! round. MLflow knows no type and no maker of a model: both are tags.

mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hokusai_client::api::models::{CreatedModelVersion, ModelInfo, ModelPage, ModelWithVersions};
use hokusai_client::{Denial, ModelName, ModelQuery, ModelVersionQuery, Tag};
use hokusai_http::REQUEST_ID;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::fields::{NewModel, NewVersion};
use super::{Asker, all_invalid, invalid, no_model};
use crate::body::{AnswerBody, Upload};
use crate::forward::{failed, identify, late};
use crate::upstream::Upstream;
use rows::{RegisteredModel, Version};

/// Tags that mean something here: no request can give them.
pub(super) const OWN_TAGS: [&str; 3] = [MODEL_TYPE, CREATED_BY, IS_PROMPT];
const MODEL_TYPE: &str = "model_type";
const CREATED_BY: &str = "hokusai.created_by";
/// What makes a prompt of a model. Prompts are no models here.
const IS_PROMPT: &str = "mlflow.prompt.is_prompt";
/// Where MLflow answers.
const CALLS: &str = "/api/2.0/mlflow/";
/// The largest answer, in bytes.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
/// How many answers may be read at once: each is in memory as a whole.
const MOST_AT_ONCE: usize = 16;
/// Models or versions of a page, unless the request says otherwise; and the most.
const PAGE: (u32, u32) = (100, 1000);
/// How a cursor begins behind a model that its name alone makes one of its type.
const AFTER_NAMESAKE: &str = "-";

/// The registry of an MLflow server.
pub(super) struct Registry {
    pub(super) upstream: Arc<Upstream>,
    /// How long it may take to answer.
    patience: Duration,
    turns: Semaphore,
}

/// How MLflow says no.
#[derive(Deserialize)]
struct Refusal {
    error_code: String,
    #[serde(default)]
    message: String,
}

impl Registry {
    pub(super) fn new(upstream: Arc<Upstream>, patience: Duration) -> Self {
        Self { upstream, patience, turns: Semaphore::new(MOST_AT_ONCE) }
    }

    /// A page of models by name. With a type, the model that has no type and bears its name comes before all
    /// others: MLflow can't look for both at once.
    pub(super) async fn list(&self, asked: &ModelQuery, asker: Asker<'_>) -> Result<ModelPage, Denial> {
        let mut limit = page_size(asked.page_size)?;
        let tag = asked.tag.as_deref().map(tag_filter).transpose()?;
        let of_type = asked.model_type.as_deref().map(|wanted| tag_is(MODEL_TYPE, wanted)).transpose()?;
        let mut models = Vec::new();
        let mut cursor = asked.cursor.as_deref().unwrap_or_default();
        if let Some(wanted) = asked.model_type.as_deref() {
            match cursor.strip_prefix(AFTER_NAMESAKE) {
                Some(rest) => cursor = rest,
                None if cursor.is_empty() => {
                    models.extend(self.namesake(wanted, tag.as_deref(), asker).await?);
                    limit -= u32::try_from(models.len()).unwrap_or_default();
                }
                None => return Err(invalid("cursor", "is none of these models")),
            }
        }
        let mut next = Some(String::new());
        if limit > 0 {
            let filter = [of_type.as_deref(), tag.as_deref()];
            let (found, token) = self.search(&filter, limit, cursor, asker).await?;
            models.extend(found);
            next = token;
        }
        let mark = if asked.model_type.is_some() { AFTER_NAMESAKE } else { "" };
        let next_cursor = next.map(|token| format!("{mark}{token}"));
        Ok(ModelPage { models: models.into_iter().map(RegisteredModel::into_info).collect(), next_cursor })
    }

    pub(super) async fn show(
        &self,
        name: &ModelName,
        asked: &ModelVersionQuery,
        asker: Asker<'_>,
    ) -> Result<ModelWithVersions, Denial> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            model_versions: Vec<Version>,
            next_page_token: Option<String>,
        }
        let limit = page_size(asked.page_size)?.to_string();
        let model = self.model(name, asker).await?;
        let filter = format!("name = {}", quoted(name.as_str()).ok_or_else(no_model)?);
        let mut query =
            vec![("filter", &*filter), ("max_results", &*limit), ("order_by", "version_number DESC")];
        query.extend(asked.cursor.as_deref().map(|cursor| ("page_token", cursor)));
        let found: Found = self.read("model-versions/search", &query, asker).await?;
        let next_cursor = found.next_page_token.filter(|token| !token.is_empty());
        let versions = found.model_versions.into_iter().map(Version::into_version).collect();
        Ok(ModelWithVersions { model: model.into_info(), versions, next_cursor })
    }

    pub(super) async fn create(&self, model: NewModel, asker: Asker<'_>) -> Result<ModelInfo, Denial> {
        #[derive(Deserialize)]
        struct Made {
            registered_model: RegisteredModel,
        }
        let mut tags = tags(&model.tags, asker);
        tags.push(json!({"key": MODEL_TYPE, "value": model.model_type.as_str()}));
        let body = json!({"name": model.name.as_str(), "description": model.description, "tags": tags});
        let made: Made = self.change("registered-models/create", &body, asker).await?;
        Ok(made.registered_model.into_info())
    }

    pub(super) async fn add_version(
        &self,
        name: &ModelName,
        version: NewVersion,
        asker: Asker<'_>,
    ) -> Result<CreatedModelVersion, Denial> {
        #[derive(Deserialize)]
        struct Made {
            model_version: Version,
        }
        self.model(name, asker).await?;
        let NewVersion { source, description, tags: given } = version;
        let tags = tags(&given, asker);
        let body = json!({"name": name.as_str(), "source": source, "description": description, "tags": tags});
        let made: Made = self.change("model-versions/create", &body, asker).await?;
        Ok(CreatedModelVersion { name: name.to_string(), version: made.model_version.into_version() })
    }

    /// A model by its name. MLflow keeps prompts among its models; they are none.
    async fn model(&self, name: &ModelName, asker: Asker<'_>) -> Result<RegisteredModel, Denial> {
        #[derive(Deserialize)]
        struct Found {
            registered_model: RegisteredModel,
        }
        let found: Found = self.read("registered-models/get", &[("name", name.as_str())], asker).await?;
        if found.registered_model.is_prompt() { Err(no_model()) } else { Ok(found.registered_model) }
    }

    /// The model that its name makes one of this type: it has no other.
    async fn namesake(
        &self,
        wanted: &str,
        tag: Option<&str>,
        asker: Asker<'_>,
    ) -> Result<Option<RegisteredModel>, Denial> {
        let name = format!("name = {}", quoted(wanted).ok_or_else(unspeakable)?);
        let (found, _) = self.search(&[Some(&name), tag], 1, "", asker).await?;
        Ok(found.into_iter().find(|model| !model.has_type()))
    }

    /// A page of models that fit all filters, and where the next begins.
    async fn search(
        &self,
        filters: &[Option<&str>],
        limit: u32,
        cursor: &str,
        asker: Asker<'_>,
    ) -> Result<(Vec<RegisteredModel>, Option<String>), Denial> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            registered_models: Vec<RegisteredModel>,
            next_page_token: Option<String>,
        }
        let filter = filters.iter().flatten().copied().collect::<Vec<_>>().join(" AND ");
        let limit = limit.to_string();
        let mut query = vec![("max_results", &*limit), ("order_by", "name ASC")];
        query.extend(
            [("filter", &*filter), ("page_token", cursor)].into_iter().filter(|(_, text)| !text.is_empty()),
        );
        let found: Found = self.read("registered-models/search", &query, asker).await?;
        let models = found.registered_models.into_iter().filter(|model| !model.is_prompt()).collect();
        Ok((models, found.next_page_token.filter(|token| !token.is_empty())))
    }

    async fn read<T: DeserializeOwned>(
        &self,
        call: &str,
        query: &[(&str, &str)],
        asker: Asker<'_>,
    ) -> Result<T, Denial> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.ask(Method::GET, call, Some(&query), Bytes::new(), asker).await
    }

    async fn change<T: DeserializeOwned>(
        &self,
        call: &str,
        body: &Value,
        asker: Asker<'_>,
    ) -> Result<T, Denial> {
        self.ask(Method::POST, call, None, body.to_string().into(), asker).await
    }

    /// Asks MLflow, in the name of whoever has the key.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        call: &str,
        query: Option<&str>,
        body: Bytes,
        asker: Asker<'_>,
    ) -> Result<T, Denial> {
        let target = self.upstream.target(&format!("{CALLS}{call}"), query);
        let target = target.ok_or_else(|| invalid("cursor", "can't be sent on"))?;
        let mut headers = HeaderMap::new();
        identify(&mut headers, asker.key);
        headers.insert(REQUEST_ID, asker.request.value());
        headers.insert(HOST, self.upstream.host_header());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (mut head, ()) = Request::new(()).into_parts();
        (head.method, head.uri, head.headers) = (method, Uri::from(target), headers);
        let exchange = async {
            let _turn = self.turns.acquire().await.expect("nobody closes it");
            let sent = self.upstream.send(Box::new(head), Upload::whole(body), None).await;
            let (response, lease) = sent.map_err(|fault| failed(&fault, "/v1/models"))?;
            let status = response.status();
            let body = AnswerBody::streamed(response.into_body(), self.patience, lease);
            let whole = match Limited::new(body, LARGEST_ANSWER).collect().await {
                Ok(whole) => whole.to_bytes(),
                Err(error) if error.is::<LengthLimitError>() => return Err(too_much()),
                Err(_) => return Err(not_understood(status)),
            };
            Ok((status, whole))
        };
        let (status, answer) = timeout(self.patience, exchange).await.map_err(|_| late("/v1/models"))??;
        match status {
            StatusCode::OK => serde_json::from_slice(&answer).map_err(|_| not_understood(status)),
            _ => Err(refused(status, &answer)),
        }
    }
}

fn page_size(asked: Option<u32>) -> Result<u32, Denial> {
    let (usual, most) = PAGE;
    let size = asked.unwrap_or(usual);
    let fits = (1..=most).contains(&size);
    if fits { Ok(size) } else { Err(invalid("limit", "must be a whole number from 1 to 1000")) }
}

/// Tags as MLflow takes them, with whose key it was.
fn tags(tags: &BTreeMap<String, String>, asker: Asker<'_>) -> Vec<Value> {
    let own = (CREATED_BY, &*asker.key.rights.user_id);
    let given = tags.iter().map(|(key, value)| (&**key, &**value));
    given.chain([own]).map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// A filter for models with a tag, which is written as `key:value`.
fn tag_filter(text: &str) -> Result<String, Denial> {
    let wrong = || invalid("tag", "must be a tag such as team:growth: its key, a colon, its value");
    let Tag { key, value } = Tag::parse(text).ok_or_else(wrong)?;
    if key == IS_PROMPT {
        return Err(invalid("tag", "can't be the one of prompts: they are no models here"));
    }
    tag_is(&key, &value)
}

fn tag_is(key: &str, value: &str) -> Result<String, Denial> {
    let key = Some(key).filter(|key| !key.contains(['`', '\\', '\'', '"'])).ok_or_else(unspeakable)?;
    Ok(format!("tags.`{key}` = {}", quoted(value).ok_or_else(unspeakable)?))
}

/// A text in a filter. MLflow has no way to write a quote within quotes of its kind.
fn quoted(text: &str) -> Option<String> {
    let quote = ['\'', '"'].into_iter().find(|quote| !text.contains(*quote))?;
    (!text.contains('\\')).then(|| format!("{quote}{text}{quote}"))
}

fn unspeakable() -> Denial {
    let detail = "MLflow can't look for both kinds of quotes at once, nor for a backslash";
    all_invalid(detail.to_owned(), Vec::new())
}

/// What MLflow said, to whom it concerns.
fn refused(status: StatusCode, answer: &[u8]) -> Denial {
    match serde_json::from_slice(answer) {
        Ok(Refusal { error_code, message }) => match &*error_code {
            "RESOURCE_DOES_NOT_EXIST" => no_model(),
            "RESOURCE_ALREADY_EXISTS" => Denial::new(StatusCode::CONFLICT, "conflict", message),
            "INVALID_PARAMETER_VALUE" => all_invalid(message, Vec::new()),
            _ => not_understood(status),
        },
        Err(_) => not_understood(status),
    }
}

fn too_much() -> Denial {
    let detail = "MLflow has more to say of these than is read at once: ask for fewer, with a smaller limit";
    Denial::new(StatusCode::BAD_GATEWAY, "upstream_too_large", detail)
}

fn not_understood(status: StatusCode) -> Denial {
    tracing::warn!(status = status.as_u16(), "MLflow's registry can't be used");
    let detail = "The service behind the gateway answered in a way that can't be used";
    Denial::new(StatusCode::BAD_GATEWAY, "upstream_broken", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_a_filter_ends_where_it_should() {
        for (text, expected) in [
            ("lead_scoring", Some("'lead_scoring'")),
            ("it's", Some("\"it's\"")),
            ("\"a\" AND b", Some("'\"a\" AND b'")),
            ("it's \"a\"", None),
            ("a\\", None),
        ] {
            assert_eq!(quoted(text).as_deref(), expected, "{text}");
        }
        assert_eq!(tag_filter("team:it's").unwrap(), "tags.`team` = \"it's\"");
        for bad in ["team", ":a", "a`b:c", "a'b:c", "mlflow.prompt.is_prompt:true"] {
            assert_eq!(tag_filter(bad).unwrap_err().status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
        }
    }

    #[test]
    fn what_mlflow_says_is_said_in_the_words_of_the_catalogue() {
        let said = |code: &str| {
            refused(StatusCode::BAD_REQUEST, format!(r#"{{"error_code": "{code}"}}"#).as_bytes())
        };
        for (code, status) in [
            ("RESOURCE_DOES_NOT_EXIST", 404),
            ("RESOURCE_ALREADY_EXISTS", 409),
            ("INVALID_PARAMETER_VALUE", 422),
            ("INTERNAL_ERROR", 502),
        ] {
            assert_eq!(said(code).status.as_u16(), status, "{code}");
        }
        assert_eq!(refused(StatusCode::BAD_GATEWAY, b"<html>").status, StatusCode::BAD_GATEWAY);
    }
}
