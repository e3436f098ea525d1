//! Admin tokens: create, list, revoke, for operators; and each its own, for whoever bears it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hokusai_api::admin_tokens::{CreatedToken, RevokedToken, TokenInfo};
use hokusai_api::time;
use hokusai_core::id::TokenId;
use hokusai_engine::{Declined, TokenWish};
use hokusai_store::{Token, TokenFilter};

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::{AdminCaller, BearerToken};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::routes::ids::Id;
use crate::routes::pages::Query;
use crate::values;

pub(crate) async fn create(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    body: JsonObject,
) -> Result<Response, ApiError> {
    let mut fields = Fields::new(body.required()?);
    let user_id = fields.required("user_id", values::user_id);
    let name = fields.required("name", values::name);
    let role = fields.required("role", values::role);
    let expires_in_days = fields.nullable("expires_in_days", values::days).flatten();
    fields.finish_all_known()?;
    let wish = TokenWish {
        user_id: user_id.expect("finish refuses a missing user"),
        name: name.expect("finish refuses a missing name"),
        role: role.expect("finish refuses a missing role"),
        expires_in_days,
    };
    let issued = app.engine.issue_token(&actor, wish).await?;
    let body = CreatedToken {
        token: issued.plain.expose().to_owned(),
        token_id: issued.token.id.to_string(),
        token_info: token_info(&issued.token),
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// The token that asks.
pub(crate) async fn current(BearerToken(token): BearerToken) -> Json<TokenInfo> {
    Json(token_info(&token))
}

pub(crate) async fn list(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    query: Query,
) -> Result<Response, ApiError> {
    let page = query.page()?;
    let filter = TokenFilter { before: page.before, limit: page.limit };
    let tokens = app.engine.list_tokens(&actor, filter).await?;
    let headers = query.next_page(page, tokens.len(), tokens.last().map(|token| token.place));
    let infos: Vec<TokenInfo> = tokens.iter().map(token_info).collect();
    Ok((headers, Json(infos)).into_response())
}

pub(crate) async fn revoke(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    Id(id): Id<TokenId>,
) -> Result<Json<RevokedToken>, ApiError> {
    app.engine.revoke_token(&actor, id).await.map_err(|declined| match declined {
        Declined::NotFound => ApiError::not_found("Admin token"),
        other => other.into(),
    })?;
    Ok(Json(RevokedToken { message: "Admin token revoked successfully".into(), token_id: id.to_string() }))
}

fn token_info(token: &Token) -> TokenInfo {
    TokenInfo {
        token_id: token.id.to_string(),
        name: token.name.clone(),
        user_id: token.user_id.clone(),
        role: token.role.name().into(),
        token_prefix: token.shown_prefix.clone(),
        created_at: time::write(token.created_at.0),
        expires_at: token.lifetime.expires_at.if_ever().map(|at| time::write(at.0)),
        revoked_at: token.lifetime.revoked_at.if_ever().map(|at| time::write(at.0)),
    }
}
