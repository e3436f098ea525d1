//! Who is asking: credentials in headers, and admin tokens behind them.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::request::Parts;
use hokusai_core::address::contains;
use hokusai_core::policy::{Attempt, ClientAddress, Demand};
use hokusai_core::token::Role;
use hokusai_engine::{Actor, Engine, Source};
use hokusai_store::{Reporter, Token};

use crate::address::origin;
use crate::app::{App, AppOptions};
use crate::error::ApiError;
use crate::routes::validate::refused;
use hokusai_http::Origin;
use hokusai_http::RequestId;

/// The header for a gateway's own token, beside the key that it asks about.
const SERVICE_TOKEN: &str = "x-hokusai-service-token";

/// What stands in the `Authorization` header. It can't be printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authorization<'a> {
    /// There is none.
    Absent,
    /// `Bearer` and a text, which may be empty.
    Bearer(&'a str),
    /// Another scheme, or no text at all.
    Other,
}

/// Reads the `Authorization` header. The scheme's case does not matter (RFC 9110, 11.1).
pub(crate) fn authorization(headers: &HeaderMap) -> Result<Authorization<'_>, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(Authorization::Absent) };
    if values.next().is_some() {
        return Err(ApiError::ambiguous_credentials());
    }
    let Ok(text) = value.to_str() else { return Ok(Authorization::Other) };
    let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    Ok(if scheme.eq_ignore_ascii_case("bearer") {
        Authorization::Bearer(rest.trim())
    } else {
        Authorization::Other
    })
}

/// The living admin token that a request bears, whatever it may do.
pub(crate) struct BearerToken(pub(crate) Token);

impl FromRequestParts<App> for BearerToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let origin = origin(&parts.extensions, &parts.headers, &app.options.trusted_proxies);
        bearer_token(app, &parts.headers, origin).await.map(Self)
    }
}

/// The bearer of a living admin token that may manage things.
pub(crate) struct AdminCaller(pub(crate) Actor);

impl FromRequestParts<App> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let origin = origin(&parts.extensions, &parts.headers, &app.options.trusted_proxies);
        let request_id =
            parts.extensions.get::<RequestId>().map(|id| id.text().to_owned()).unwrap_or_default();
        admin_caller(app, &parts.headers, origin, request_id).await.map(Self)
    }
}

/// The bearer of a living token that may use the catalogue of models, if its role allows that: a gateway with
/// its service token, or an operator.
pub(crate) struct CatalogueCaller(pub(crate) Actor);

impl FromRequestParts<App> for CatalogueCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let origin = origin(&parts.extensions, &parts.headers, &app.options.trusted_proxies);
        let token = match service_token(app, &parts.headers, origin).await? {
            Some(token) => token,
            None => bearer_token(app, &parts.headers, origin).await?,
        };
        let request_id =
            parts.extensions.get::<RequestId>().map(|id| id.text().to_owned()).unwrap_or_default();
        Ok(Self(actor(token, origin, request_id)))
    }
}

fn actor(token: Token, origin: Origin, request_id: String) -> Actor {
    Actor {
        user_id: token.user_id,
        token_id: Some(token.id),
        role: token.role,
        address: origin.client.to_string(),
        request_id,
    }
}

async fn bearer_token(app: &App, headers: &HeaderMap, origin: Origin) -> Result<Token, ApiError> {
    let text = match authorization(headers)? {
        Authorization::Bearer(text) if !text.is_empty() => text,
        _ => {
            return Err(ApiError::invalid_admin_token(
                "An admin token is needed: Authorization: Bearer TOKEN",
            ));
        }
    };
    let token = app.engine.authenticate(text, origin.client).await?;
    token.ok_or_else(|| {
        ApiError::invalid_admin_token(if text.starts_with("hk_") {
            "This is an API key; an admin token is needed here"
        } else {
            "The admin token is unknown, expired or revoked"
        })
    })
}

pub(crate) async fn admin_caller(
    app: &App,
    headers: &HeaderMap,
    origin: Origin,
    request_id: String,
) -> Result<Actor, ApiError> {
    let token = bearer_token(app, headers, origin).await?;
    if token.role == Role::Verifier {
        return Err(ApiError::forbidden("This token's role does not allow this"));
    }
    Ok(actor(token, origin, request_id))
}

