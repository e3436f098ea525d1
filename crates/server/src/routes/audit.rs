//! The audit log: what was done, for operators.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hokusai_api::audit::AuditEntry;
use hokusai_api::time;
use hokusai_core::audit::{SealedEntry, hex};
use hokusai_store::AuditFilter;
use serde_json::Value;

use crate::app::App;
use crate::caller::AdminCaller;
use crate::error::ApiError;
use crate::routes::pages::Query;
use crate::values;

/// Entries of a page, unless the request says otherwise.
pub(crate) const USUAL_LIMIT: i64 = 100;

/// The longest target, in characters: a model's name, and how it is marked as one.
const MAX_TARGET: usize = 106;

const PARAMETERS: [&str; 8] = ["user_id", "action", "target", "address", "since", "until", "limit", "cursor"];

pub(crate) async fn list(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    query: Query,
) -> Result<Response, ApiError> {
    // A misspelt filter would show what was done by others as what was asked for.
    query.only(&PARAMETERS)?;
    let page = query.page_of(USUAL_LIMIT)?;
    let filter = AuditFilter {
        user_id: query.get("user_id", values::user_id)?,
        action: query.get("action", values::line_up_to(64))?,
        target: query.get("target", values::line_up_to(MAX_TARGET))?,
        address: query.get("address", values::address)?,
        since: query.get("since", values::time)?,
        until: query.get("until", values::time)?,
        before: page.before,
        limit: page.limit,
    };
    let entries = app.engine.list_audit(&actor, filter).await?;
    let headers = query.next_page(page, entries.len(), entries.last().map(|last| last.entry.number));
    let shown: Vec<AuditEntry> = entries.iter().map(audit_entry).collect();
    Ok((headers, Json(shown)).into_response())
}

/// An entry as it is shown.
#[must_use]
pub fn audit_entry(sealed: &SealedEntry) -> AuditEntry {
    let entry = &sealed.entry;
    let unless_empty = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    AuditEntry {
        number: entry.number,
        at: time::write(entry.at.0),
        user_id: entry.user_id.clone(),
        token_id: unless_empty(&entry.token_id),
        action: entry.action.clone(),
        target: entry.target.clone(),
        address: unless_empty(&entry.address),
        request_id: unless_empty(&entry.request_id),
        // Whoever tampered with it may have left something else than JSON there.
        detail: serde_json::from_str(&entry.detail).unwrap_or_else(|_| Value::String(entry.detail.clone())),
        result: "done".into(),
        seal: hex(&sealed.seal),
    }
}
