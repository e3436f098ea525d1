//! Settings of the gateway: flag, then variable, then `[gateway]` in the file, then default.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::failure::Failure;
use crate::logs::LogFormat;
use crate::settings::{ConfigFile, check_variables, first_set};

/// What can be set, as it was typed: every setting is a flag, a variable and a line in the file.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewaySettings {
    /// Address to listen on [default: 127.0.0.1:4659]
    #[arg(long, env = "HOKUSAI_GATEWAY_LISTEN", value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Nodes of the authentication service [default: http://127.0.0.1:4658]
    #[arg(long, env = "HOKUSAI_GATEWAY_AUTH_SERVICE", value_name = "URL", value_delimiter = ',')]
    pub(crate) auth_service: Option<Vec<String>>,
    /// File with an admin token of the role verifier; or the token itself in HOKUSAI_GATEWAY_SERVICE_TOKEN
    #[arg(long, env = "HOKUSAI_GATEWAY_SERVICE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) service_token_file: Option<PathBuf>,
    /// Directory of this process alone, for what the service does not know yet [default: hokusai-gateway]
    #[arg(long, env = "HOKUSAI_GATEWAY_JOURNAL", value_name = "DIRECTORY")]
    pub(crate) journal: Option<PathBuf>,
    /// Seconds that a validation is remembered, from 1 to 300 [default: 300]
    #[arg(long, env = "HOKUSAI_GATEWAY_VALIDATION_TTL_SECONDS", value_name = "SECONDS")]
    pub(crate) validation_ttl_seconds: Option<u16>,
    /// Most keys held in memory [default: 1000000]
    #[arg(long, env = "HOKUSAI_GATEWAY_CACHED_KEYS", value_name = "N")]
    pub(crate) cached_keys: Option<usize>,
    /// Look-ups of unknown keys a second, for each client address [default: 50]
    #[arg(long, env = "HOKUSAI_GATEWAY_LOOKUPS_PER_SECOND", value_name = "N")]
    pub(crate) lookups_per_second: Option<u32>,
    /// TLS certificate chain (PEM); read again when it changes
    #[arg(long, env = "HOKUSAI_GATEWAY_TLS_CERTIFICATE", value_name = "FILE")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// TLS private key (PEM)
    #[arg(long, env = "HOKUSAI_GATEWAY_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A proxy in front speaks TLS: plain text on any address is fine
    #[arg(long, env = "HOKUSAI_GATEWAY_BEHIND_TLS_PROXY", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) behind_tls_proxy: Option<bool>,
    /// Proxies whose X-Forwarded-For is believed: addresses or CIDR blocks
    #[arg(long, env = "HOKUSAI_GATEWAY_TRUSTED_PROXIES", value_name = "BLOCK", value_delimiter = ',')]
    pub(crate) trusted_proxies: Option<Vec<String>>,
    /// Networks that may read /metrics, besides this machine
    #[arg(long, env = "HOKUSAI_GATEWAY_METRICS_NETWORKS", value_name = "BLOCK", value_delimiter = ',')]
    pub(crate) metrics_networks: Option<Vec<String>>,
    /// Most connections of clients at once [default: 10000]
    #[arg(long, env = "HOKUSAI_GATEWAY_MAX_CONNECTIONS", value_name = "N")]
    pub(crate) max_connections: Option<usize>,
    /// Send keys and the service token over plain http to another machine, where anybody in between can read them
    #[arg(long, env = "HOKUSAI_GATEWAY_ALLOW_PLAIN_HTTP", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) allow_plain_http: Option<bool>,
    /// MLflow server behind the gateway
    #[arg(long, env = "HOKUSAI_GATEWAY_MLFLOW_URL", value_name = "URL")]
    pub(crate) mlflow_url: Option<String>,
    /// Pass what makes that server itself do something, too: to keys with mlflow:admin
    #[arg(long, env = "HOKUSAI_GATEWAY_MLFLOW_ADMIN", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) mlflow_admin: Option<bool>,
    /// What to log, such as info, warn or hokusai=debug [default: info]
    #[arg(long, env = "HOKUSAI_GATEWAY_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How log lines look [default: text]
    #[arg(long, env = "HOKUSAI_GATEWAY_LOG_FORMAT", value_name = "FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,
    /// Read by the gateway itself, with the lines that they stand in.
    #[arg(skip)]
    pub(crate) routes: Option<IgnoredAny>,
    #[arg(skip)]
    pub(crate) scopes: Option<IgnoredAny>,
}

/// Flags of the gateway.
#[derive(Args, Clone, Debug)]
pub(crate) struct GatewaySettingsArgs {
    /// Configuration file (TOML), with the routes
    #[arg(long, env = "HOKUSAI_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: GatewaySettings,
}

impl GatewaySettingsArgs {
    /// The settings, with what flags and variables leave open taken from the file; and the file.
    pub(crate) fn resolve(self) -> Result<(GatewaySettings, Option<ConfigFile>), Failure> {
        check_variables()?;
        let file = self.config.as_deref().map(ConfigFile::read).transpose()?;
        let written = file.as_ref().map(ConfigFile::gateway).transpose()?.unwrap_or_default();
        let typed = self.settings;
        let settings = first_set!(
            GatewaySettings, typed, written: listen, auth_service, service_token_file, journal,
            validation_ttl_seconds, cached_keys, lookups_per_second, tls_certificate, tls_key, behind_tls_proxy,
            trusted_proxies, metrics_networks, max_connections, allow_plain_http,
            mlflow_url, mlflow_admin, log, log_format, routes, scopes,
        );
        Ok((settings, file))
    }
}
