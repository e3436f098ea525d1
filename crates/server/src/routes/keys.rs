//! Keys: create, list, show, change, revoke, rotate.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hokusai_api::keys::{ChangedKey, CreatedKey, HourlyUsage, KeyInfo, PreviousKey, RevokedKey};
use hokusai_api::time;
use hokusai_core::address::block_text;
use hokusai_core::id::KeyId;
use hokusai_core::key::Environment;
use hokusai_core::policy::{Attempt, ClientAddress, DEFAULT_RATE_LIMIT, Demand};
use hokusai_core::time::Timestamp;
use hokusai_engine::{Actor, Expiry, Issued, KeyPatch, KeyWish};
use hokusai_store::{KeyFilter, ListedKey};
use serde_json::{Map, Value};

use crate::address::origin;
use crate::app::App;
use crate::body::JsonObject;
use crate::caller::{AdminCaller, Authorization, admin_caller, authorization};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::routes::ids::Id;
use crate::routes::pages::{Query, flag};
use crate::routes::validate::refused;
use crate::routes::verifiers::{effective, read_wait};
use crate::values;
use hokusai_http::RequestId;

/// How long a revocation waits for everybody to know of it, unless the request says otherwise.
const REVOCATION_WAIT: Duration = Duration::from_secs(1);
/// How long a rotated key goes on working, unless the request says otherwise.
const GRACE_HOURS: i64 = 24;

pub(crate) async fn create(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    body: JsonObject,
) -> Result<Response, ApiError> {
    let wish = read_wish(&app, body.required()?)?;
    let issued = app.engine.issue(&actor, wish).await?;
    Ok((StatusCode::CREATED, Json(created(&issued, None))).into_response())
}

pub(crate) async fn list(
    State(app): State<App>,
    Extension(request_id): Extension<RequestId>,
    query: Query,
    extensions: Extensions,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let origin = origin(&extensions, &headers, &app.options.trusted_proxies);
    if let Authorization::Bearer(text) = authorization(&headers)?
        && text.starts_with("hk_")
    {
        let attempt = Attempt {
            service_id: None,
            demand: Demand::Nothing,
            client: ClientAddress::Known(origin.client),
        };
        let key = app.engine.identify(text, &attempt, origin.client).await?;
        let key = key.map_err(|refusal| refused(refusal, &attempt))?;
        let shown = app.engine.show(&Actor::system(), key.id).await?;
        return Ok(Json([key_info(&shown)]).into_response());
    }
    let actor = admin_caller(&app, &headers, origin, request_id.text().to_owned()).await?;
    list_all(&app, &actor, &query).await
}

async fn list_all(app: &App, actor: &Actor, query: &Query) -> Result<Response, ApiError> {
    let page = query.page()?;
    let filter = KeyFilter {
        key: None,
        user_id: query.get("user_id", values::user_id)?,
        service_id: query.get("service_id", values::service(&app.options.services))?,
        environment: query.get("environment", values::environment)?,
        active_only: query.get("active_only", flag)?.unwrap_or(false),
        before: page.before,
        limit: page.limit,
    };
    let keys = app.engine.list(actor, filter).await?;
    let headers = query.next_page(page, keys.len(), keys.last().map(|key| key.place));
    let infos: Vec<KeyInfo> = keys.iter().map(key_info).collect();
    Ok((headers, Json(infos)).into_response())
}

pub(crate) async fn show(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    Id(id): Id<KeyId>,
) -> Result<Json<KeyInfo>, ApiError> {
    let listed = app.engine.show(&actor, id).await.map_err(key_error)?;
    Ok(Json(key_info(&listed)))
}

pub(crate) async fn update(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    Id(id): Id<KeyId>,
    query: Query,
    body: JsonObject,
) -> Result<Json<ChangedKey>, ApiError> {
    let wait = read_wait(&query, Duration::ZERO)?;
    let patch = read_patch(&app, body.required()?)?;
    let listed = app.engine.patch(&actor, id, patch).await.map_err(key_error)?;
    Ok(Json(ChangedKey { key: key_info(&listed), effective: effective(&app, wait).await }))
}

