//! Usage: reports, statistics, bills.

pub(crate) mod batch;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hokusai_api::usage::{
    BilledUsage, Billing, EndpointCount, ServiceUsage, UsageByDate, UsageGroup as Group, UsageRecorded,
    UsageStats,
};
use hokusai_core::calendar::{Day, Month};
use hokusai_core::id::KeyId;
use hokusai_core::usage::{
    self, MAX_COUNTED_RESPONSE, MAX_FIGURE, MAX_RESPONSE_MS, Record, RecordId, Totals,
};
use hokusai_engine::{Declined, Taken};
use hokusai_store::{GroupBy, Report, ServiceDay, UsageGroup};
use serde_json::{Value, json};

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::{AdminCaller, UsageReporter};
use crate::error::ApiError;
use crate::fields::{Fields, Parsed};
use crate::routes::ids::Id;
use crate::routes::pages::Query;
use crate::values;

/// Endpoints that statistics name.
const TOP_ENDPOINTS: usize = 10;
/// The longest span of an aggregate, in days.
const MAX_SPAN: i64 = 366;
/// The span of an aggregate unless the request says otherwise, in days.
const DEFAULT_SPAN: i64 = 30;

/// What has to be said of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Record,
    Debit,
}

pub(crate) async fn record(
    State(app): State<App>,
    Id(key): Id<KeyId>,
    UsageReporter { reporter, source }: UsageReporter,
    body: JsonObject,
) -> Result<Json<UsageRecorded>, ApiError> {
    let mut fields = Fields::new(body.required()?);
    let record = read_record(&app, &mut fields, Some(key), Kind::Record);
    fields.finish()?;
    let records = record.into_iter().collect();
    let taken = app.engine.record_usage(source, Report { reporter, records, is_debit: false }).await?;
    Ok(Json(recorded(taken)))
}

pub(crate) async fn debit(
    State(app): State<App>,
    Id(key): Id<KeyId>,
    UsageReporter { reporter, source }: UsageReporter,
    body: JsonObject,
) -> Result<Response, ApiError> {
    let mut fields = Fields::new(body.required()?);
    let record = read_record(&app, &mut fields, Some(key), Kind::Debit);
    fields.finish()?;
    let records = record.into_iter().collect();
    match app.engine.record_usage(source, Report { reporter, records, is_debit: true }).await {
        Ok(taken) => Ok(Json(recorded(taken)).into_response()),
        // Existing clients read this form.
        Err(Declined::PastMonthlyLimit { limit, used }) => {
            let message = format!(
                "This would pass the monthly limit of {limit} predictions, {used} of which are used; the plan allows no more"
            );
            let detail = json!({"error": "monthly_limit_exceeded", "message": message});
            Ok((StatusCode::PAYMENT_REQUIRED, Json(json!({"detail": detail}))).into_response())
        }
        Err(declined) => Err(declined.into()),
    }
}

/// Reads a record of `key`, or of the key that it names. A debit may leave out what is known without it.
fn read_record(app: &App, fields: &mut Fields, key: Option<KeyId>, kind: Kind) -> Option<Record> {
    let key = key.or_else(|| fields.required("key_id", key_id));
    let service = values::service(&app.options.services);
    let response = values::milliseconds(MAX_RESPONSE_MS, 1000.0);
    let model = |fields: &mut Fields| fields.nullable("model_id", values::word).flatten();
    let (service_id, endpoint, status_code, response_micros, model_id, idempotency_key);
    match kind {
        Kind::Record => {
            service_id = fields.required("service_id", service);
            endpoint = fields.required("endpoint", values::endpoint);
            status_code = fields.required("status_code", values::status_code);
            response_micros = fields.required("response_time_ms", response);
            model_id = model(fields);
            idempotency_key = fields.nullable("idempotency_key", values::word).flatten();
        }
        Kind::Debit => {
            service_id = fields.nullable("service_id", service).flatten().or(Some(String::new()));
            status_code = fields.nullable("status_code", values::status_code).flatten().or(Some(200));
            response_micros = fields.nullable("response_time_ms", response).flatten().or(Some(0));
            model_id = fields.required("model_id", values::word);
            let named = fields.nullable("endpoint", values::endpoint).flatten();
            endpoint = named.or_else(|| model_id.as_deref().map(endpoint_of));
            idempotency_key = fields.required("idempotency_key", values::word);
        }
    }
    let predictions = fields.nullable("predictions_count", values::count).flatten().unwrap_or(0);
    let compute_ms =
        fields.nullable("compute_ms", values::milliseconds(MAX_FIGURE, 1.0)).flatten().unwrap_or(0);
    let occurred_at = fields.nullable("occurred_at", values::instant).flatten();
    let key = key?;
    let chance = || RecordId::random(uuid::Uuid::now_v7().into_bytes());
    Some(Record {
        id: idempotency_key.map_or_else(chance, |text| RecordId::of(key, &text)),
        key,
        service_id: service_id?.into(),
        endpoint: endpoint?,
        model_id: model_id.map(Into::into),
        status_code: status_code?,
        response_micros: response_micros?.min(MAX_COUNTED_RESPONSE),
        predictions,
        compute_ms,
        occurred_at,
    })
}

/// What a debit counts as that names no endpoint.
fn endpoint_of(model: &str) -> Box<str> {
    usage::endpoint(&format!("/models/{model}")).unwrap_or_else(|| "/models".into())
}

fn key_id(value: Value) -> Parsed<KeyId> {
    let read = value.as_str().and_then(|text| text.parse().ok());
    read.ok_or_else(|| "must be the id of an API key".to_owned())
}

