//! `GET /openapi.json`: the contract for programs, which says what there is and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Contract, Service, Setup};

/// Where the routes are.
const ROUTER: &str = include_str!("../../../src/app.rs");
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"];

/// Each path of the router with its methods, as they are written there.
fn routed() -> BTreeMap<String, BTreeSet<String>> {
    let mut routes = BTreeMap::new();
    for line in ROUTER.split(".route(\"").skip(1) {
        let (path, handlers) = line.split_once('"').unwrap();
        let handlers = handlers.lines().next().unwrap();
        let methods = METHODS.map(str::to_lowercase).into_iter();
        let methods = methods.filter(|method| handlers.contains(&format!("{method}(")));
        routes.insert(path.to_owned(), methods.map(|method| method.to_uppercase()).collect());
    }
    routes
}

fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let routes = Contract::served().routes().into_iter();
    routes.map(|(path, methods)| (path, methods.into_iter().collect())).collect()
}

/// What the `Allow` header lists, without what every reading path takes besides.
fn allowed(answer: &Answer) -> BTreeSet<String> {
    let listed = answer.header("allow").split(',').filter(|method| *method != "HEAD");
    listed.map(str::to_owned).collect()
}

#[test]
fn every_route_is_documented_and_nothing_else() {
    assert!(routed().len() > 10);
    assert_eq!(documented(), routed());
}

#[tokio::test]
async fn a_path_takes_the_documented_methods_alone() {
    let service = Service::start().await;
    for (path, methods) in documented() {
        let path = path.replace("{key_id}", "x").replace("{token_id}", "x").replace("{name}", "x");
        for method in METHODS {
            let request = service.operator.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
            let answer = Answer::to(request).await;
            assert_eq!(answer.status == 405, !methods.contains(method), "{method} {path}: {answer}");
            if answer.status == 405 {
                assert_eq!(answer.brief(), "405 method_not_allowed");
                assert_eq!(allowed(&answer), methods, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn the_document_is_served_with_the_settings_of_the_service() {
    let mut setup = Setup::default();
    setup.app.billing_plans = vec!["free".into(), "gold".into()];
    let service = Service::with(setup).await;
    let answer = service.anyone().get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.json();
    let schemas = &document["components"]["schemas"];
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(schemas["BillingPlan"]["enum"], json!(["free", "gold"]));
    assert_eq!(schemas["ServiceId"]["enum"], json!(["platform", "prediction", "website", "ml-platform"]));
}

/// The names of an object's fields.
fn fields(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn usage_is_shown_with_the_documented_fields_alone() {
    let service = Service::start().await;
    let key = service.key(json!({"expires_in_days": 1})).await;
    let recorded = service.operator.report(&key, json!({})).await.ok();
    service.validate(&key).await.ok();
    service.engine.hand_counts_in().await.unwrap();
    let (stats, bill) =
        (service.operator.stats(&key, "?by=day").await, service.operator.bill(&key, "").await);
    let by_date = service.operator.get("/api/v1/usage/aggregate").await.ok();
    let validations = service.operator.get(&format!("{}/validations", key.path())).await.ok();
    let alerts = service.operator.get("/api/v1/alerts").await.ok();
    let document = service.anyone().get("/openapi.json").await.json();
    for (schema, shown) in [
        ("UsageRecorded", &recorded),
        ("UsageStats", &stats),
        ("EndpointCount", &stats["top_endpoints"][0]),
        ("UsageGroup", &stats["groups"][0]),
        ("Billing", &bill),
        ("BilledUsage", &bill["current_usage"]),
        ("UsageByDate", &by_date),
        ("ServiceUsage", &by_date["usage_by_date"]["2026-03-04"]["prediction"]),
        ("KeyValidations", &validations),
        ("HourOfValidations", &validations["hours"][0]),
        ("Alerts", &alerts),
        ("Alert", &alerts["alerts"][0]),
    ] {
        let documented = &document["components"]["schemas"][schema]["properties"];
        assert_eq!(fields(shown), fields(documented), "{schema}");
    }
}

#[tokio::test]
async fn models_are_shown_with_the_documented_fields_alone() {
    let service = Service::start().await;
    let wish = json!({"name": "m", "model_type": "x"});
    let model = service.operator.post("/api/v1/models", wish).await.created();
    let version = service.operator.post("/api/v1/models/m/versions", json!({})).await.created();
    let page = service.operator.get("/api/v1/models").await.ok();
    let whole = service.operator.get("/api/v1/models/m").await.ok();
    let document = service.anyone().get("/openapi.json").await.json();
    for (schema, shown) in [
        ("ModelInfo", &model),
        ("ModelInfo", &page["models"][0]),
        ("ModelPage", &page),
        ("ModelWithVersions", &whole),
        ("ModelVersion", &whole["versions"][0]),
        ("CreatedModelVersion", &version),
    ] {
        let documented = &document["components"]["schemas"][schema]["properties"];
        assert_eq!(fields(shown), fields(documented), "{schema}");
    }
}

#[tokio::test]
async fn a_key_is_shown_with_the_documented_fields_alone() {
    let service = Service::start().await;
    let key = service.key(json!({})).await;
    let document = service.anyone().get("/openapi.json").await.json();
    let fields = |schema: &str| -> BTreeSet<String> {
        let properties = &document["components"]["schemas"][schema]["properties"];
        properties.as_object().unwrap().keys().cloned().collect()
    };
    let shown = service.operator.get(&key.path()).await.ok();
    let shown: BTreeSet<String> = shown.as_object().unwrap().keys().cloned().collect();
    assert_eq!(shown, fields("KeyInfo"));
    let validated = service.validate(&key).await.ok();
    let validated: BTreeSet<String> = validated.as_object().unwrap().keys().cloned().collect();
    assert_eq!(validated, fields("KeyValidation"));
}
