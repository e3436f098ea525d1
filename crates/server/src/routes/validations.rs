//! What became of a key's validations.

use axum::Json;
use axum::extract::State;
use hokusai_api::time;
use hokusai_api::validations::{HourOfValidations, KeyValidations};
use hokusai_core::id::KeyId;
use hokusai_core::time::HOUR;
use hokusai_store::HourOfKey;

use crate::app::App;
use crate::caller::AdminCaller;
use crate::error::ApiError;
use crate::routes::ids::Id;
use crate::routes::pages::{Query, number};

/// The most hours that are looked back.
const MAX_HOURS: i64 = 1000;
const DEFAULT_HOURS: i64 = 24;

pub(crate) async fn of_key(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    Id(key): Id<KeyId>,
    query: Query,
) -> Result<Json<KeyValidations>, ApiError> {
    query.only(&["hours"])?;
    let hours = query.get("hours", number(1..=MAX_HOURS))?.unwrap_or(DEFAULT_HOURS);
    let found = app.engine.validations_of(&actor, key, hours).await.map_err(|declined| match declined {
        hokusai_engine::Declined::NotFound => ApiError::not_found("API key"),
        other => other.into(),
    })?;
    Ok(Json(KeyValidations { key_id: key.to_string(), hours: found.into_iter().map(hour).collect() }))
}

fn hour(of: HourOfKey) -> HourOfValidations {
    HourOfValidations {
        hour: time::write(of.hour.0.saturating_mul(HOUR)),
        last_used_at: of.last_used_at.map(|at| time::write(at.0)),
        valid: of.counts.valid,
        limited: of.counts.limited,
        expired: of.counts.expired,
        revoked: of.counts.revoked,
        service_mismatch: of.counts.service_mismatch,
        insufficient_scope: of.counts.insufficient_scope,
        ip_not_allowed: of.counts.ip_not_allowed,
    }
}
