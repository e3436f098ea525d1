//! Usage that is reported to the real service, and what comes of it.

use hokusai_client::api::keys::CreatedKey;
use hokusai_client::api::usage::{UsageBatch, UsageDebit, UsageRecord, UsageStats};
use hokusai_client::{Client, Day, Error, Money, Month, UsageBy, UsageQuery};

use crate::no_key;
use crate::odd::{Odd, Reply};
use crate::service::{Service, id, key_wish};

/// One request that was answered with an error and held two predictions.
pub(crate) fn record(idempotency_key: Option<&str>) -> UsageRecord {
    UsageRecord {
        service_id: "platform".into(),
        endpoint: "/v1/models".into(),
        status_code: 404,
        response_time_ms: 12.5,
        predictions_count: 2,
        compute_ms: 30.0,
        idempotency_key: idempotency_key.map(str::to_owned),
        ..UsageRecord::default()
    }
}

fn debit(idempotency_key: &str, predictions_count: i64) -> UsageDebit {
    UsageDebit {
        model_id: "resnet".into(),
        idempotency_key: idempotency_key.into(),
        predictions_count,
        ..UsageDebit::default()
    }
}

/// A key with a limit of ten predictions a month.
async fn limited(service: &Service, plan: &str) -> CreatedKey {
    let mut wish = key_wish("Limited");
    (wish.billing_plan, wish.monthly_prediction_limit) = (Some(plan.into()), Some(10));
    service.operator.create_key(&wish).await.unwrap()
}

async fn stats(client: &Client, key: &CreatedKey, by: Option<UsageBy>) -> UsageStats {
    client.usage_stats(id(key), None, by).await.unwrap()
}

#[tokio::test]
async fn a_record_with_an_idempotency_key_counts_once_and_others_each_time() {
    let service = Service::start().await;
    let key = service.key("Used").await;
    for (idempotency_key, recorded, duplicates) in
        [(Some("a"), 1, 0), (Some("a"), 0, 1), (None, 1, 0), (None, 1, 0)]
    {
        let answer = service.operator.record_usage(id(&key), &record(idempotency_key)).await.unwrap();
        assert_eq!((answer.recorded, answer.duplicates), (recorded, duplicates), "{idempotency_key:?}");
    }
    let stats = stats(&service.operator, &key, None).await;
    assert_eq!((stats.period.as_str(), stats.total_requests, stats.total_predictions), ("2026-03", 3, 6));
    assert_eq!((stats.total_compute_ms, stats.average_response_time_ms, stats.error_rate), (90, 12.5, 1.0));
    assert_eq!(stats.groups, None);
}

#[tokio::test]
async fn a_batch_names_its_keys_and_is_taken_whole_or_not_at_all() {
    let service = Service::start().await;
    let (first, second) = (service.key("First").await, service.key("Second").await);
    let of = |key: &CreatedKey| UsageRecord { key_id: Some(key.key_id.clone()), ..record(None) };
    let batch = UsageBatch { records: vec![of(&first), of(&second), of(&first)] };
    assert_eq!(service.operator.record_usages(&batch).await.unwrap().recorded, 3);
    assert_eq!(stats(&service.operator, &first, None).await.total_requests, 2);

    let unknown = UsageRecord { key_id: Some(no_key().to_string()), ..record(None) };
    let batch = UsageBatch { records: vec![of(&first), unknown] };
    let error = service.operator.record_usages(&batch).await.unwrap_err();
    let Error::Invalid { errors, .. } = &error else { panic!("{error:?}") };
    assert_eq!(errors[0].field, "records[1].key_id");
    assert_eq!(stats(&service.operator, &first, None).await.total_requests, 2);
}

#[tokio::test]
async fn a_key_reports_its_own_usage_and_a_member_that_of_its_own_keys() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let hers = ada.create_key(&key_wish("Hers")).await.unwrap();
    let other = service.key("Other").await;
    for client in [&ada, &service.client(&hers.api_key), &service.anyone()] {
        client.record_usage(id(&hers), &record(None)).await.unwrap();
    }
    for client in [&ada, &service.client(&hers.api_key)] {
        let error = client.record_usage(id(&other), &record(None)).await.unwrap_err();
        assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    }
    assert_eq!(stats(&ada, &hers, None).await.total_requests, 3);
}

#[tokio::test]
async fn usage_is_told_apart_by_day_endpoint_or_service_in_the_month_that_is_asked_for() {
    let service = Service::start().await;
    let key = service.key("Used").await;
    for (endpoint, day) in [("/a", "2026-02-28"), ("/b", "2026-03-01"), ("/b", "2026-03-03")] {
        let at = Some(format!("{day}T23:59:59Z"));
        let record = UsageRecord { endpoint: endpoint.into(), occurred_at: at, ..record(None) };
        service.operator.record_usage(id(&key), &record).await.unwrap();
    }
    let groups = async |month: &str, by| {
        let stats = service.operator.usage_stats(id(&key), Month::parse(month), Some(by)).await.unwrap();
        let groups = stats.groups.unwrap().into_iter();
        groups.map(|group| format!("{} {}", group.name, group.requests)).collect::<Vec<_>>()
    };
    assert_eq!(groups("2026-03", UsageBy::Day).await, ["2026-03-01 1", "2026-03-03 1"]);
    assert_eq!(groups("2026-03", UsageBy::Endpoint).await, ["/b 2"]);
    assert_eq!(groups("2026-02", UsageBy::Endpoint).await, ["/a 1"]);
    assert_eq!(groups("2026-03", UsageBy::Service).await, ["platform 2"]);
}