/// The token in `X-Hokusai-Service-Token`, if there is one. A refused one is an error.
pub(crate) async fn service_token(
    app: &App,
    headers: &HeaderMap,
    origin: Origin,
) -> Result<Option<Token>, ApiError> {
    let Some(value) = headers.get(SERVICE_TOKEN) else { return Ok(None) };
    let token = match value.to_str() {
        Ok(text) => app.engine.authenticate(text, origin.client).await?,
        Err(_) => None,
    };
    token.map(Some).ok_or_else(ApiError::service_token_refused)
}

/// Whose usage a request may report: by its token, its key, or the network that it comes from.
pub(crate) struct UsageReporter {
    pub(crate) reporter: Reporter,
    /// Whose share of the room for reports it takes.
    pub(crate) source: Source,
}

impl FromRequestParts<App> for UsageReporter {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let origin = origin(&parts.extensions, &parts.headers, &app.options.trusted_proxies);
        let headers = &parts.headers;
        if let Some(token) = service_token(app, headers, origin).await? {
            return Ok(Self::by_token(token));
        }
        let in_header = headers.get("x-api-key").map(|value| value.to_str().unwrap_or_default().trim());
        match (authorization(headers)?, in_header) {
            (Authorization::Bearer(text), _) if text.starts_with("hk_") => own_key(app, text, origin).await,
            (Authorization::Absent, Some(text)) => own_key(app, text, origin).await,
            (Authorization::Absent, None) if is_trusted(&app.options, headers, origin) => {
                Ok(Self { reporter: Reporter::Anyone, source: Source::Address(origin.client) })
            }
            (Authorization::Absent, None) => Err(ApiError::usage_credential_required()),
            _ => {
                let token = bearer_token(app, headers, origin).await?;
                Ok(Self::by_token(token))
            }
        }
    }
}

impl UsageReporter {
    fn by_token(token: Token) -> Self {
        let reporter = Engine::reporter(token.role, &token.user_id);
        let source = match &reporter {
            Reporter::Anyone => Source::Token(token.id),
            _ => Source::User(token.user_id.into()),
        };
        Self { reporter, source }
    }
}

async fn own_key(app: &App, text: &str, origin: Origin) -> Result<UsageReporter, ApiError> {
    let attempt =
        Attempt { service_id: None, demand: Demand::Nothing, client: ClientAddress::Known(origin.client) };
    let key = app.engine.recognise(text, &attempt, origin.client).await?;
    let key = key.map_err(|refusal| refused(refusal, &attempt))?;
    let source = Source::User(key.rights.user_id.clone());
    Ok(UsageReporter { reporter: Reporter::Key(key.id), source })
}

/// Whether a request without a credential may report usage. A proxy's word that is missing is not made up
/// for: where everybody comes through a proxy that nobody named, nobody is trusted. And a web page speaks for its
/// visitor only: browsers name its origin.
fn is_trusted(options: &AppOptions, headers: &HeaderMap, origin: Origin) -> bool {
    let is_proxy = contains(&options.trusted_proxies, origin.client);
    let is_page = headers.contains_key(ORIGIN);
    origin.is_certain
        && !is_proxy
        && !options.behind_unnamed_proxy
        && !is_page
        && contains(&options.trusted_networks, origin.client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_proxy_that_nobody_named_no_address_is_trusted() {
        let everywhere = || vec!["0.0.0.0/0".parse().unwrap()];
        for (behind_unnamed_proxy, trusted) in [(false, true), (true, false)] {
            let options =
                AppOptions { trusted_networks: everywhere(), behind_unnamed_proxy, ..AppOptions::default() };
            // The proxy may run on another machine, and say nothing of whom it speaks for.
            for address in ["127.0.0.1", "10.0.0.1", "203.0.113.7"] {
                let origin = Origin { client: address.parse().unwrap(), is_certain: true };
                assert_eq!(is_trusted(&options, &HeaderMap::new(), origin), trusted, "{address}");
            }
        }
    }
}
