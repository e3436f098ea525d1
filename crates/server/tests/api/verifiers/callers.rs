//! Who may ask as a verifier.

use serde_json::json;

use crate::support::{IssuedKey, Service, Verifier};

/// What is answered to a wish to be vouched for, a message about limits, and a question for changes.
async fn each(verifier: &Verifier, key: &IssuedKey) -> [String; 3] {
    [
        verifier.vouch(key, json!({})).await.brief(),
        verifier.say(json!({})).await.brief(),
        verifier.changes("&wait_ms=0").await.brief(),
    ]
}

#[tokio::test]
async fn without_a_service_token_nobody_verifies() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let nobody = Verifier::of(&service.anyone());
    assert_eq!(each(&nobody, &key).await, ["403 service_token_required"; 3]);
    let told = nobody.say(json!({})).await.detail();
    assert_eq!(told, "403 A service token is needed in X-Hokusai-Service-Token");
    assert_eq!(service.used(&key).await, 0);
}

#[tokio::test]
async fn a_refused_service_token_is_no_refused_key() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    for text in ["any text of some length", &key.text] {
        let verifier = Verifier::of(&service.bearer(text));
        assert_eq!(each(&verifier, &key).await, ["403 service_token_refused"; 3], "{text}");
    }
}

#[tokio::test]
async fn a_revoked_service_token_is_refused_from_the_next_request_on() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let caller = service.verifier().await;
    let verifier = Verifier::of(&caller);
    verifier.enter().await;
    let current = caller.get("/api/v1/admin-tokens/current").await.ok();
    let path = format!("/api/v1/admin-tokens/{}", current["token_id"].as_str().unwrap());
    service.operator.delete(&path).await.ok();
    assert_eq!(each(&verifier, &key).await, ["403 service_token_refused"; 3]);
}

#[tokio::test]
async fn a_member_is_no_verifier_and_an_operator_is() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let key = ada.key(json!({})).await;
    assert_eq!(each(&Verifier::of(&ada), &key).await, ["403 forbidden"; 3]);
    assert_eq!(each(&Verifier::of(&service.operator), &key).await, ["200"; 3]);
}

#[tokio::test]
async fn a_process_is_bound_to_the_token_that_it_first_showed() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let first = service.process().await;
    first.enter().await;
    let other = first.with_token_of(&service.verifier().await);
    assert_eq!(each(&other, &key).await, ["409 holder_taken"; 3]);
    assert_eq!(other.say(json!({"goodbye": true})).await.brief(), "409 holder_taken");
    assert_eq!(each(&first, &key).await, ["200"; 3]);
    // Nor does anybody speak of the units that it had after it left.
    first.say(json!({"goodbye": true})).await.ok();
    let entering = other.changes("&wait_ms=0").await;
    assert_eq!(entering.brief(), "409 holder_taken");
    assert_eq!(other.say(json!({"items": []})).await.brief(), "409 holder_taken");
    assert_eq!(each(&first, &key).await, ["200"; 3]);
}

#[tokio::test]
async fn what_is_said_in_anothers_name_is_not_done() {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 100})).await;
    let first = service.process().await;
    first.enter().await;
    let account = first.account(&key).await;
    let item = |seq, used, want| json!({"account": account, "hour": 492_394, "seq": seq, "used": used, "want": want});
    first.allot(item(1, 0, 40)).await;
    let other = first.with_token_of(&service.verifier().await);
    assert_eq!(other.say(json!({"items": [item(9, 90, 10)]})).await.brief(), "409 holder_taken");
    assert_eq!(service.used(&key).await, 0);
    assert_eq!(first.allot(item(2, 5, 0)).await["allotted"], 5);
}

#[tokio::test]
async fn a_process_that_does_not_say_who_it_is_is_refused() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let verifier = service.process().await;
    let nameless = json!({"holder": "a process"});
    assert_eq!(verifier.vouch(&key, nameless.clone()).await.detail(), "422 holder: must be an id");
    assert_eq!(verifier.say(nameless).await.detail(), "422 holder: must be an id");
    assert_eq!(verifier.changes("&holder=x").await.detail(), "422 holder: must be an id");
    let caller = service.verifier().await;
    let request = service.anyone().request(reqwest::Method::GET, "/api/v1/changes");
    let request = request.header("x-hokusai-service-token", caller.text());
    assert_eq!(crate::support::Answer::to(request).await.detail(), "422 holder: is required");
}
