//! Validation: the service's product.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hokusai_api::time;
use hokusai_api::validate::ValidatedKey;
use hokusai_core::allotment::Quota;
use hokusai_core::policy::{Attempt, ClientAddress, Demand, KeyFacts, Refusal};
use hokusai_core::time::SECOND;
use hokusai_core::token::Role;
use hokusai_engine::{ChargeKind, Validation, Verdict};
use serde_json::json;

use crate::address::origin;
use crate::app::App;
use crate::body::JsonObject;
use crate::caller::{Authorization, authorization, service_token};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::routes::verifiers::{VouchWish, read_vouch_wish, vouch};
use crate::values;

/// An answer comes within 5 seconds, whatever happens behind it.
const PATIENCE: Duration = Duration::from_millis(4500);

/// What the body may say.
struct Question {
    api_key: Option<String>,
    service_id: Option<String>,
    required_scope: Option<String>,
    client_ip: Option<String>,
    dry_run: bool,
    vouch: Option<VouchWish>,
}

pub(crate) async fn validate(
    State(app): State<App>,
    extensions: Extensions,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Response, ApiError> {
    let question = read_question(body)?;
    let key = presented_key(&headers, question.api_key.as_deref())?;
    let answer = tokio::time::timeout(PATIENCE, decide(&app, &extensions, &headers, &question, key)).await;
    let answer = answer.unwrap_or_else(|_| Err(ApiError::store_unavailable()));
    if answer.as_ref().is_err_and(ApiError::is_unavailable) {
        count("unanswered");
    }
    answer
}

async fn decide(
    app: &App,
    extensions: &Extensions,
    headers: &HeaderMap,
    question: &Question,
    key: &str,
) -> Result<Response, ApiError> {
    let origin = origin(extensions, headers, &app.options.trusted_proxies);
    let service = service_token(app, headers, origin).await?;
    if let Some(wish) = &question.vouch {
        return vouch(app, service, key, wish).await;
    }
    let service_role = service.map(|token| token.role);
    if question.dry_run && service_role.is_none() {
        return Err(ApiError::service_token_required());
    }
    let told = question.client_ip.as_deref().map(ClientAddress::Told);
    let attempt = Attempt {
        service_id: question.service_id.as_deref(),
        demand: Demand::scope(question.required_scope.as_deref()),
        client: told.unwrap_or(ClientAddress::Known(origin.client)),
    };
    let is_trusted = matches!(service_role, Some(Role::Operator | Role::Verifier));
    let stranger = (!is_trusted).then_some(origin.client);
    let charge = if question.dry_run { ChargeKind::Look } else { ChargeKind::Spend };
    let verdict = app.engine.validate(&Validation { key, attempt, stranger, charge }).await?;
    Ok(match verdict {
        Verdict::Valid { key, quota } => {
            count("valid");
            (quota_headers(&quota), Json(valid_body(&key))).into_response()
        }
        Verdict::Refused(refusal) => {
            count(refusal.code());
            refused_response(refusal, &attempt)
        }
        Verdict::Limited(quota) => {
            count("limited");
            limited_response(&quota)
        }
    })
}

fn read_question(body: JsonObject) -> Result<Question, ApiError> {
    let mut fields = Fields::new(body.0.unwrap_or_default());
    let question = Question {
        api_key: fields.nullable("api_key", values::any_text).flatten(),
        service_id: fields.nullable("service_id", values::text_up_to(64)).flatten(),
        required_scope: fields.nullable("required_scope", values::text_up_to(64)).flatten(),
        client_ip: fields.nullable("client_ip", values::any_text).flatten(),
        dry_run: fields.nullable("dry_run", values::boolean).flatten().unwrap_or(false),
        vouch: read_vouch_wish(&mut fields),
    };
    fields.finish()?;
    Ok(question)
}

/// The key: from the first of the three places that has one. An empty one was sent all the same.
fn presented_key<'a>(headers: &'a HeaderMap, in_body: Option<&'a str>) -> Result<&'a str, ApiError> {
    let bearer = authorization(headers)?;
    let header = headers.get("x-api-key");
    let candidates = [
        if let Authorization::Bearer(text) = bearer { Some(text) } else { None },
        header.map(|value| value.to_str().unwrap_or_default().trim()),
        in_body,
    ];
    if let Some(key) = candidates.into_iter().flatten().find(|text| !text.is_empty()) {
        return Ok(key);
    }
    let nothing_sent = bearer == Authorization::Absent && header.is_none() && in_body.is_none();
    if nothing_sent { Err(ApiError::missing_key()) } else { Ok("") }
}

fn count(outcome: &'static str) {
    metrics::counter!("hokusai_validations_total", "outcome" => outcome).increment(1);
}

pub(crate) fn valid_body(key: &KeyFacts) -> ValidatedKey {
    let rights = &*key.rights;
    ValidatedKey {
        is_valid: true,
        key_id: Some(key.id.to_string()),
        user_id: Some(rights.user_id.to_string()),
        service_id: Some(rights.service_id.to_string()),
        scopes: Some(rights.scopes.iter().map(ToString::to_string).collect()),
        environment: Some(rights.environment.name().into()),
        rate_limit_per_hour: Some(rights.rate_limit_per_hour),
        billing_plan: Some(rights.billing_plan.to_string()),
        monthly_prediction_limit: rights.monthly_prediction_limit,
        expires_at: key.lifetime.expires_at.if_ever().map(|at| time::write(at.0)),
        error: None,
        detail: None,
        code: None,
    }
}

fn refused_response(refusal: Refusal, attempt: &Attempt<'_>) -> Response {
    let challenge = [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
    (StatusCode::UNAUTHORIZED, challenge, Json(refused_body(refusal, attempt))).into_response()
}

pub(crate) fn refused_body(refusal: Refusal, attempt: &Attempt<'_>) -> ValidatedKey {
    let text = refusal_text(refusal, attempt);
    ValidatedKey {
        is_valid: false,
        key_id: None,
        user_id: None,
        service_id: None,
        scopes: None,
        environment: None,
        rate_limit_per_hour: None,
        billing_plan: None,
        monthly_prediction_limit: None,
        expires_at: None,
        error: Some(text.clone()),
        detail: Some(text),
        code: Some(refusal.code().into()),
    }
}

/// A refused key where something other than a validation was asked for.
pub(crate) fn refused(refusal: Refusal, attempt: &Attempt<'_>) -> ApiError {
    ApiError::refused_key(refusal.code(), refusal_text(refusal, attempt))
}

fn refusal_text(refusal: Refusal, attempt: &Attempt<'_>) -> String {
    refusal.text(&seen_address(attempt.client))
}

/// The address as it was seen; what is no address is shown shortened and without control characters.
fn seen_address(client: ClientAddress<'_>) -> String {
    match client {
        ClientAddress::Known(address) => address.to_string(),
        ClientAddress::Told(text) => text.chars().filter(|c| !c.is_control()).take(64).collect(),
    }
}

fn limited_response(quota: &Quota) -> Response {
    let mut headers = quota_headers(quota);
    headers.insert(RETRY_AFTER, HeaderValue::from(quota.retry_after_seconds()));
    (StatusCode::TOO_MANY_REQUESTS, headers, Json(json!({"detail": "Rate limit exceeded"}))).into_response()
}

fn quota_headers(quota: &Quota) -> HeaderMap {
    let reset = u64::try_from(quota.hour.end().0 / SECOND).unwrap_or(0);
    let pairs = [
        ("x-ratelimit-limit", u64::from(quota.limit)),
        ("x-ratelimit-remaining", u64::from(quota.remaining)),
        ("x-ratelimit-reset", reset),
    ];
    pairs.into_iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(value))).collect()
}
