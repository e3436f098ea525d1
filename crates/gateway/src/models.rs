//! Models: the catalogue for everybody with a key. It is the one of the authentication service, or the registry
//! of the MLflow server behind the gateway.

mod fields;
mod query;
mod registry;
mod service;

use std::sync::{Arc, LazyLock};

use hokusai_client::api::errors::FieldError;
use hokusai_client::{Client, Demand, Denial, KeyFacts, ModelName, Scope};
use hokusai_http::RequestId;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::answer;
use crate::body::AnswerBody;
use crate::receive::{bad_request, no_route, whole, wrong_method};
use crate::routes::{Limits, MODELS};
use crate::traffic::Traffic;
use crate::upstream::Upstream;
use fields::{NewModel, NewVersion};
use query::Query;
use registry::Registry;
use service::Service;

/// The largest description of a model, in bytes.
const LARGEST_BODY: u64 = 64 * 1024;
/// What a key needs in order to change the catalogue.
static WRITING: LazyLock<[Scope; 1]> =
    LazyLock::new(|| [Scope::parse("model:write").expect("it has the form of a scope")]);

/// The catalogue.
pub(crate) struct Catalogue {
    source: Source,
    limits: Limits,
    all: Traffic,
    one: Traffic,
    versions: Traffic,
}

/// Who knows the models.
enum Source {
    Service(Service),
    Registry(Registry),
}

/// Who asks, and by which request.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) key: &'a KeyFacts,
    pub(crate) request: &'a RequestId,
}

/// What is asked of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    List,
    Create,
    Show(ModelName),
    AddVersion(ModelName),
}

impl Call {
    /// What a method on a path asks. `None`: the path is none of the catalogue's.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Result<Self, Denial>> {
        let rest = path.strip_prefix(MODELS)?;
        let pieces: Vec<&str> = match rest.strip_prefix('/') {
            None if rest.is_empty() => Vec::new(),
            None => return None,
            Some(rest) => rest.split('/').collect(),
        };
        Some(match (pieces.as_slice(), method) {
            ([], &Method::GET | &Method::HEAD) => Ok(Self::List),
            ([], &Method::POST) => Ok(Self::Create),
            ([name], &Method::GET | &Method::HEAD) if !name.is_empty() => model_name(name).map(Self::Show),
            ([name, "versions"], &Method::POST) => model_name(name).map(Self::AddVersion),
            ([] | [_] | [_, "versions"], _) if pieces.first() != Some(&"") => Err(wrong_method()),
            _ => Err(no_route()),
        })
    }

    /// What it asks of a key: reading is open to every good one.
    pub(crate) fn demand(&self) -> Demand<'static> {
        match self {
            Self::List | Self::Show(_) => Demand::Nothing,
            Self::Create | Self::AddVersion(_) => Demand::ChangeWith(&*WRITING),
        }
    }

    /// Its name in logs, metrics and reports of usage.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::List | Self::Create => "/v1/models",
            Self::Show(_) => "/v1/models/{name}",
            Self::AddVersion(_) => "/v1/models/{name}/versions",
        }
    }
}

fn model_name(encoded: &str) -> Result<ModelName, Denial> {
    let name = percent_decode_str(encoded).decode_utf8().ok();
    // What can't be a name is the name of nothing.
    name.and_then(|name| ModelName::parse(&name)).ok_or_else(no_model)
}

impl Catalogue {
    /// That of an MLflow server, or else of the service.
    pub(crate) fn new(nodes: Vec<Client>, mlflow: Option<Arc<Upstream>>, limits: Limits) -> Self {
        let [all, one, versions] =
            ["/v1/models", "/v1/models/{name}", "/v1/models/{name}/versions"].map(Traffic::of);
        let limits = Limits { body: Some(LARGEST_BODY), ..limits };
        let source = match mlflow {
            Some(upstream) => Source::Registry(Registry::new(upstream, limits.first_byte)),
            None => Source::Service(Service(nodes)),
        };
        Self { source, limits, all, one, versions }
    }

