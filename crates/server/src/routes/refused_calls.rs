//! The sums of refused calls, for operators.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hokusai_api::audit::RefusedCalls;
use hokusai_api::time;
use hokusai_core::address::counted_as;
use hokusai_core::refused_calls::{OTHER, Refused, RefusedSum};
use hokusai_core::time::Timestamp;
use hokusai_store::RefusedFilter;
use serde_json::Value;

use crate::app::App;
use crate::caller::AdminCaller;
use crate::error::ApiError;
use crate::fields::Parsed;
use crate::routes::audit::USUAL_LIMIT;
use crate::routes::pages::{Page, Query};
use crate::values;

const PARAMETERS: [&str; 5] = ["address", "since", "until", "limit", "cursor"];

pub(crate) async fn list(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    query: Query,
) -> Result<Response, ApiError> {
    query.only(&PARAMETERS)?;
    let limit = query.limit(USUAL_LIMIT)?;
    let filter = RefusedFilter {
        address: query.get("address", address)?,
        since: query.get("since", values::time)?,
        until: query.get("until", values::time)?,
        after: query.get("cursor", cursor)?,
        limit,
    };
    let sums = app.engine.list_refused_calls(&actor, filter).await?;
    let last = sums.last().map(|RefusedSum { refused, .. }| {
        format!("{},{},{}", refused.minute.0, refused.address, refused.code)
    });
    let headers = query.next_page(Page { before: None, limit }, sums.len(), last);
    let shown: Vec<RefusedCalls> = sums.iter().map(refused_calls).collect();
    Ok((headers, Json(shown)).into_response())
}

/// A sum as it is shown.
#[must_use]
pub fn refused_calls(sum: &RefusedSum) -> RefusedCalls {
    RefusedCalls {
        minute: time::write(sum.refused.minute.0),
        address: sum.refused.address.clone(),
        code: sum.refused.code.clone(),
        count: sum.count,
    }
}

fn address(value: Value) -> Parsed<String> {
    if value == OTHER {
        return Ok(OTHER.to_owned());
    }
    let address = value.as_str().and_then(|text| text.parse().ok());
    address
        .map(|address| counted_as(address).to_string())
        .ok_or_else(|| format!("must be an IP address, or {OTHER}"))
}

fn cursor(value: Value) -> Parsed<Refused> {
    let text = values::line_up_to(128)(value)?;
    let mut parts = text.splitn(3, ',');
    let parts = (parts.next().and_then(|minute| minute.parse().ok()), parts.next(), parts.next());
    let (Some(minute), Some(address), Some(code)) = parts else {
        return Err("must be the cursor that an earlier page links to".to_owned());
    };
    Ok(Refused { minute: Timestamp(minute), address: address.to_owned(), code: code.to_owned() })
}
