//! `POST /api/v1/models/{name}/versions`.

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Answer, Service};

const VERSIONS: &str = "/api/v1/models/m/versions";

async fn with_model() -> Service {
    let service = Service::start().await;
    service.operator.post("/api/v1/models", json!({"name": "m", "model_type": "x"})).await.created();
    service
}

#[tokio::test]
async fn a_version_is_shown_as_it_was_made_with_its_number() {
    let service = with_model().await;
    let wish = json!({"description": "Trained\non March", "source": "s3://models/m/1?part=\"é\"",
        "tags": {"stage": "test"}, "user_id": "ada"});
    assert_snapshot!(service.verifier().await.post(VERSIONS, wish).await, @r#"
    201 Created
    {
      "created_at": "2026-03-04T10:30:00Z",
      "created_by": "ada",
      "description": "Trained\non March",
      "name": "m",
      "source": "s3://models/m/1?part=\"é\"",
      "tags": {
        "stage": "test"
      },
      "version": 1
    }
    "#);
}

#[tokio::test]
async fn a_version_needs_nothing_to_be_said_of_it() {
    let service = with_model().await;
    let nulls = json!({"description": null, "source": null, "tags": null, "user_id": null});
    assert_snapshot!(service.verifier().await.post(VERSIONS, nulls).await, @r#"
    201 Created
    {
      "created_at": "2026-03-04T10:30:00Z",
      "created_by": "gateway",
      "description": "",
      "name": "m",
      "source": null,
      "tags": {},
      "version": 1
    }
    "#);
    let without_body = service.operator.request(Method::POST, VERSIONS);
    assert_eq!(Answer::to(without_body).await.created()["version"], 2);
}

#[tokio::test]
async fn versions_made_at_once_are_counted_without_a_gap() {
    let service = with_model().await;
    let mut tasks = JoinSet::new();
    for _ in 0..24 {
        let operator = service.operator.clone();
        tasks.spawn(async move {
            operator.post(VERSIONS, json!({})).await.created()["version"].as_i64().unwrap()
        });
    }
    let mut numbers = tasks.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=24).collect::<Vec<_>>());
}

#[tokio::test]
async fn models_are_counted_apart() {
    let service = with_model().await;
    service.operator.post("/api/v1/models", json!({"name": "n", "model_type": "x"})).await.created();
    for (name, version) in [("m", 1), ("n", 1), ("m", 2), ("n", 2)] {
        let made =
            service.operator.post(&format!("/api/v1/models/{name}/versions"), json!({})).await.created();
        assert_eq!(made["version"], version);
    }
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = with_model().await;
    let wish =
        json!({"description": "x".repeat(2001), "source": "", "tags": [], "user_id": "", "version": 7});
    assert_snapshot!(service.operator.post(VERSIONS, wish).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "description: must be text of at most 2000 characters, with no control characters but line ends and tabs (and 4 more)",
      "errors": [
        {
          "field": "description",
          "message": "must be text of at most 2000 characters, with no control characters but line ends and tabs"
        },
        {
          "field": "source",
          "message": "must be 1 to 1000 characters without control characters"
        },
        {
          "field": "tags",
          "message": "must be an object of at most 50 texts, 4096 bytes as JSON: keys of 1 to 64 characters without ':', values of at most 256, none with control characters"
        },
        {
          "field": "user_id",
          "message": "must be 1 to 100 of A-Z a-z 0-9 . _ @ : -"
        },
        {
          "field": "version",
          "message": "is not a known field"
        }
      ]
    }
    "#);
    for (source, status) in [
        ("x".repeat(1000), "201"),
        ("x".repeat(1001), "422 invalid_request"),
        ("a\nb".into(), "422 invalid_request"),
    ] {
        assert_eq!(service.operator.post(VERSIONS, json!({"source": source})).await.brief(), status);
    }
}

#[tokio::test]
async fn a_model_that_is_not_there_has_no_versions() {
    let service = with_model().await;
    for name in ["M", "other", "a%2Fb", "%FF"] {
        let answer = service.operator.post(&format!("/api/v1/models/{name}/versions"), json!({})).await;
        assert_eq!(answer.detail(), "404 Model not found", "{name}");
    }
    assert_eq!(service.place.count_rows("model_versions").await, 0);
}

#[tokio::test]
async fn only_gateways_and_operators_add_versions() {
    let service = with_model().await;
    let key = service.key(json!({"scopes": ["model:write"]})).await;
    assert_eq!(service.member("ada").await.post(VERSIONS, json!({})).await.brief(), "403 forbidden");
    assert_eq!(service.bearer(&key.text).post(VERSIONS, json!({})).await.brief(), "401 invalid_admin_token");
    assert_eq!(service.place.count_rows("model_versions").await, 0);
}

#[tokio::test]
async fn a_model_takes_ten_thousand_versions() {
    let service = with_model().await;
    service.place.execute("update models set latest_version = 9999").await;
    assert_eq!(service.operator.post(VERSIONS, json!({})).await.created()["version"], 10_000);
    assert_snapshot!(service.operator.post(VERSIONS, json!({})).await, @r#"
    409 Conflict
    {
      "code": "too_many_versions",
      "detail": "The model has 10000 versions, and takes no more; create another model"
    }
    "#);
}
