//! `GET /api/v1/models`.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::Service;

const MODELS: &str = "/api/v1/models";

/// A service with a few models.
async fn with_models() -> Service {
    let service = Service::start().await;
    for wish in [
        json!({"name": "b", "model_type": "lead_scoring", "tags": {"team": "growth", "url": "http://x"}}),
        json!({"name": "a", "model_type": "churn", "tags": {"team": "growth"}, "user_id": "ada"}),
        json!({"name": "é", "model_type": "churn", "tags": {"team": "risk", "empty": ""}}),
        json!({"name": "Z", "model_type": "lead_scoring"}),
    ] {
        service.operator.post(MODELS, wish).await.created();
    }
    service
}

fn names(page: &Value) -> Vec<&str> {
    page["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_empty_catalogue_has_one_empty_page() {
    let service = Service::start().await;
    assert_snapshot!(service.verifier().await.get(MODELS).await, @r#"
    200 OK
    {
      "models": [],
      "next_cursor": null
    }
    "#);
}

#[tokio::test]
async fn models_are_listed_by_name_without_their_versions() {
    let service = with_models().await;
    service.operator.post(&format!("{MODELS}/a/versions"), json!({})).await.created();
    let page = service.verifier().await.get(&format!("{MODELS}?limit=2")).await;
    assert_snapshot!(page, @r#"
    200 OK
    {
      "models": [
        {
          "created_at": "2026-03-04T10:30:00Z",
          "created_by": "admin",
          "description": "",
          "latest_version": null,
          "model_type": "lead_scoring",
          "name": "Z",
          "tags": {},
          "updated_at": "2026-03-04T10:30:00Z"
        },
        {
          "created_at": "2026-03-04T10:30:00Z",
          "created_by": "ada",
          "description": "",
          "latest_version": 1,
          "model_type": "churn",
          "name": "a",
          "tags": {
            "team": "growth"
          },
          "updated_at": "2026-03-04T10:30:00Z"
        }
      ],
      "next_cursor": "a"
    }
    "#);
}

#[tokio::test]
async fn a_page_leads_to_the_next() {
    let service = with_models().await;
    for (limit, pages) in [
        (1, vec![vec!["Z"], vec!["a"], vec!["b"], vec!["é"]]),
        (2, vec![vec!["Z", "a"], vec!["b", "é"]]),
        (3, vec![vec!["Z", "a", "b"], vec!["é"]]),
        (4, vec![vec!["Z", "a", "b", "é"]]),
    ] {
        let mut cursor: Option<String> = None;
        for expected in &pages {
            let after = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
            let page = service.operator.get(&format!("{MODELS}?limit={limit}{after}")).await.ok();
            assert_eq!(&names(&page), expected);
            cursor = page["next_cursor"].as_str().map(str::to_owned);
        }
        assert_eq!(cursor, None, "{limit}");
    }
}

#[tokio::test]
async fn models_are_listed_by_type_and_tag() {
    let service = with_models().await;
    for (query, expected) in [
        ("model_type=churn", vec!["a", "é"]),
        ("model_type=unheard_of", vec![]),
        ("tag=team:growth", vec!["a", "b"]),
        ("tag=team%3Agrowth", vec!["a", "b"]),
        ("tag=url:http://x", vec!["b"]),
        ("tag=empty:", vec!["é"]),
        ("tag=team:", vec![]),
        ("tag=growth:team", vec![]),
        ("tag=team:growth&model_type=lead_scoring", vec!["b"]),
        ("tag=team:growth&model_type=lead_scoring&cursor=b", vec![]),
        ("tag=team:growth&cursor=a", vec!["b"]),
        ("cursor=", vec!["Z", "a", "b", "é"]),
    ] {
        let page = service.operator.get(&format!("{MODELS}?{query}")).await.ok();
        assert_eq!(names(&page), expected, "{query}");
        assert_eq!(page["next_cursor"], Value::Null, "{query}");
    }
    let page = service.operator.get(&format!("{MODELS}?tag=team:growth&limit=1")).await.ok();
    assert_eq!((names(&page), page["next_cursor"].as_str()), (vec!["a"], Some("a")));
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let service = with_models().await;
    for (query, detail) in [
        ("limit=0", "422 limit: must be a whole number from 1 to 1000"),
        ("limit=1001", "422 limit: must be a whole number from 1 to 1000"),
        ("model_type=Lead", "422 model_type: must be 1 to 64 of a-z 0-9 _ -"),
        ("model_type=", "422 model_type: must be 1 to 64 of a-z 0-9 _ -"),
        ("tag=team", "422 tag: must be a tag such as team:growth: its key, a colon, its value"),
        ("tag=:growth", "422 tag: must be a tag such as team:growth: its key, a colon, its value"),
        ("tag=a:b&tag=c:d", "422 tag: can be given once only"),
        ("model_type=a&model_type=b", "422 model_type: can be given once only"),
        ("cursor=%00", "422 cursor: must be text of at most 100 characters without control characters"),
        ("modeltype=churn", "422 modeltype: is not a known parameter; did you mean model_type?"),
    ] {
        assert_eq!(service.operator.get(&format!("{MODELS}?{query}")).await.detail(), detail);
    }
}

#[tokio::test]
async fn a_page_has_a_hundred_models_unless_more_are_asked_for() {
    let service = Service::start().await;
    service.operator.post(MODELS, json!({"name": "a", "model_type": "x"})).await.created();
    service
        .place
        .execute(
            "with recursive numbers (number) as (select 2 union all select number + 1 from numbers where number < 101)
             insert into models (name, number, model_type, description, tags, created_at, created_by, updated_at,
                latest_version)
                select cast(number as text), number, 'x', '', '{}', 0, 'ada', 0, 0 from numbers",
        )
        .await;
    let page = service.operator.get(MODELS).await.ok();
    assert_eq!((names(&page).len(), page["next_cursor"].as_str()), (100, Some("99")));
    assert_eq!(names(&service.operator.get(&format!("{MODELS}?limit=1000")).await.ok()).len(), 101);
}
