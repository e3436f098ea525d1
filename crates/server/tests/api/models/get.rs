//! `GET /api/v1/models/{name}`.

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Service};

const MODELS: &str = "/api/v1/models";

/// A service with the model `m` and so many versions of it.
async fn with_versions(count: usize) -> Service {
    let service = Service::start().await;
    service.operator.post(MODELS, json!({"name": "m", "model_type": "x"})).await.created();
    for number in 1..=count {
        let wish = json!({"description": number.to_string()});
        service.operator.post(&format!("{MODELS}/m/versions"), wish).await.created();
    }
    service
}

fn numbers(model: &Value) -> Vec<i64> {
    let versions = model["versions"].as_array().unwrap();
    versions.iter().map(|version| version["version"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_model_is_shown_with_its_versions_the_latest_first() {
    let service = with_versions(1).await;
    let wish = json!({"description": "Better", "source": "s3://models/m/2", "tags": {"stage": "test"},
        "user_id": "ada"});
    service.clock.advance(std::time::Duration::from_secs(90));
    service.operator.post(&format!("{MODELS}/m/versions"), wish).await.created();
    assert_snapshot!(service.verifier().await.get(&format!("{MODELS}/m")).await, @r#"
    200 OK
    {
      "created_at": "2026-03-04T10:30:00Z",
      "created_by": "admin",
      "description": "",
      "latest_version": 2,
      "model_type": "x",
      "name": "m",
      "next_cursor": null,
      "tags": {},
      "updated_at": "2026-03-04T10:31:30Z",
      "versions": [
        {
          "created_at": "2026-03-04T10:31:30Z",
          "created_by": "ada",
          "description": "Better",
          "source": "s3://models/m/2",
          "tags": {
            "stage": "test"
          },
          "version": 2
        },
        {
          "created_at": "2026-03-04T10:30:00Z",
          "created_by": "admin",
          "description": "1",
          "source": null,
          "tags": {},
          "version": 1
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn a_model_without_versions_says_so() {
    let service = with_versions(0).await;
    let model = service.operator.get(&format!("{MODELS}/m")).await.ok();
    assert_eq!((&model["latest_version"], &model["versions"]), (&Value::Null, &json!([])));
    assert_eq!(model["next_cursor"], Value::Null);
}

#[tokio::test]
async fn versions_come_page_by_page() {
    let service = with_versions(5).await;
    let mut path = format!("{MODELS}/m?limit=2");
    let mut pages = Vec::new();
    loop {
        let model = service.operator.get(&path).await.ok();
        assert_eq!(model["latest_version"], 5);
        pages.push(numbers(&model));
        let Some(cursor) = model["next_cursor"].as_str() else { break };
        path = format!("{MODELS}/m?limit=2&cursor={cursor}");
    }
    assert_eq!(pages, [vec![5, 4], vec![3, 2], vec![1]]);
    // A page that is just full is the last.
    let model = service.operator.get(&format!("{MODELS}/m?limit=5")).await.ok();
    assert_eq!((numbers(&model).len(), &model["next_cursor"]), (5, &Value::Null));
}

#[tokio::test]
async fn a_page_has_a_hundred_versions_unless_more_are_asked_for() {
    let service = with_versions(1).await;
    service
        .place
        .execute(
            "with recursive numbers (number) as (select 2 union all select number + 1 from numbers where number < 101)
             insert into model_versions (model, version, description, tags, created_at, created_by)
                select 1, number, '', '{}', 0, 'ada' from numbers;
             update models set latest_version = 101",
        )
        .await;
    let model = service.operator.get(&format!("{MODELS}/m")).await.ok();
    assert_eq!((numbers(&model).len(), model["next_cursor"].as_str()), (100, Some("2")));
    let model = service.operator.get(&format!("{MODELS}/m?limit=1000")).await.ok();
    assert_eq!(numbers(&model).len(), 101);
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let service = with_versions(1).await;
    for (query, detail) in [
        ("limit=0", "422 limit: must be a whole number from 1 to 1000"),
        ("limit=1001", "422 limit: must be a whole number from 1 to 1000"),
        ("cursor=x", "422 cursor: must be a whole number from 0 to 9999999999999999"),
        ("version=1", "422 version: is not a known parameter"),
    ] {
        assert_eq!(service.operator.get(&format!("{MODELS}/m?{query}")).await.detail(), detail);
    }
}

#[tokio::test]
async fn what_is_no_model_is_not_found() {
    let service = with_versions(0).await;
    assert_snapshot!(service.operator.get(&format!("{MODELS}/other")).await, @r#"
    404 Not Found
    {
      "code": "not_found",
      "detail": "Model not found"
    }
    "#);
    for path in [
        "M",
        "%20m",
        "m%20",
        "m%2Fversions",
        "..%2Fkeys",
        "%00",
        "%FF",
        "a%5Cb",
        "a:b",
        "m%0A",
        &"x".repeat(101),
    ] {
        let answer = service.operator.get(&format!("{MODELS}/{path}")).await;
        assert_eq!(answer.detail(), "404 Model not found", "{path}");
    }
    for path in ["", "/", "/m/", "/m/versions/1", "//m"] {
        assert_eq!(
            service.operator.get(&format!("{MODELS}{path}")).await.status.as_u16(),
            if path.is_empty() { 200 } else { 404 }
        );
    }
}

#[tokio::test]
async fn names_that_a_path_must_encode_are_found() {
    let service = Service::start().await;
    for (name, path) in [
        ("half \"off\"", "half%20%22off%22"),
        ("it's", "it's"),
        ("a?b#c&d=e", "a%3Fb%23c%26d=e"),
        ("a+b", "a+b"),
        ("模型 🚀", "%E6%A8%A1%E5%9E%8B%20%F0%9F%9A%80"),
        ("v1.2..", "v1.2.."),
        ("<b>&", "%3Cb%3E&"),
        ("versions", "versions"),
        ("{name}", "%7Bname%7D"),
        ("' or 1=1 --", "'%20or%201=1%20--"),
    ] {
        service.operator.post(MODELS, json!({"name": name, "model_type": "x"})).await.created();
        assert_eq!(service.operator.get(&format!("{MODELS}/{path}")).await.ok()["name"], name);
        let made = service.operator.post(&format!("{MODELS}/{path}/versions"), json!({})).await.created();
        assert_eq!((made["name"].as_str(), made["version"].as_i64()), (Some(name), Some(1)));
    }
}

#[tokio::test]
async fn only_gateways_and_operators_see_models() {
    let service = with_versions(0).await;
    let key = service.key(json!({"scopes": ["model:read"]})).await;
    for path in [MODELS.to_owned(), format!("{MODELS}/m"), format!("{MODELS}/other")] {
        assert_eq!(service.member("ada").await.get(&path).await.brief(), "403 forbidden");
        assert_eq!(service.bearer(&key.text).get(&path).await.brief(), "401 invalid_admin_token");
        assert_eq!(service.anyone().get(&path).await.brief(), "401 invalid_admin_token");
        let request = service.anyone().request(Method::GET, &path).header("x-hokusai-service-token", "x");
        assert_eq!(Answer::to(request).await.brief(), "403 service_token_refused");
    }
}