    pub(crate) fn traffic(&self, call: &Call) -> &Traffic {
        match call {
            Call::List | Call::Create => &self.all,
            Call::Show(_) => &self.one,
            Call::AddVersion(_) => &self.versions,
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Answers a call for whoever has this key.
    pub(crate) async fn answer(
        &self,
        call: &Call,
        query: Option<&str>,
        body: Incoming,
        asker: Asker<'_>,
    ) -> Result<Response<AnswerBody>, Denial> {
        let query = Query::read(query)?;
        match call {
            Call::List => {
                let asked = query.of_models()?;
                let page = match &self.source {
                    Source::Service(service) => service.list(&asked).await,
                    Source::Registry(registry) => registry.list(&asked, asker).await,
                };
                Ok(written(StatusCode::OK, &page?))
            }
            Call::Show(name) => {
                let asked = query.of_versions()?;
                let model = match &self.source {
                    Source::Service(service) => service.show(name, &asked).await,
                    Source::Registry(registry) => registry.show(name, &asked, asker).await,
                };
                Ok(written(StatusCode::OK, &model?))
            }
            Call::Create => {
                query.is_empty()?;
                let fields = self.fields(body).await?;
                let model = match &self.source {
                    Source::Service(service) => service.create(&of_user(fields, asker.key)).await,
                    Source::Registry(registry) => registry.create(NewModel::read(fields)?, asker).await,
                };
                Ok(written(StatusCode::CREATED, &model?))
            }
            Call::AddVersion(name) => {
                query.is_empty()?;
                let fields = self.fields(body).await?;
                let version = match &self.source {
                    Source::Service(service) => service.add_version(name, &of_user(fields, asker.key)).await,
                    Source::Registry(registry) => {
                        registry.add_version(name, NewVersion::read(fields)?, asker).await
                    }
                };
                Ok(written(StatusCode::CREATED, &version?))
            }
        }
    }

    /// The fields that somebody sent.
    async fn fields(&self, body: Incoming) -> Result<Map<String, Value>, Denial> {
        let bytes = whole(body, LARGEST_BODY, self.limits.idle).await?;
        let fields: Map<String, Value> = if bytes.is_empty() {
            Map::new()
        } else {
            let fields = serde_json::from_slice(&bytes);
            fields.map_err(|_| bad_request("bad_json", "The body must be a JSON object"))?
        };
        if fields.contains_key("user_id") {
            return Err(invalid("user_id", "is given by the key"));
        }
        Ok(fields)
    }
}

/// The fields, with the user whose key it is.
fn of_user(mut fields: Map<String, Value>, key: &KeyFacts) -> Map<String, Value> {
    fields.insert("user_id".into(), Value::from(&*key.rights.user_id));
    fields
}

fn written(status: StatusCode, body: &impl Serialize) -> Response<AnswerBody> {
    let body = serde_json::to_string(body).expect("texts and numbers can be written as JSON");
    answer::json(status, body)
}

fn invalid(field: &str, message: &str) -> Denial {
    let error = FieldError { field: field.to_owned(), message: message.to_owned() };
    all_invalid(format!("{field} {message}"), vec![error])
}

fn all_invalid(detail: String, errors: Vec<FieldError>) -> Denial {
    Denial { errors, ..Denial::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", detail) }
}

fn no_model() -> Denial {
    Denial::new(StatusCode::NOT_FOUND, "not_found", "Model not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_method_and_path() {
        for (method, path, expected) in [
            ("GET", "/v1/models", Some(Ok("/v1/models"))),
            ("HEAD", "/v1/models", Some(Ok("/v1/models"))),
            ("POST", "/v1/models", Some(Ok("/v1/models"))),
            ("DELETE", "/v1/models", Some(Err(405))),
            ("GET", "/v1/models/a", Some(Ok("/v1/models/{name}"))),
            ("GET", "/v1/models/caf%C3%A9%20%22", Some(Ok("/v1/models/{name}"))),
            ("GET", "/v1/models/", Some(Err(404))),
            ("GET", "/v1/models/%0A", Some(Err(404))),
            ("PUT", "/v1/models/a", Some(Err(405))),
            ("POST", "/v1/models/a/versions", Some(Ok("/v1/models/{name}/versions"))),
            ("GET", "/v1/models/a/versions", Some(Err(405))),
            ("GET", "/v1/models/a/b", Some(Err(404))),
            ("GET", "/v1/models/a/versions/1", Some(Err(404))),
            ("GET", "/v1/modelsx", None),
            ("GET", "/v1", None),
        ] {
            let call = Call::of(&method.parse().unwrap(), path);
            let found = call.as_ref().map(|call| match call {
                Ok(call) => Ok(call.name()),
                Err(denial) => Err(denial.status.as_u16()),
            });
            assert_eq!(found, expected, "{method} {path}");
        }
    }
}
