//! Models: the catalogue of the authentication service, for everybody with a key.

use std::future::Future;
use std::sync::LazyLock;

use hokusai_client::api::errors::FieldError;
use hokusai_client::{
    Client, Demand, Denial, Error, KeyFacts, ModelName, ModelQuery, ModelVersionQuery, Scope, Told,
    Unavailable,
};
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

/// The largest description of a model, in bytes.
const LARGEST_BODY: u64 = 64 * 1024;
/// What a key needs in order to change the catalogue.
static WRITING: LazyLock<[Scope; 1]> =
    LazyLock::new(|| [Scope::parse("model:write").expect("it has the form of a scope")]);

/// The catalogue, asked through the nodes of the service.
pub(crate) struct Catalogue {
    nodes: Vec<Client>,
    limits: Limits,
    all: Traffic,
    one: Traffic,
    versions: Traffic,
}

/// What is asked of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    let no_model = || Denial::new(StatusCode::NOT_FOUND, "not_found", "Model not found");
    // What can't be a name is the name of nothing.
    name.and_then(|name| ModelName::parse(&name)).ok_or_else(no_model)
}

impl Catalogue {
    pub(crate) fn new(nodes: Vec<Client>, limits: Limits) -> Self {
        let [all, one, versions] =
            ["/v1/models", "/v1/models/{name}", "/v1/models/{name}/versions"].map(Traffic::of);
        let limits = Limits { body: Some(LARGEST_BODY), ..limits };
        Self { nodes, limits, all, one, versions }
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
        key: &KeyFacts,
    ) -> Result<Response<AnswerBody>, Denial> {
        let query = Query::read(query)?;
        match call {
            Call::List => {
                let asked = &query.of_models()?;
                self.read(|node| async move { node.models(asked).await }).await
            }
            Call::Show(name) => {
                let asked = &query.of_versions()?;
                self.read(|node| async move { node.model(name, asked).await }).await
            }
            Call::Create => {
                query.is_empty()?;
                let fields = &self.fields(body, key).await?;
                self.change(|node| async move { node.create_model_of(fields).await }).await
            }
            Call::AddVersion(name) => {
                query.is_empty()?;
                let fields = &self.fields(body, key).await?;
                self.change(|node| async move { node.create_model_version_of(name, fields).await }).await
            }
        }
    }

    /// Asks one node after the other, until one answers.
    async fn read<T: Serialize, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl Fn(Client) -> F,
    ) -> Result<Response<AnswerBody>, Denial> {
        let mut failure = None;
        for node in &self.nodes {
            match ask(node.clone()).await {
                Ok(found) => return Ok(written(StatusCode::OK, &found)),
                Err(error) if is_of_this_node(&error) => failure = Some(error),
                Err(error) => return Err(denial(&error)),
            }
        }
        Err(failure.map_or_else(unavailable, |error| denial(&error)))
    }

    /// The same for what must not be done twice: another node is asked only if nothing was sent.
    async fn change<T: Serialize, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl Fn(Client) -> F,
    ) -> Result<Response<AnswerBody>, Denial> {
        for node in &self.nodes {
            match ask(node.clone()).await {
                Ok(made) => return Ok(written(StatusCode::CREATED, &made)),
                Err(Error::Unreachable { .. }) => {}
                Err(error) => return Err(denial(&error)),
            }
        }
        Err(unavailable())
    }

    /// The fields that somebody sent, with the user whose key it is.
    async fn fields(&self, body: Incoming, key: &KeyFacts) -> Result<Map<String, Value>, Denial> {
        let bytes = whole(body, LARGEST_BODY, self.limits.idle).await?;
        let mut fields: Map<String, Value> = if bytes.is_empty() {
            Map::new()
        } else {
            let fields = serde_json::from_slice(&bytes);
            fields.map_err(|_| bad_request("bad_json", "The body must be a JSON object"))?
        };
        if fields.contains_key("user_id") {
            return Err(invalid("user_id", "is given by the key"));
        }
        fields.insert("user_id".into(), Value::from(&*key.rights.user_id));
        Ok(fields)
    }
}

/// The parameters of a query, each of them once.
struct Query(Vec<(String, String)>);

impl Query {
    fn read(query: Option<&str>) -> Result<Self, Denial> {
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        for (at, (name, _)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(invalid(name, "must be given once"));
            }
        }
        Ok(Self(pairs))
    }

    fn of_models(mut self) -> Result<ModelQuery, Denial> {
        let (model_type, tag) = (self.take("model_type"), self.take("tag"));
        let (page_size, cursor) = (self.page_size()?, self.take("cursor"));
        self.is_empty()?;
        Ok(ModelQuery { model_type, tag, page_size, cursor })
    }

    fn of_versions(mut self) -> Result<ModelVersionQuery, Denial> {
        let (page_size, cursor) = (self.page_size()?, self.take("cursor"));
        self.is_empty()?;
        Ok(ModelVersionQuery { page_size, cursor })
    }

    fn page_size(&mut self) -> Result<Option<u32>, Denial> {
        let size = self.take("limit").map(|size| size.parse::<u32>());
        size.transpose().map_err(|_| invalid("limit", "must be a whole number from 1 to 1000"))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// A misspelt filter would show other models than were asked for.
    fn is_empty(&self) -> Result<(), Denial> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(name, "is no parameter here")),
        }
    }
}

fn written(status: StatusCode, body: &impl Serialize) -> Response<AnswerBody> {
    let body = serde_json::to_string(body).expect("texts and numbers can be written as JSON");
    answer::json(status, body)
}

fn invalid(field: &str, message: &str) -> Denial {
    let detail = format!("{field} {message}");
    let errors = vec![FieldError { field: field.to_owned(), message: message.to_owned() }];
    Denial { errors, ..Denial::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", detail) }
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

    #[test]
    fn a_query_is_read_whole_or_refused() {
        let field =
            |query| Query::read(Some(query)).and_then(Query::of_models).map_err(|denial| denial.detail);
        let asked = field("model_type=a&tag=b:c&limit=5&cursor=d").unwrap();
        assert_eq!((asked.model_type.as_deref(), asked.page_size), (Some("a"), Some(5)));
        assert_eq!((asked.tag.as_deref(), asked.cursor.as_deref()), (Some("b:c"), Some("d")));
        assert_eq!(field("modeltype=a").unwrap_err(), "modeltype is no parameter here");
        assert_eq!(field("tag=a:b&tag=c:d").unwrap_err(), "tag must be given once");
        assert_eq!(field("limit=-1").unwrap_err(), "limit must be a whole number from 1 to 1000");
    }
}