pub(crate) async fn revoke(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    Id(id): Id<KeyId>,
    query: Query,
) -> Result<Json<RevokedKey>, ApiError> {
    let wait = read_wait(&query, REVOCATION_WAIT)?;
    app.engine.revoke(&actor, id).await.map_err(key_error)?;
    Ok(Json(RevokedKey {
        message: "API key revoked successfully".into(),
        key_id: id.to_string(),
        effective: effective(&app, wait).await,
    }))
}

pub(crate) async fn rotate(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    Id(id): Id<KeyId>,
    query: Query,
    body: JsonObject,
) -> Result<Json<CreatedKey>, ApiError> {
    let wait = read_wait(&query, Duration::ZERO)?;
    let mut fields = Fields::new(body.0.unwrap_or_default());
    let grace = fields.optional("grace_period_hours", values::whole_number(0..=168));
    fields.finish_all_known()?;
    let rotated = app.engine.rotate(&actor, id, grace.unwrap_or(GRACE_HOURS)).await.map_err(key_error)?;
    let previous = PreviousKey {
        key_id: rotated.previous.to_string(),
        valid_until: time::write(rotated.previous_valid_until.0),
    };
    let effective = effective(&app, wait).await;
    Ok(Json(CreatedKey { effective, ..created(&rotated.issued, Some(previous)) }))
}

fn read_wish(app: &App, object: Map<String, Value>) -> Result<KeyWish, ApiError> {
    let mut fields = Fields::new(object);
    let name = fields.required("name", values::name);
    let service_id = fields.optional("service_id", values::service(&app.options.services));
    let scopes = fields.optional("scopes", values::scopes);
    let environment = fields.optional("environment", values::environment);
    let rate_limit = fields.optional("rate_limit_per_hour", values::rate_limit);
    let expiry = read_expiry(&mut fields, app.engine.clock().now());
    let allowlist = fields.nullable("allowed_ips", values::allowlist);
    let monthly = fields.nullable("monthly_prediction_limit", values::monthly_limit);
    let billing_plan = fields.optional("billing_plan", values::one_of(&app.options.billing_plans));
    let metadata = fields.nullable("metadata", values::metadata);
    let user_id = fields.nullable("user_id", values::user_id);
    fields.finish_all_known()?;
    Ok(KeyWish {
        name: name.expect("finish refuses a missing name"),
        service_id: service_id.unwrap_or_else(|| app.options.services[0].clone()),
        scopes: scopes.unwrap_or_default(),
        environment: environment.unwrap_or(Environment::Production),
        rate_limit_per_hour: rate_limit.unwrap_or(DEFAULT_RATE_LIMIT),
        expiry: expiry.unwrap_or(Expiry::Never),
        allowlist: allowlist.flatten().unwrap_or_default(),
        monthly_prediction_limit: monthly.flatten(),
        billing_plan,
        metadata: metadata.flatten().unwrap_or_else(|| "{}".into()),
        user_id: user_id.flatten(),
    })
}

fn read_patch(app: &App, object: Map<String, Value>) -> Result<KeyPatch, ApiError> {
    if object.is_empty() {
        return Err(ApiError::field("body", "must name at least one field to change"));
    }
    let mut fields = Fields::new(object);
    let patch = KeyPatch {
        name: fields.optional("name", values::name),
        scopes: fields.optional("scopes", values::scopes),
        rate_limit_per_hour: fields.optional("rate_limit_per_hour", values::rate_limit),
        expiry: read_new_expiry(&mut fields, app.engine.clock().now()),
        allowlist: fields.nullable("allowed_ips", values::allowlist).map(Option::unwrap_or_default),
        monthly_prediction_limit: fields.nullable("monthly_prediction_limit", values::monthly_limit),
        billing_plan: fields.optional("billing_plan", values::one_of(&app.options.billing_plans)),
        metadata: fields
            .nullable("metadata", values::metadata)
            .map(|json| json.unwrap_or_else(|| "{}".into())),
    };
    fields.finish_all_known()?;
    Ok(patch)
}

