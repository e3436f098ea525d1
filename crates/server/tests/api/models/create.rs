//! `POST /api/v1/models`.

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Caller, Service};

const MODELS: &str = "/api/v1/models";

async fn create(caller: &Caller, wish: Value) -> Answer {
    caller.post(MODELS, wish).await
}

#[tokio::test]
async fn a_model_is_shown_as_it_was_made() {
    let service = Service::start().await;
    let wish = json!({
        "name": " Lead scorer (EU) ", "model_type": "lead_scoring", "description": "Scores leads.\nFor Europe.",
        "tags": {"team": "growth", "a \"quoted\" key": "é: 🚀"}, "user_id": "ada"
    });
    let answer = create(&service.verifier().await, wish).await;
    assert_snapshot!(answer, @r#"
    201 Created
    {
      "created_at": "2026-03-04T10:30:00Z",
      "created_by": "ada",
      "description": "Scores leads.\nFor Europe.",
      "latest_version": null,
      "model_type": "lead_scoring",
      "name": "Lead scorer (EU)",
      "tags": {
        "a \"quoted\" key": "é: 🚀",
        "team": "growth"
      },
      "updated_at": "2026-03-04T10:30:00Z"
    }
    "#);
}

#[tokio::test]
async fn what_is_left_out_or_null_is_empty_and_made_for_whoever_asks() {
    let service = Service::start().await;
    let (verifier, operator) = (service.verifier().await, &service.operator);
    assert_snapshot!(create(&verifier, json!({"name": "a", "model_type": "x"})).await, @r#"
    201 Created
    {
      "created_at": "2026-03-04T10:30:00Z",
      "created_by": "gateway",
      "description": "",
      "latest_version": null,
      "model_type": "x",
      "name": "a",
      "tags": {},
      "updated_at": "2026-03-04T10:30:00Z"
    }
    "#);
    let nulls = json!({"name": "b", "model_type": "x", "description": null, "tags": null, "user_id": null});
    let made = create(operator, nulls).await.created();
    assert_eq!((&made["created_by"], &made["tags"]), (&json!("admin"), &json!({})));
}

#[tokio::test]
async fn a_name_is_given_once() {
    let service = Service::start().await;
    let first = json!({"name": "m", "model_type": "x", "description": "the first"});
    create(&service.operator, first).await.created();
    assert_snapshot!(create(&service.operator, json!({"name": " m ", "model_type": "y"})).await, @r#"
    409 Conflict
    {
      "code": "model_exists",
      "detail": "There is a model of this name already; add a version to it, or choose another name"
    }
    "#);
    assert_eq!(service.operator.get(&format!("{MODELS}/m")).await.ok()["description"], "the first");
    // Names are compared exactly.
    create(&service.operator, json!({"name": "M", "model_type": "y"})).await.created();
}

#[tokio::test]
async fn every_wrong_field_is_named_with_what_would_be_right() {
    let service = Service::start().await;
    let wish = json!({
        "name": "a/b", "model_type": "Lead scoring", "description": "\u{7}", "tags": {"a:b": "c"},
        "user_id": "a b", "modeltype": "x"
    });
    assert_snapshot!(create(&service.operator, wish).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "name: must be 1 to 100 characters, none of them a control character or one of / \\ : ; %, and not begin with a dot (and 5 more)",
      "errors": [
        {
          "field": "name",
          "message": "must be 1 to 100 characters, none of them a control character or one of / \\ : ; %, and not begin with a dot"
        },
        {
          "field": "model_type",
          "message": "must be 1 to 64 of a-z 0-9 _ -"
        },
        {
          "field": "description",
          "message": "must be text of at most 2000 characters, with no control characters but line ends and tabs"
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
          "field": "modeltype",
          "message": "is not a known field; did you mean model_type?"
        }
      ]
    }
    "#);
    assert_snapshot!(create(&service.operator, json!({})).await, @r#"
    422 Unprocessable Entity
    {
      "code": "invalid_request",
      "detail": "name: is required (and 1 more)",
      "errors": [
        {
          "field": "name",
          "message": "is required"
        },
        {
          "field": "model_type",
          "message": "is required"
        }
      ]
    }
    "#);
    assert_eq!(service.operator.get(MODELS).await.ok()["models"], json!([]));
}

#[tokio::test]
async fn each_field_has_its_bounds() {
    let service = Service::start().await;
    let long = |length: usize| "ü".repeat(length);
    let many =
        |count: usize| (0..count).map(|n| (n.to_string(), json!(""))).collect::<serde_json::Map<_, _>>();
    // Eight tags of 507 bytes with quotes, colons and commas; the ninth has eight bytes beside its value.
    let heavy = |length: usize| {
        let mut tags: serde_json::Map<_, _> =
            ('a'..='h').map(|key| (key.to_string(), json!(long(250)))).collect();
        tags.insert("i".to_owned(), json!("x".repeat(length)));
        json!(tags)
    };
    for (field, good, bad) in [
        ("name", json!(long(100)), json!(long(101))),
        ("name", json!("a b"), json!("")),
        ("name", json!("a.."), json!("..")),
        ("name", json!("c"), json!("c\n")),
        ("name", json!("#1"), json!("c:1")),
        ("name", json!("a?"), json!("50%")),
        ("name", json!("a=b"), json!("a;b")),
        ("name", json!("'quoted'"), json!("back\\slash")),
        ("model_type", json!("a".repeat(64)), json!("a".repeat(65))),
        ("description", json!(long(2000)), json!(long(2001))),
        ("tags", json!(many(50)), json!(many(51))),
        ("tags", json!({long(64): long(256)}), json!({"a": long(257)})),
        ("tags", json!({"a": ""}), json!({"": "a"})),
        ("tags", heavy(32), heavy(33)),
        ("tags", json!({}), json!({"a": 1})),
        ("tags", json!({"a": "b"}), json!({"a": "\u{0}"})),
    ] {
        for (value, status) in [(bad, "422 invalid_request"), (good, "201")] {
            let name = uuid::Uuid::from_u128(rand::random()).to_string();
            let mut wish = json!({"name": name, "model_type": "x"});
            wish[field] = value;
            let shown = wish.to_string();
            let answer = create(&service.operator, wish).await;
            assert_eq!(answer.brief(), status, "{shown}");
            if answer.status == 422 {
                assert_eq!(answer.json()["errors"][0]["field"], field, "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn only_gateways_and_operators_create_models() {
    let service = Service::start().await;
    let key = service.key(json!({"scopes": ["model:write"]})).await;
    let wish = json!({"name": "m", "model_type": "x"});
    assert_snapshot!(create(&service.member("ada").await, wish.clone()).await, @r#"
    403 Forbidden
    {
      "code": "forbidden",
      "detail": "This token's role does not allow this"
    }
    "#);
    assert_snapshot!(create(&service.bearer(&key.text), wish.clone()).await, @r#"
    401 Unauthorized
    www-authenticate: Bearer
    {
      "code": "invalid_admin_token",
      "detail": "This is an API key; an admin token is needed here"
    }
    "#);
    assert_eq!(create(&service.anyone(), wish).await.brief(), "401 invalid_admin_token");
    assert_eq!(service.operator.get(MODELS).await.ok()["models"], json!([]));
}

#[tokio::test]
async fn a_service_token_has_a_header_of_its_own() {
    let service = Service::start().await;
    let verifier = service.verifier().await;
    let send = async |caller: Caller, token: &str| {
        let request = caller.request(Method::POST, MODELS).header("x-hokusai-service-token", token);
        Answer::to(request.json(&json!({"name": "m", "model_type": "x"}))).await
    };
    assert_eq!(send(service.operator.clone(), "hka_unknown").await.brief(), "403 service_token_refused");
    let ada = service.member("ada").await;
    assert_eq!(send(service.anyone(), ada.text()).await.brief(), "403 forbidden");
    assert_eq!(send(service.anyone(), verifier.text()).await.created()["created_by"], "gateway");
}

#[tokio::test]
async fn who_created_a_model_is_in_the_audit_log() {
    let service = Service::start().await;
    let verifier = service.verifier().await;
    create(&verifier, json!({"name": "m 1", "model_type": "x", "user_id": "ada"})).await.created();
    verifier.post(&format!("{MODELS}/m%201/versions"), json!({"user_id": "bob"})).await.created();
    let listed = service.operator.get("/api/v1/audit?target=model:m%201").await;
    let mut shown = listed.to_string();
    for entry in listed.json().as_array().unwrap() {
        shown = shown.replace(entry["seal"].as_str().unwrap(), "[seal]");
    }
    assert_snapshot!(shown, @r#"
    200 OK
    [
      {
        "action": "model.version",
        "address": "127.0.0.1",
        "at": "2026-03-04T10:30:00Z",
        "detail": {
          "created_by": "bob",
          "version": 1
        },
        "number": 4,
        "request_id": "[id 1]",
        "result": "done",
        "seal": "[seal]",
        "target": "model:m 1",
        "token_id": "[id 2]",
        "user_id": "gateway"
      },
      {
        "action": "model.create",
        "address": "127.0.0.1",
        "at": "2026-03-04T10:30:00Z",
        "detail": {
          "created_by": "ada"
        },
        "number": 3,
        "request_id": "[id 3]",
        "result": "done",
        "seal": "[seal]",
        "target": "model:m 1",
        "token_id": "[id 2]",
        "user_id": "gateway"
      }
    ]
    "#);
}

#[tokio::test]
async fn the_longest_name_can_be_looked_for_in_the_audit_log() {
    let service = Service::start().await;
    let name = "x".repeat(100);
    create(&service.operator, json!({"name": name, "model_type": "x"})).await.created();
    let listed = service.operator.get(&format!("/api/v1/audit?target=model:{name}")).await.ok();
    assert_eq!(listed.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_full_catalogue_takes_no_more_models() {
    let service = Service::start().await;
    create(&service.operator, json!({"name": "m", "model_type": "x"})).await.created();
    service.place.execute("update models set number = 99999").await;
    create(&service.operator, json!({"name": "the last", "model_type": "x"})).await.created();
    assert_snapshot!(create(&service.operator, json!({"name": "one more", "model_type": "x"})).await, @r#"
    409 Conflict
    {
      "code": "too_many_models",
      "detail": "The catalogue has 100000 models, and takes no more"
    }
    "#);
    assert_eq!(
        create(&service.operator, json!({"name": "m", "model_type": "x"})).await.brief(),
        "409 model_exists"
    );
    service.operator.post(&format!("{MODELS}/m/versions"), json!({})).await.created();
}

#[tokio::test]
async fn a_store_that_is_away_is_no_refusal() {
    let service = Service::start().await;
    service.place.take_away().await;
    let answer = create(&service.operator, json!({"name": "m", "model_type": "x"})).await;
    assert_eq!(answer.brief(), "503 store_unavailable");
    service.place.bring_back().await;
}
