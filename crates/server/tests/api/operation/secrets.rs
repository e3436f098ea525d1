//! Issued keys and tokens are shown once, and are nowhere else.

use hokusai_api::admin_tokens::CreatedToken;
use hokusai_api::keys::CreatedKey;
use hokusai_api::validate::ValidateKey;
use serde_json::json;

use crate::support::{IssuedKey, Logs, Service};

/// What must never be seen again: keys and tokens that were issued and used in every way there is.
async fn busy_run(service: &Service) -> Vec<String> {
    let (operator, member, verifier) =
        (&service.operator, service.member("ada").await, service.verifier().await);
    let first = member.key(json!({"name": "The first key"})).await;
    let second = IssuedKey::of(&member.rotate(&first).await.ok());
    let third = service.key(json!({"rate_limit_per_hour": 10, "allowed_ips": ["127.0.0.1"]})).await;
    for _ in 0..12 {
        service.validate(&third).await;
    }
    for key in [&first, &second, &third] {
        service.ask(key, json!({"service_id": "nowhere"})).await;
        service.ask(key, json!({"client_ip": "unknown", "required_scope": "admin"})).await;
        service.anyone().post("/api/v1/keys/validate", json!({"api_key": key.text, "dry_run": true})).await;
        service.anyone().get(&format!("/api/v1/keys?api_key={}", key.text)).await;
        service.bearer(&key.text).get("/api/v1/keys").await;
        service.bearer(&key.text).post("/api/v1/keys", json!({"name": key.text})).await;
        let endpoint = format!("/v1/predict?api_key={}", key.text);
        service.bearer(&key.text).report(key, json!({"endpoint": endpoint})).await.ok();
        service.bearer(&key.text).report(key, json!({"service_id": key.text})).await;
        operator.report(key, json!({"idempotency_key": key.text})).await.ok();
        operator.get(&format!("/api/v1/keys/{}", key.text)).await;
        operator.patch(&key.path(), json!({key.text.clone(): 1})).await;
    }
    verifier.get("/api/v1/keys").await;
    operator.delete(&first.path()).await.ok();
    service.validate(&first).await;
    let issued = [first.text, second.text, third.text];
    issued.into_iter().chain([operator, &member, &verifier].map(|caller| caller.text().to_owned())).collect()
}

/// Fails if a secret, or the part of it that is chance, is in `text`.
fn assert_absent(secrets: &[String], place: &str, text: &[u8]) {
    for secret in secrets {
        let (prefix, chance) = secret.rsplit_once('_').unwrap();
        let is_there = text.windows(chance.len()).any(|window| window == chance.as_bytes());
        assert!(!is_there, "a secret {prefix}_… is in {place}");
    }
}

#[tokio::test]
async fn no_secret_is_in_the_database() {
    let service = Service::on_sqlite().await;
    let secrets = busy_run(&service).await;
    service.engine.hand_counts_in().await.unwrap();
    let bytes = service.place.bytes();
    assert!(bytes.windows(13).any(|window| window == b"The first key"), "what is looked at is the data");
    assert_absent(&secrets, "the database", &bytes);
    let place = service.stop().await;
    assert_absent(&secrets, "the database after the end", &place.bytes());
}

#[tokio::test]
async fn no_secret_is_in_the_logs() {
    let logs = Logs::listen();
    let service = Service::start().await;
    let secrets = busy_run(&service).await;
    service.place.take_away().await;
    service.operator.get("/api/v1/keys").await;
    service.bearer(&secrets[1]).post("/api/v1/keys/validate", json!({})).await;
    service.place.bring_back().await;
    service.stop().await;
    let text = logs.text();
    assert!(text.contains("request_id="), "what is looked at are the logs");
    assert_absent(&secrets, "the logs", text.as_bytes());
}

#[tokio::test]
async fn no_secret_is_in_metrics_documents_or_lists() {
    let service = Service::start().await;
    let secrets = busy_run(&service).await;
    for path in
        ["/metrics", "/openapi.json", "/docs", "/status", "/version", "/api/v1/keys", "/api/v1/admin-tokens"]
    {
        let answer = service.operator.get(path).await;
        assert_eq!(answer.status, 200);
        assert_absent(&secrets, path, answer.body.as_bytes());
    }
}

#[tokio::test]
async fn no_secret_is_in_debug_output_of_the_engine() {
    let service = Service::start().await;
    let secrets = busy_run(&service).await;
    let engine = format!("{:?}", service.engine);
    assert!(engine.contains("Engine"), "what is looked at is the engine");
    assert_absent(&secrets, "the engine's Debug", engine.as_bytes());
}

#[tokio::test]
async fn no_secret_is_in_debug_output_of_what_is_issued() {
    let service = Service::start().await;
    let key = service.operator.post("/api/v1/keys", json!({"name": "A key"})).await;
    let wish = json!({"user_id": "ada", "name": "A token", "role": "member"});
    let token = service.operator.post("/api/v1/admin-tokens", wish).await;
    let secrets = [key.json()["api_key"].clone(), token.json()["token"].clone()];
    let secrets = secrets.map(|secret| secret.as_str().unwrap().to_owned());

    let key: CreatedKey = serde_json::from_str(&key.body).unwrap();
    let token: CreatedToken = serde_json::from_str(&token.body).unwrap();
    let question = ValidateKey { api_key: Some(key.api_key.clone()), ..ValidateKey::default() };
    let shown = format!("{key:?} {token:?} {question:?}");
    assert!(shown.contains(&key.key_id) && shown.contains(&token.token_id));
    assert_absent(&secrets, "Debug", shown.as_bytes());
}

#[tokio::test]
async fn no_refusal_repeats_what_was_presented() {
    let service = Service::start().await;
    let key = service.key(json!({"allowed_ips": ["203.0.113.7"]})).await;
    let unknown = "hk_live_00000000000000000000000000000000";
    for text in [key.text.as_str(), unknown] {
        for answer in [
            service.bearer(text).post("/api/v1/keys/validate", json!({})).await,
            service.bearer(text).get("/api/v1/keys").await,
            service.bearer(text).post("/api/v1/keys", json!({"name": "A key"})).await,
            service.anyone().post("/api/v1/keys/validate", json!({"api_key": text, "client_ip": 7})).await,
        ] {
            assert!(!format!("{answer:?}").contains(text));
            assert_ne!(answer.status, 200);
        }
    }
}