/// Either way to say when a key expires, but not both: whoever sends two may mean neither.
fn read_expiry(fields: &mut Fields, now: Timestamp) -> Option<Expiry> {
    let days = fields.nullable("expires_in_days", values::days);
    let at = fields.nullable("expires_at", values::expiry(now));
    match (days, at) {
        (Some(Some(_)), Some(Some(_))) => {
            fields.fault("expires_at", "can't be given together with expires_in_days".into());
            None
        }
        (Some(Some(days)), _) => Some(Expiry::InDays(days)),
        (_, Some(Some(expiry))) => Some(expiry),
        (None, None) => None,
        _ => Some(Expiry::Never),
    }
}

/// As [`read_expiry`], where null means that the key shall live for ever.
fn read_new_expiry(fields: &mut Fields, now: Timestamp) -> Option<Expiry> {
    let days = fields.optional("expires_in_days", values::days);
    let at = fields.nullable("expires_at", values::expiry(now));
    if days.is_some() && at.is_some() {
        fields.fault("expires_at", "can't be given together with expires_in_days".into());
    }
    days.map(Expiry::InDays).or(at.map(|at| at.unwrap_or(Expiry::Never)))
}

fn key_error(declined: hokusai_engine::Declined) -> ApiError {
    match declined {
        hokusai_engine::Declined::NotFound => ApiError::not_found("API key"),
        other => other.into(),
    }
}

fn created(issued: &Issued, previous_key: Option<PreviousKey>) -> CreatedKey {
    CreatedKey {
        api_key: issued.plain.expose().to_owned(),
        key_id: issued.listed.key.facts.id.to_string(),
        key_info: key_info(&issued.listed),
        previous_key,
        effective: None,
    }
}

fn key_info(listed: &ListedKey) -> KeyInfo {
    let (key, facts) = (&listed.key, &listed.key.facts);
    let rights = &*facts.rights;
    let status = facts.lifetime.status(listed.now);
    let id = facts.id.to_string();
    let at = |at: Timestamp| time::write(at.0);
    let used = u32::try_from(listed.used_elsewhere + listed.used_here).unwrap_or(u32::MAX);
    KeyInfo {
        id: id.clone(),
        key_id: id,
        name: key.name.clone(),
        key_prefix: key.shown_prefix.clone(),
        user_id: rights.user_id.to_string(),
        service_id: rights.service_id.to_string(),
        scopes: rights.scopes.iter().map(ToString::to_string).collect(),
        environment: rights.environment.name().into(),
        is_active: status.is_active(),
        status: status.name().into(),
        rate_limit_per_hour: rights.rate_limit_per_hour,
        monthly_prediction_limit: rights.monthly_prediction_limit,
        allowed_ips: rights.allowlist.iter().map(block_text).collect(),
        billing_plan: rights.billing_plan.to_string(),
        metadata: serde_json::from_str(&key.metadata).unwrap_or_default(),
        created_at: at(key.created_at),
        expires_at: facts.lifetime.expires_at.if_ever().map(at),
        last_used_at: listed.last_used_at.map(at),
        revoked_at: facts.lifetime.revoked_from().if_ever().filter(|from| *from <= listed.now).map(at),
        rotated_from: key.rotated_from.map(|id| id.to_string()),
        rotated_to: key.rotated_to.map(|id| id.to_string()),
        usage: HourlyUsage {
            requests_this_hour: used,
            remaining_this_hour: rights.rate_limit_per_hour.saturating_sub(used),
            resets_at: at(listed.hour.end()),
        },
    }
}