#[tokio::test]
async fn a_debit_past_the_limit_is_told_in_the_services_own_words_and_takes_nothing() {
    let service = Service::start().await;
    let key = limited(&service, "fixed").await;
    assert_eq!(service.operator.debit(id(&key), &debit("a", 10)).await.unwrap().recorded, 1);
    assert_eq!(service.operator.debit(id(&key), &debit("a", 10)).await.unwrap().duplicates, 1);
    let error = service.operator.debit(id(&key), &debit("b", 1)).await.unwrap_err();
    let Error::PastLimit(told) = &error else { panic!("{error:?}") };
    assert_eq!((told.status, told.code.as_deref()), (402, Some("monthly_limit_exceeded")));
    assert!(error.request_id().is_some_and(|id| id.len() == 36), "{error:?}");
    assert_eq!(
        error.to_string(),
        "This would pass the monthly limit of 10 predictions, 10 of which are used; the plan allows no more"
    );
    assert_eq!(stats(&service.operator, &key, None).await.total_predictions, 10);
}

#[tokio::test]
async fn what_else_is_a_402_is_no_debit_past_the_limit() {
    let odd = Odd::replying([Reply::refusal(402, "", "pay_first")]).await;
    let error = odd.client().build().unwrap().debit(no_key(), &debit("a", 1)).await.unwrap_err();
    assert!(matches!(error, Error::Other(_)), "{error:?}");
}

#[tokio::test]
async fn a_bill_is_exact_to_the_micro_dollar() {
    let service = Service::start().await;
    let key = limited(&service, "free").await;
    service.operator.debit(id(&key), &debit("a", 10 + 12)).await.unwrap();
    let bill = service.operator.billing(id(&key), None).await.unwrap();
    assert_eq!((bill.overage, bill.billing.monthly_limit), (Money(12_000), Some(10)));
    assert_eq!((bill.billing.period.as_str(), bill.billing.billing_plan.as_str()), ("2026-03", "free"));
    assert_eq!((bill.billing.current_usage.predictions, bill.billing.current_usage.requests), (22, 1));
    assert_eq!(bill.billing.next_billing_date, "2026-04-01");

    let before = service.operator.billing(id(&key), Month::parse("2026-02")).await.unwrap();
    assert_eq!((before.overage, before.billing.next_billing_date.as_str()), (Money::ZERO, "2026-03-01"));
}

#[tokio::test]
async fn charges_that_are_no_amount_are_not_guessed() {
    let body = r#"{"key_id": "k", "period": "2026-03", "billing_plan": "free", "monthly_limit": null,
        "current_usage": {"requests": 0, "predictions": 0, "compute_ms": 0},
        "overage_charges": 0.0000001, "next_billing_date": "2026-04-01"}"#;
    let odd = Odd::replying([Reply::json(200, "", body)]).await;
    let error = odd.client().build().unwrap().billing(no_key(), None).await.unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. }), "{error:?}");
    assert!(error.to_string().ends_with("the charges are no amount of dollars"), "{error}");
}

#[tokio::test]
async fn days_are_summed_up_over_the_keys_that_one_may_see() {
    let service = Service::start().await;
    let ada = service.member("ada").await;
    let hers = ada.create_key(&key_wish("Hers")).await.unwrap();
    let other = service.key("Other").await;
    for (key, service_id) in [(&hers, "platform"), (&other, "platform"), (&other, "prediction")] {
        let record = UsageRecord { service_id: service_id.into(), ..record(None) };
        service.operator.record_usage(id(key), &record).await.unwrap();
    }
    let days = |text: &str| Day::parse(text);
    for (client, of, predictions) in [
        (&service.operator, UsageQuery::default(), 6),
        (&ada, UsageQuery::default(), 2),
        (&service.operator, UsageQuery { user_id: Some("ada".into()), ..UsageQuery::default() }, 2),
        (&service.operator, UsageQuery { service_id: Some("prediction".into()), ..UsageQuery::default() }, 2),
        (&service.operator, UsageQuery { last: days("2026-03-03"), ..UsageQuery::default() }, 0),
        (&service.operator, UsageQuery { first: days("2026-03-04"), ..UsageQuery::default() }, 6),
    ] {
        let found = client.usage_by_date(&of).await.unwrap();
        let services = found.usage_by_date.values().flat_map(|services| services.values());
        assert_eq!(services.map(|usage| usage.predictions).sum::<i64>(), predictions, "{of:?}");
    }
}
