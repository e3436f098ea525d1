//! `POST /api/v1/allotments`: units of limits.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{IssuedKey, Service, Verifier};

/// The hour in which every service starts.
const HOUR: i64 = 492_394;
const UNKNOWN: &str = "019cb840-0000-7000-8000-000000000000";

/// A service, a key of 100 requests an hour, its account, and a process that is in the register.
async fn desk() -> (Service, IssuedKey, String, Verifier) {
    let service = Service::start().await;
    let key = service.key(json!({"rate_limit_per_hour": 100})).await;
    let verifier = service.process().await;
    verifier.enter().await;
    let account = verifier.account(&key).await;
    (service, key, account, verifier)
}

fn item(account: &str, seq: i64, used: i64, want: i64) -> Value {
    json!({"account": account, "hour": HOUR, "seq": seq, "used": used, "want": want})
}

async fn allotted(verifier: &Verifier, item: Value) -> i64 {
    verifier.allot(item).await["allotted"].as_i64().unwrap()
}

#[tokio::test]
async fn units_are_given_in_the_order_of_the_items() {
    let (service, _, account, verifier) = desk().await;
    let other = verifier.account(&service.key(json!({"rate_limit_per_hour": 10})).await).await;
    let items = json!([
        {"account": account, "hour": null, "seq": 1, "used": 0, "want": 40},
        {"account": UNKNOWN, "hour": null, "seq": 1, "used": 0, "want": 1},
        {"account": other, "seq": 1, "used": 0, "want": 40},
    ]);
    assert_snapshot!(verifier.say(json!({"items": items})).await, @r#"
    200 OK
    {
      "items": [
        {
          "allotted": 40,
          "awaited": 0,
          "expires_in_ms": 1800000,
          "holders": 1,
          "hour": 492394,
          "limit": 100,
          "living": true,
          "reclaimable": false,
          "remaining": 60,
          "seq": 1,
          "used": 0
        },
        null,
        {
          "allotted": 10,
          "awaited": 0,
          "expires_in_ms": 1800000,
          "holders": 1,
          "hour": 492394,
          "limit": 10,
          "living": true,
          "reclaimable": false,
          "remaining": 0,
          "seq": 1,
          "used": 0
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn nothing_said_is_nothing_done() {
    let (_service, _, _, verifier) = desk().await;
    assert_eq!(verifier.say(json!({})).await.ok(), json!({"items": []}));
}

#[tokio::test]
async fn what_is_spent_is_told_and_what_is_not_is_given_back() {
    let (service, key, account, verifier) = desk().await;
    assert_eq!(allotted(&verifier, item(&account, 1, 0, 40)).await, 40);
    assert_eq!(service.used(&key).await, 0);
    assert_eq!(allotted(&verifier, item(&account, 2, 12, 0)).await, 12);
    assert_eq!(service.used(&key).await, 12);
    let other = service.process().await;
    other.enter().await;
    assert_eq!(allotted(&other, item(&account, 1, 0, 1000)).await, 88);
    assert_eq!(allotted(&verifier, item(&account, 3, 12, 1)).await, 12);
}

#[tokio::test]
async fn a_number_that_was_heard_before_changes_nothing() {
    let (service, key, account, verifier) = desk().await;
    allotted(&verifier, item(&account, 5, 3, 10)).await;
    for stale in [item(&account, 5, 90, 0), item(&account, 4, 0, 100)] {
        assert_eq!(verifier.allot(stale).await, Value::Null);
    }
    assert_eq!(service.used(&key).await, 3);
    let next = verifier.allot(item(&account, 6, 3, 0)).await;
    assert_eq!((&next["allotted"], &next["remaining"]), (&json!(3), &json!(97)));
}

#[tokio::test]
async fn who_spent_more_than_it_had_takes_it_from_what_others_may_still_get() {
    let (service, _, account, verifier) = desk().await;
    let other = service.process().await;
    other.enter().await;
    assert_eq!(allotted(&verifier, item(&account, 1, 0, 10)).await, 10);
    assert_eq!(allotted(&other, item(&account, 1, 0, 30)).await, 30);
    let over = verifier.allot(item(&account, 2, 95, 10)).await;
    assert_eq!((&over["allotted"], &over["used"], &over["remaining"]), (&json!(95), &json!(95), &json!(0)));
    // Those who keep to what they have can't add to it.
    assert_eq!(allotted(&other, item(&account, 2, 5, 30)).await, 5);
    let third = service.process().await;
    third.enter().await;
    assert_eq!(allotted(&third, item(&account, 1, 0, 30)).await, 0);
}

#[tokio::test]
async fn of_another_hour_nothing_is_given_but_of_the_present_one() {
    let (service, key, account, verifier) = desk().await;
    allotted(&verifier, item(&account, 1, 0, 40)).await;
    service.clock.advance(Duration::from_secs(3600));
    let answer = verifier.allot(item(&account, 2, 7, 20)).await;
    assert_eq!((&answer["hour"], &answer["allotted"]), (&json!(HOUR + 1), &json!(20)));
    assert_eq!(service.used(&key).await, 0);
    // An hour to come is not believed in: what is said to be spent in it is not of the present one.
    let mut ahead = item(&account, 3, 60, 30);
    ahead["hour"] = json!(HOUR + 5);
    let answer = verifier.allot(ahead).await;
    assert_eq!((&answer["hour"], &answer["allotted"]), (&json!(HOUR + 1), &json!(30)));
}

#[tokio::test]
async fn an_account_without_a_living_key_gets_nothing() {
    let (service, key, account, verifier) = desk().await;
    allotted(&verifier, item(&account, 1, 0, 40)).await;
    service.operator.delete(&key.path()).await.ok();
    let answer = verifier.allot(item(&account, 2, 4, 10)).await;
    assert_eq!((&answer["living"], &answer["allotted"]), (&json!(false), &json!(4)));
}

#[tokio::test]
async fn a_rotated_key_and_its_successor_share_an_account() {
    let (service, key, account, verifier) = desk().await;
    let successor = IssuedKey::of(&service.operator.rotate(&key).await.ok());
    assert_eq!(verifier.account(&successor).await, account);
}

#[tokio::test]
async fn a_debt_counts_once_and_lowers_what_is_left() {
    let (service, key, account, verifier) = desk().await;
    let debt = async |units: i64| {
        let id = "019cb840-1111-7000-8000-000000000000";
        let debt = json!([{"id": id, "account": account, "hour": HOUR, "units": units}]);
        verifier.say(json!({"debt": debt})).await.ok()
    };
    for units in [30, 30, 35, 20] {
        assert_eq!(debt(units).await, json!({"items": []}));
    }
    assert_eq!(service.used(&key).await, 35);
    assert_eq!(allotted(&verifier, item(&account, 1, 0, 100)).await, 65);
    // Settled before anything is given, in the same message; of an account that is not there it is passed over.
    let id = "019cb840-2222-7000-8000-000000000000";
    let debts = json!([
        {"id": id, "account": account, "hour": HOUR - 1, "units": 9},
        {"id": id, "account": UNKNOWN, "hour": HOUR, "units": 9},
    ]);
    let said = verifier.say(json!({"debt": debts, "items": [item(&account, 2, 0, 100)]})).await.ok();
    assert_eq!(said["items"][0]["allotted"], 65);
}

#[tokio::test]
async fn units_of_a_verifier_are_nobody_elses() {
    let (service, key, account, verifier) = desk().await;
    assert_eq!(allotted(&verifier, item(&account, 1, 0, 100)).await, 100);
    // It was not seen for a while, so nobody waits for it to give something back.
    service.clock.advance(Duration::from_secs(30));
    assert_eq!(service.validate(&key).await.brief(), "429");
    assert_eq!(allotted(&verifier, item(&account, 2, 40, 0)).await, 40);
}

#[tokio::test]
async fn a_thousand_items_are_taken_and_no_more() {
    let (_service, _, account, verifier) = desk().await;
    let mut items: Vec<Value> =
        (0..999).map(|number| item(&format!("019cb840-0000-7000-8000-{number:012}"), 1, 0, 1)).collect();
    items.push(item(&account, 1, 0, 1));
    let answers = verifier.say(json!({"items": items})).await.ok();
    assert_eq!(answers["items"].as_array().unwrap().len(), 1000);
    assert_eq!(answers["items"][999]["allotted"], 1);
    items.push(item(UNKNOWN, 1, 0, 1));
    assert_eq!(verifier.say(json!({"items": items})).await.detail(), "422 items: must be 1000 at the most");
}

#[tokio::test]
async fn what_can_not_be_is_named_and_nothing_is_done() {
    let (service, key, account, verifier) = desk().await;
    let told = async |wrong: Value| {
        let items = json!([item(&account, 1, 0, 50), wrong]);
        verifier.say(json!({"items": items})).await.detail()
    };
    let other = |seq, used, want| item(UNKNOWN, seq, used, want);
    let spent = "must be 100,000 at the most, and so must be what is wanted";
    let number = "must be 1 or more, and the hour one since 1970";
    for (wrong, said) in [
        (item(&account, 2, 0, 1), "items[1].account: must not occur twice".to_owned()),
        (item("x", 1, 0, 1), "items[1].account: must be an id".to_owned()),
        (other(1, 100_001, 0), format!("items[1].used: {spent}")),
        (other(1, 0, 100_001), format!("items[1].used: {spent}")),
        (other(0, 0, 1), format!("items[1].seq: {number}")),
        (other(1, -1, 1), "body: must have the documented form".to_owned()),
        (json!({"account": account}), "body: must have the documented form".to_owned()),
    ] {
        assert_eq!(told(wrong.clone()).await, format!("422 {said}"), "{wrong}");
    }
    assert_eq!(verifier.allot(item(&account, 1, 0, 0)).await["remaining"], 100);
    assert_eq!(service.used(&key).await, 0);
}

#[tokio::test]
async fn a_whole_number_may_be_written_in_any_way() {
    let (_service, _, account, verifier) = desk().await;
    let ask =
        |used: f64| json!({"account": account, "hour": 492_394.0, "seq": 1.0, "used": used, "want": 2e1});
    assert_eq!(verifier.say(json!({"items": [ask(0.5)]})).await.brief(), "422 invalid_request");
    assert_eq!(allotted(&verifier, ask(4.0)).await, 24);
}

#[tokio::test]
async fn a_debt_of_an_hour_to_come_is_refused() {
    let (_service, _, account, verifier) = desk().await;
    let told = async |hour: i64, units: i64, id: &str| {
        let debt = json!([{"id": id, "account": account, "hour": hour, "units": units}]);
        verifier.say(json!({"debt": debt})).await.detail()
    };
    assert_eq!(told(HOUR + 100, 1, UNKNOWN).await, "422 debt[0].hour: must be an hour that has begun");
    assert_eq!(told(-1, 1, UNKNOWN).await, "422 debt[0].hour: must be an hour that has begun");
    assert_eq!(told(HOUR, 100_001, UNKNOWN).await, "422 debt[0].units: must be 100,000 at the most");
    assert_eq!(told(HOUR, 1, "x").await, "422 debt[0].id: must be an id");
}

#[tokio::test]
async fn bodies_are_bounded_and_json() {
    let (service, _, _, verifier) = desk().await;
    let caller = service.verifier().await;
    let send = async |body: String, kind: &str| {
        let request = service.anyone().request(reqwest::Method::POST, "/api/v1/allotments");
        let request = request.header("x-hokusai-service-token", caller.text());
        crate::support::Answer::to(request.header("content-type", kind).body(body)).await.brief()
    };
    let json = "application/json";
    assert_eq!(send(String::new(), json).await, "400 unreadable_body");
    assert_eq!(send("[]".into(), json).await, "400 unreadable_body");
    assert_eq!(send("{}".into(), "text/plain").await, "415 unsupported_media_type");
    assert_eq!(send("{}".into(), json).await, "422 invalid_request");
    assert_eq!(send(" ".repeat(512 * 1024 + 1), json).await, "413 body_too_large");
    assert_eq!(verifier.say(json!({"more": "is ignored"})).await.brief(), "200");
}
