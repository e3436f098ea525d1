//! The catalogue of models of the real service.

use std::collections::BTreeMap;

use hokusai_client::api::models::{CreateModel, CreateModelVersion};
use hokusai_client::{Client, Error, ModelName, ModelQuery, ModelVersionQuery};
use serde_json::{Map, Value, json};

use crate::odd::{Odd, Reply};
use crate::service::{Service, token_wish};

fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

fn wish(name: &str, model_type: &str) -> CreateModel {
    CreateModel { name: name.into(), model_type: model_type.into(), ..CreateModel::default() }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

async fn gateway(service: &Service) -> Client {
    let created = service.operator.create_token(&token_wish("gateway", "verifier")).await.unwrap();
    service.client(&created.token)
}

async fn versions(client: &Client, of: &str, query: &ModelVersionQuery) -> (Vec<i64>, Option<String>) {
    let model = client.model(&name(of), query).await.unwrap();
    (model.versions.iter().map(|version| version.version).collect(), model.next_cursor)
}

#[tokio::test]
async fn a_gateway_makes_a_model_and_versions_of_it_for_somebody() {
    let service = Service::start().await;
    let gateway = gateway(&service).await;
    let tags = Some(BTreeMap::from([("team".to_owned(), "growth".to_owned())]));
    let asked = CreateModel { tags, user_id: Some("ada".into()), ..wish("Lead scorer", "lead_scoring") };
    let model = gateway.create_model(&asked).await.unwrap();
    assert_eq!(
        (model.name.as_str(), model.created_by.as_str(), model.latest_version),
        ("Lead scorer", "ada", None)
    );

    let asked = CreateModelVersion { source: Some("s3://m/1".into()), ..CreateModelVersion::default() };
    let made = gateway.create_model_version(&name("Lead scorer"), &asked).await.unwrap();
    assert_eq!((made.name.as_str(), made.version.version), ("Lead scorer", 1));

    let shown = gateway.model(&name("Lead scorer"), &ModelVersionQuery::default()).await.unwrap();
    assert_eq!((shown.versions, shown.model.latest_version), (vec![made.version], Some(1)));
    assert_eq!((shown.model.tags, shown.next_cursor), (model.tags, None));
    // An operator's token does as well.
    service.operator.model(&name("Lead scorer"), &ModelVersionQuery::default()).await.unwrap();
}

#[tokio::test]
async fn models_come_page_by_page_and_filtered() {
    let service = Service::start().await;
    for number in 1..=5 {
        let kind = if number == 3 { "churn" } else { "lead_scoring" };
        service.operator.create_model(&wish(&format!("model {number}&cursor=x"), kind)).await.unwrap();
    }
    let model_type = Some("lead_scoring".to_owned());
    let mut query = ModelQuery { model_type, page_size: Some(3), ..ModelQuery::default() };
    let mut pages = Vec::new();
    loop {
        let page = service.operator.models(&query).await.unwrap();
        pages.push(page.models.iter().map(|model| model.name[6..7].to_owned()).collect::<String>());
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["124", "5"]);
    let tagged = ModelQuery { tag: Some("team:growth".into()), ..ModelQuery::default() };
    assert_eq!(service.operator.models(&tagged).await.unwrap().models, []);
}

#[tokio::test]
async fn versions_come_page_by_page() {
    let service = Service::start().await;
    service.operator.create_model(&wish("m", "x")).await.unwrap();
    for _ in 0..3 {
        service.operator.create_model_version(&name("m"), &CreateModelVersion::default()).await.unwrap();
    }
    let mut query = ModelVersionQuery { page_size: Some(2), cursor: None };
    let (first, cursor) = versions(&service.operator, "m", &query).await;
    query.cursor = cursor;
    let (second, cursor) = versions(&service.operator, "m", &query).await;
    assert_eq!((first, second, cursor), (vec![3, 2], vec![1], None));
}

#[tokio::test]
async fn any_name_stays_one_piece_of_the_path() {
    let service = Service::start().await;
    for text in ["half off", "a+b c", "a?b#c&d=e", "2F..2e", "模型 🚀", "'\"<>&*~", "versions", "a.."] {
        service.operator.create_model(&wish(text, "x")).await.unwrap();
        let made = service.operator.create_model_version(&name(text), &CreateModelVersion::default()).await;
        assert_eq!(made.unwrap().name, text);
        let shown = service.operator.model(&name(text), &ModelVersionQuery::default()).await.unwrap();
        assert_eq!((shown.model.name.as_str(), shown.versions.len()), (text, 1));
    }
}

#[tokio::test]
async fn what_somebody_else_sent_is_judged_by_the_service() {
    let service = Service::start().await;
    let sent =
        object(json!({"name": "m", "model_type": "x", "user_id": "ada", "descripton": "?", "tags": 7}));
    let error = service.operator.create_model_of(&sent).await.unwrap_err();
    let Error::Invalid { errors, .. } = error else { panic!("{error:?}") };
    let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["tags", "descripton"]);

    let sent = object(json!({"name": "m", "model_type": "x", "user_id": "ada"}));
    assert_eq!(service.operator.create_model_of(&sent).await.unwrap().created_by, "ada");
    let sent = object(json!({"source": "s3://m/1", "user_id": "bob"}));
    let made = service.operator.create_model_version_of(&name("m"), &sent).await.unwrap();
    assert_eq!((made.version.created_by.as_str(), made.version.source.as_deref()), ("bob", Some("s3://m/1")));
}

#[tokio::test]
async fn what_the_service_refuses_has_its_own_error() {
    let service = Service::start().await;
    service.operator.create_model(&wish("m", "x")).await.unwrap();
    let error = service.operator.create_model(&wish("m", "x")).await.unwrap_err();
    let Error::Conflict(told) = &error else { panic!("{error:?}") };
    assert_eq!(told.code.as_deref(), Some("model_exists"));

    let error = service.operator.model(&name("other"), &ModelVersionQuery::default()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    assert_eq!(error.to_string(), "Model not found");

    let member = service.member("ada").await;
    let error = member.models(&ModelQuery::default()).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error:?}");
    let error = service.anyone().models(&ModelQuery::default()).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error:?}");
}

#[tokio::test]
async fn the_token_is_shown_as_a_service_token_and_a_lost_answer_makes_no_second_version() {
    let odd = Odd::replying([Reply::Nothing]).await;
    let client = odd.client().retries(2).build().unwrap();
    let error = client.create_model_version(&name("a b"), &CreateModelVersion::default()).await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    let requests = odd.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("POST /api/v1/models/a%20b/versions HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[0].contains("x-hokusai-service-token: hka_the_token\r\n"), "{requests:?}");
    assert!(!requests[0].to_lowercase().contains("authorization"), "{requests:?}");
    assert!(requests[0].ends_with("\r\n\r\n{}"), "{requests:?}");
}
