//! How the service is doing, for load balancers, monitoring and people; and its documentation.

use axum::Json;
use axum::extract::State;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use hokusai_core::address::contains;
use hokusai_core::token::Role;
use serde_json::json;

use crate::address::origin;
use crate::app::App;
use crate::caller::admin_caller;
use crate::docs::status_page;
use crate::error::ApiError;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) async fn health() -> Response {
    Json(json!({"status": "healthy", "service": "hokusai-auth", "version": VERSION})).into_response()
}

pub(crate) async fn live() -> Response {
    Json(json!({"status": "alive"})).into_response()
}

pub(crate) async fn ready(State(app): State<App>) -> Response {
    let database = is_ready(&app).await;
    let (code, status) =
        if database { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let body = Json(json!({"status": status, "checks": {"database": database}}));
    if database {
        (code, body).into_response()
    } else {
        (code, [(header::RETRY_AFTER, "1")], body).into_response()
    }
}

pub(crate) async fn version(State(app): State<App>) -> Response {
    Json(json!({"version": VERSION, "commit": app.options.commit})).into_response()
}

pub(crate) async fn status(State(app): State<App>) -> Html<String> {
    Html(status_page(is_ready(&app).await, VERSION))
}

pub(crate) async fn metrics(
    State(app): State<App>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let origin = origin(&extensions, &headers, &app.options.trusted_proxies);
    let is_here = origin.client.is_loopback() && !app.options.behind_unnamed_proxy;
    let is_near = is_here || contains(&app.options.metrics_networks, origin.client);
    if !(is_near && origin.is_certain) {
        let actor = admin_caller(&app, &headers, origin, String::new()).await?;
        if actor.role != Role::Operator {
            return Err(ApiError::forbidden("Only an operator may read the metrics from here"));
        }
    }
    metrics::gauge!("hokusai_cached_keys").set(app.engine.cached_keys() as f64);
    metrics::gauge!("hokusai_usage_waiting").set(app.engine.usage_waiting() as f64);
    metrics::gauge!("hokusai_accounts_in_use").set(app.engine.accounts_in_use() as f64);
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((content_type, app.exposition.render()).into_response())
}

pub(crate) async fn openapi(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.documents.openapi.clone()).into_response()
}

pub(crate) async fn docs(State(app): State<App>) -> Html<String> {
    Html(app.documents.page.clone())
}

async fn is_ready(app: &App) -> bool {
    match app.engine.check_store().await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "not ready");
            false
        }
    }
}