fn recorded(taken: Taken) -> UsageRecorded {
    UsageRecorded {
        message: "Usage recorded successfully".into(),
        recorded: taken.new as u64,
        duplicates: taken.known as u64,
    }
}

pub(crate) async fn stats(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    Id(key): Id<KeyId>,
    query: Query,
) -> Result<Json<UsageStats>, ApiError> {
    query.only(&["period", "by"])?;
    let month = period(&app, &query)?;
    let by = query.get("by", group_by)?;
    let found = |error| not_found_as_key(error);
    let endpoints = app.engine.key_usage(&actor, key, month, GroupBy::Endpoint).await.map_err(found)?;
    // Each record is in the sum of one endpoint, so they make up the whole; and it fits what is told of them.
    let mut totals = Totals::default();
    endpoints.iter().for_each(|group| totals += group.totals);
    let top = endpoints.iter().take(TOP_ENDPOINTS);
    let top_endpoints = top
        .map(|group| EndpointCount { endpoint: group.name.clone(), count: group.totals.requests })
        .collect();
    let groups = match by {
        None => None,
        Some(GroupBy::Endpoint) => Some(endpoints),
        Some(other) => Some(app.engine.key_usage(&actor, key, month, other).await.map_err(found)?),
    };
    Ok(Json(UsageStats {
        key_id: key.to_string(),
        period: month.to_string(),
        total_requests: totals.requests,
        total_predictions: totals.predictions,
        total_compute_ms: totals.compute_ms,
        average_response_time_ms: totals.average_response_ms(),
        error_rate: totals.error_rate(),
        top_endpoints,
        groups: groups.map(|groups| groups.into_iter().map(group).collect()),
    }))
}

fn group(UsageGroup { name, totals }: UsageGroup) -> Group {
    let Totals { requests, errors, predictions, compute_ms, .. } = totals;
    let average_response_time_ms = totals.average_response_ms();
    Group { name, requests, errors, predictions, compute_ms, average_response_time_ms }
}

fn group_by(value: Value) -> Parsed<GroupBy> {
    match value.as_str() {
        Some("day") => Ok(GroupBy::Day),
        Some("endpoint") => Ok(GroupBy::Endpoint),
        Some("service") => Ok(GroupBy::Service),
        _ => Err("must be day, endpoint or service".to_owned()),
    }
}

pub(crate) async fn billing(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    Id(key): Id<KeyId>,
    query: Query,
) -> Result<Json<Billing>, ApiError> {
    query.only(&["period"])?;
    let bill = app.engine.bill(&actor, key, period(&app, &query)?).await.map_err(not_found_as_key)?;
    Ok(Json(Billing {
        key_id: key.to_string(),
        period: bill.month.to_string(),
        billing_plan: bill.terms.plan,
        current_usage: BilledUsage {
            requests: bill.usage.requests,
            predictions: bill.usage.predictions,
            compute_ms: bill.usage.compute_ms,
        },
        monthly_limit: bill.terms.monthly_prediction_limit,
        overage_charges: bill.overage.dollars(),
        next_billing_date: bill.month.next().first_day().to_string(),
    }))
}

/// The month that is asked about: the present one, unless another is named.
fn period(app: &App, query: &Query) -> Result<Month, ApiError> {
    let asked = query.get("period", values::month)?;
    Ok(asked.unwrap_or_else(|| Month::of(app.engine.clock().now())))
}

pub(crate) async fn aggregate(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    query: Query,
) -> Result<Json<UsageByDate>, ApiError> {
    query.only(&["start_date", "end_date", "service_id", "user_id"])?;
    let (first, last) = span(&app, &query)?;
    let user_id = query.get("user_id", values::user_id)?;
    let service_id = query.get("service_id", values::service(&app.options.services))?;
    let found = app.engine.usage_by_date(&actor, (first, last), user_id.as_deref(), service_id.as_deref());
    let mut usage_by_date: BTreeMap<String, BTreeMap<String, ServiceUsage>> = BTreeMap::new();
    for ServiceDay { day, service_id, totals } in found.await? {
        let usage = ServiceUsage {
            requests: totals.requests,
            predictions: totals.predictions,
            compute_ms: totals.compute_ms,
            avg_response_time_ms: totals.average_response_ms(),
        };
        usage_by_date.entry(day.to_string()).or_default().insert(service_id, usage);
    }
    Ok(Json(UsageByDate { start_date: first.to_string(), end_date: last.to_string(), usage_by_date }))
}

/// From day to day, both included: the last thirty, unless others are named.
fn span(app: &App, query: &Query) -> Result<(Day, Day), ApiError> {
    let today = Day::of(app.engine.clock().now());
    let (first, last) = (query.get("start_date", values::day)?, query.get("end_date", values::day)?);
    let last = last.unwrap_or_else(|| first.map_or(today, |first| today.max(first)));
    let first = first.unwrap_or_else(|| last.plus(1 - DEFAULT_SPAN));
    if first > last {
        return Err(ApiError::field("end_date", "must not lie before start_date"));
    }
    if last.0 - first.0 >= MAX_SPAN {
        return Err(ApiError::field(
            "end_date",
            format!("must lie less than {MAX_SPAN} days after start_date"),
        ));
    }
    Ok((first, last))
}

fn not_found_as_key(declined: Declined) -> ApiError {
    match declined {
        Declined::NotFound => ApiError::not_found("API key"),
        other => other.into(),
    }
}
