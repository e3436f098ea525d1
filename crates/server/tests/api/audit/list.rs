//! `GET /api/v1/audit`.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Answer, Service};

const AUDIT: &str = "/api/v1/audit";

/// The numbers of the entries that a query gives.
async fn numbers(service: &Service, query: &str) -> Vec<i64> {
    let listed = service.operator.get(&format!("{AUDIT}?{query}")).await.ok();
    listed.as_array().unwrap().iter().map(|entry| entry["number"].as_i64().unwrap()).collect()
}

/// The answer without what is chance in its seals, each of which has the right form.
fn without_seals(answer: &Answer) -> String {
    let mut shown = answer.to_string();
    for entry in answer.json().as_array().unwrap() {
        let seal = entry["seal"].as_str().unwrap();
        assert!(seal.len() == 64 && seal.bytes().all(|b| b.is_ascii_hexdigit()), "{seal}");
        shown = shown.replace(seal, "[seal]");
    }
    shown
}

fn next_page(answer: &Answer) -> String {
    let link = answer.header("link");
    link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned()
}

#[tokio::test]
async fn entries_say_who_did_what_to_which_key_from_where() {
    let service = Service::start().await;
    let key = service.member("ada").await.key(json!({})).await;
    service.operator.delete(&key.path()).await.ok();
    let answer = service.operator.get(&format!("{AUDIT}?limit=2")).await;
    assert_snapshot!(without_seals(&answer), @r#"
    200 OK
    link: </api/v1/audit?limit=2&cursor=3>; rel="next"
    [
      {
        "action": "key.revoke",
        "address": "127.0.0.1",
        "at": "2026-03-04T10:30:00Z",
        "detail": {},
        "number": 4,
        "request_id": "[id 1]",
        "result": "done",
        "seal": "[seal]",
        "target": "[id 2]",
        "token_id": "[id 3]",
        "user_id": "admin"
      },
      {
        "action": "key.create",
        "address": "127.0.0.1",
        "at": "2026-03-04T10:30:00Z",
        "detail": {
          "allowed_ips": [],
          "billing_plan": "free",
          "expires_at": null,
          "monthly_prediction_limit": null,
          "rate_limit_per_hour": 1000,
          "scopes": [],
          "service_id": "platform",
          "user_id": "ada"
        },
        "number": 3,
        "request_id": "[id 4]",
        "result": "done",
        "seal": "[seal]",
        "target": "[id 2]",
        "token_id": "[id 5]",
        "user_id": "ada"
      }
    ]
    "#);
}

#[tokio::test]
async fn what_the_service_did_itself_has_neither_token_nor_address() {
    let service = Service::start().await;
    let answer = service.operator.get(AUDIT).await;
    assert_snapshot!(without_seals(&answer), @r#"
    200 OK
    [
      {
        "action": "token.create",
        "address": null,
        "at": "2026-03-04T10:30:00Z",
        "detail": {
          "role": "operator"
        },
        "number": 1,
        "request_id": null,
        "result": "done",
        "seal": "[seal]",
        "target": "[id 1]",
        "token_id": null,
        "user_id": "system"
      }
    ]
    "#);
}

#[tokio::test]
async fn entries_are_found_by_what_they_are_about() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let (one, other) = (ada.key(json!({})).await, service.key(json!({})).await);
    service.clock.advance(Duration::from_secs(60));
    service.operator.delete(&one.path()).await.ok();
    for (query, expected) in [
        ("", vec![5, 4, 3, 2, 1]),
        ("user_id=ada", vec![3]),
        ("user_id=system", vec![1]),
        ("action=key.create", vec![4, 3]),
        ("action=key.revoke", vec![5]),
        ("action=key", vec![]),
        (&format!("target={}", one.id), vec![5, 3]),
        (&format!("target={}", other.id), vec![4]),
        (&format!("target={}&action=key.revoke", one.id), vec![5]),
        (&format!("target={}&user_id=ada", other.id), vec![]),
        ("address=127.0.0.1", vec![5, 4, 3, 2]),
        ("address=::ffff:127.0.0.1&user_id=ada", vec![3]),
        ("address=192.0.2.1", vec![]),
        ("since=2026-03-04T10:31:00Z", vec![5]),
        ("until=2026-03-04T10:31:00Z", vec![4, 3, 2, 1]),
        ("since=2026-03-04T11:30:30%2B01:00&until=2026-03-04T10:31:01Z", vec![5]),
    ] {
        assert_eq!(numbers(&service, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_page_leads_to_the_next_with_the_same_filter() {
    let service = Service::start().await;
    for _ in 0..3 {
        service.member("ada").await;
    }
    let page = service.operator.get(&format!("{AUDIT}?action=token.create&limit=2")).await;
    let next = service.operator.get(&next_page(&page)).await;
    assert_eq!(page.json()[1]["number"], 3);
    assert_eq!(next.json()[0]["number"], 2);
    assert_eq!(next.json()[1]["number"], 1);
    let last = service.operator.get(&next_page(&next)).await;
    assert_eq!((last.header("link"), last.json()), ("", json!([])));
}

#[tokio::test]
async fn a_page_has_a_hundred_entries_unless_said_otherwise() {
    let service = Service::start().await;
    for _ in 0..100 {
        service.member("ada").await;
    }
    let count = async |query: &str| {
        service.operator.get(&format!("{AUDIT}{query}")).await.ok().as_array().unwrap().len()
    };
    assert_eq!(count("").await, 100);
    assert_eq!(count("?limit=1000").await, 101);
}

#[tokio::test]
async fn wrong_parameters_are_refused_by_name() {
    let service = Service::start().await;
    for (query, detail) in [
        ("limit=0", "422 limit: must be a whole number from 1 to 1000"),
        ("limit=1001", "422 limit: must be a whole number from 1 to 1000"),
        ("cursor=x", "422 cursor: must be a whole number from 0 to 9999999999999999"),
        ("user_id=%20", "422 user_id: must be 1 to 100 of A-Z a-z 0-9 . _ @ : -"),
        ("address=localhost", "422 address: must be an IP address"),
        ("since=yesterday", "422 since: must be an RFC 3339 time with zone, such as 2026-03-04T10:30:00Z"),
        (
            "until=2026-03-04T10:30:00",
            "422 until: must be an RFC 3339 time with zone, such as 2026-03-04T10:30:00Z",
        ),
        ("action=%00", "422 action: must be text of at most 64 characters without control characters"),
        ("target=a%00", "422 target: must be text of at most 106 characters without control characters"),
        ("acton=key.revoke", "422 acton: is not a known parameter; did you mean action?"),
        ("frobnicate=1&action=x&q=1", "422 frobnicate: is not a known parameter (and 1 more)"),
    ] {
        assert_eq!(service.operator.get(&format!("{AUDIT}?{query}")).await.detail(), detail, "{query}");
    }
}

#[tokio::test]
async fn only_an_operator_reads_the_log() {
    let service = Service::start().await;
    assert_snapshot!(service.member("ada").await.get(AUDIT).await, @r#"
    403 Forbidden
    {
      "code": "forbidden",
      "detail": "This token's role does not allow this"
    }
    "#);
    assert_eq!(service.verifier().await.get(AUDIT).await.brief(), "403 forbidden");
    assert_eq!(service.anyone().get(AUDIT).await.brief(), "401 invalid_admin_token");
}

#[tokio::test]
async fn an_entry_has_the_documented_fields_alone() {
    let service = Service::start().await;
    service.anyone().get(AUDIT).await;
    service.engine.note_refused_calls().await.unwrap();
    let document = service.anyone().get("/openapi.json").await.json();
    let fields = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (path, schema) in [(AUDIT.to_owned(), "AuditEntry"), (format!("{AUDIT}/refused"), "RefusedCalls")] {
        let listed = service.operator.get(&path).await.ok();
        assert_eq!(fields(&listed[0]), fields(&document["components"]["schemas"][schema]["properties"]));
    }
}
