//! What every handler can reach, and the table of routes.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use hokusai_engine::Engine;
use hokusai_http::Exposition;
use ipnet::IpNet;

use crate::batches::Batches;
use crate::docs::Documents;
use crate::error::ApiError;
use crate::frame::frame;
use crate::routes::{
    admin_tokens, alerts, audit, health, keys, models, refused_calls, usage, validate, validations, verifiers,
};

/// What can be set.
#[derive(Clone, Debug)]
pub struct AppOptions {
    /// The services that keys can be for; the first is the default.
    pub services: Vec<String>,
    /// The billing plans that keys can have.
    pub billing_plans: Vec<String>,
    /// Proxies whose word on the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Networks that may report usage without a credential.
    pub trusted_networks: Vec<IpNet>,
    /// Networks that may read the metrics, besides this machine.
    pub metrics_networks: Vec<IpNet>,
    /// Whether everybody comes through a proxy that is not among the trusted ones: then the other end of a
    /// connection says nothing of who speaks.
    pub behind_unnamed_proxy: bool,
    /// The commit that the program was built from.
    pub commit: String,
    /// Whether browsers shall insist on TLS from now on.
    pub strict_transport: bool,
    /// If not empty, requests for any other host are refused: keeps web pages from reaching a service on
    /// one's own machine.
    pub allowed_hosts: Vec<String>,
}

impl Default for AppOptions {
    fn default() -> Self {
        Self {
            services: vec!["platform".into(), "prediction".into()],
            billing_plans: vec!["free".into()],
            trusted_proxies: Vec::new(),
            trusted_networks: loopback(),
            metrics_networks: Vec::new(),
            behind_unnamed_proxy: false,
            commit: "unknown".into(),
            strict_transport: false,
            allowed_hosts: Vec::new(),
        }
    }
}

/// This machine.
#[must_use]
pub fn loopback() -> Vec<IpNet> {
    let addresses = [IpNet::new(Ipv4Addr::LOCALHOST.into(), 8), IpNet::new(Ipv6Addr::LOCALHOST.into(), 128)];
    addresses.into_iter().flatten().collect()
}

/// What every handler can reach. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) engine: Arc<Engine>,
    pub(crate) options: Arc<AppOptions>,
    pub(crate) documents: Arc<Documents>,
    pub(crate) exposition: Exposition,
    pub(crate) batches: Arc<Batches>,
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(engine: Arc<Engine>, options: AppOptions, exposition: Exposition) -> Self {
        let documents = Arc::new(Documents::build(&options.services, &options.billing_plans));
        Self { engine, options: Arc::new(options), documents, exposition, batches: Arc::new(Batches::new()) }
    }
}

/// The whole service as one router.
pub fn router(app: App) -> Router {
    let not_found = || async { ApiError::no_route() };
    let wrong_method = || async { ApiError::wrong_method() };
    Router::new()
        .route("/api/v1/keys", get(keys::list).post(keys::create))
        .route("/api/v1/keys/validate", post(validate::validate))
        .route("/api/v1/keys/{key_id}", get(keys::show).patch(keys::update).delete(keys::revoke))
        .route("/api/v1/keys/{key_id}/rotate", post(keys::rotate))
        .route("/api/v1/keys/{key_id}/validations", get(validations::of_key))
        .route("/api/v1/usage/batch", post(usage::batch::batch))
        .route("/api/v1/usage/aggregate", get(usage::aggregate))
        .route("/api/v1/usage/{key_id}", post(usage::record))
        .route("/api/v1/usage/{key_id}/debit", post(usage::debit))
        .route("/api/v1/usage/{key_id}/stats", get(usage::stats))
        .route("/api/v1/usage/{key_id}/billing", get(usage::billing))
        .route("/api/v1/allotments", post(verifiers::allotments))
        .route("/api/v1/changes", get(verifiers::changes))
        .route("/api/v1/models", get(models::list).post(models::create))
        .route("/api/v1/models/{name}", get(models::show))
        .route("/api/v1/models/{name}/versions", post(models::create_version))
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/admin-tokens", get(admin_tokens::list).post(admin_tokens::create))
        .route("/api/v1/admin-tokens/current", get(admin_tokens::current))
        .route("/api/v1/admin-tokens/{token_id}", delete(admin_tokens::revoke))
        .route("/api/v1/audit", get(audit::list))
        .route("/api/v1/audit/refused", get(refused_calls::list))
        .route("/health", get(health::health))
        .route("/live", get(health::live))
        .route("/ready", get(health::ready))
        .route("/version", get(health::version))
        .route("/status", get(health::status))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(health::openapi))
        .route("/docs", get(health::docs))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), frame))
        .with_state(app)
}
