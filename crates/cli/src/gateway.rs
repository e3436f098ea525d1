//! Putting the gateway together: routes, verifier, listener; and taking it down in order.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use hokusai_client::{Client, Secret, Verifier};
use hokusai_gateway::{AccessLog, Fault, Gateway, GatewayOptions, Mlflow, RouteTable, Surroundings};
use hokusai_http::{Exposition, Listener, Workers};

use crate::failure::Failure;
use crate::files;
use crate::gateway_settings::GatewaySettings;
use crate::listening::Listening;
use crate::output::{LABEL, painted};
use crate::settings::{ConfigFile, Settings, behind_unnamed_proxy};

/// The port that the gateway takes unless told otherwise.
pub(crate) const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4659);
const DEFAULT_AUTH_SERVICE: &str = "http://127.0.0.1:4658";
const DEFAULT_JOURNAL: &str = "hokusai-gateway";
/// How long a node may take to answer about models.
const CATALOGUE_TIMEOUT: Duration = Duration::from_secs(5);
const TOKEN_VARIABLE: &str = "HOKUSAI_GATEWAY_SERVICE_TOKEN";
/// How long to give units back, and to tell what the service does not know yet, at the end.
const PATIENCE: Duration = Duration::from_secs(4);

/// The routes that the file has; all of its mistakes are told.
pub(crate) fn routes(settings: &GatewaySettings, file: Option<&ConfigFile>) -> Result<RouteTable, Failure> {
    let Some(file) = file else { return Ok(RouteTable::default()) };
    let listen = settings.listen.unwrap_or(DEFAULT_LISTEN);
    let has_mlflow = settings.mlflow_url.is_some();
    let surroundings = Surroundings { listen, services: services(file), has_mlflow };
    RouteTable::read(&file.text, &surroundings).map_err(|faults| told(&file.path, &faults))
}

/// The services of a file that has settings of the service, too.
fn services(file: &ConfigFile) -> Option<Vec<String>> {
    let table: toml::Table = toml::from_str(&file.text).ok()?;
    let names = table.get("services")?.as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

fn told(path: &Path, faults: &[Fault]) -> Failure {
    use std::io::Write as _;
    let mut stderr = anstream::stderr().lock();
    for Fault { line, what, hint } in faults {
        // There is nobody to tell if standard error is closed.
        let _ = writeln!(stderr, "{}:{line}: {what}", path.display());
        let _ = writeln!(stderr, "  {}: {hint}", painted("hint", LABEL));
    }
    let mistakes = crate::output::counted(i64::try_from(faults.len()).unwrap_or(i64::MAX), "mistake");
    let what = format!("{} in the routes of {}", mistakes, path.display());
    Failure::wrong_use(what, "docs/gateway.md shows routes with all of their fields")
}

/// Binds the address of the gateway.
pub(crate) async fn bind(settings: &GatewaySettings) -> Result<Listener, Failure> {
    let listening = Listening {
        address: settings.listen.unwrap_or(DEFAULT_LISTEN),
        tls_certificate: settings.tls_certificate.as_ref(),
        tls_key: settings.tls_key.as_ref(),
        behind_tls_proxy: settings.behind_tls_proxy.unwrap_or(false),
        max_connections: settings.max_connections,
        // One for the client, one for the upstream.
        descriptors_each: 2,
    };
    listening.bind().await
}

/// The nodes of the service, and the token to ask them with.
pub(crate) struct Nodes {
    urls: Vec<String>,
    token: Secret,
    allow_plain_http: bool,
}

impl Nodes {
    pub(crate) fn of(settings: &GatewaySettings) -> Result<Self, Failure> {
        Ok(Self {
            urls: settings.auth_service.clone().unwrap_or_else(|| vec![DEFAULT_AUTH_SERVICE.to_owned()]),
            token: service_token(settings)?,
            allow_plain_http: settings.allow_plain_http.unwrap_or(false),
        })
    }

    /// A client of each.
    pub(crate) fn clients(&self) -> Result<Vec<Client>, Failure> {
        let client = |url: &String| {
            let builder =
                Client::builder(url)?.token(self.token.clone()).timeout(CATALOGUE_TIMEOUT).retries(0);
            let builder = if self.allow_plain_http { builder.allow_plain_http() } else { builder };
            Ok(builder.build()?)
        };
        self.urls.iter().map(client).collect()
    }
}

/// How long a validation is remembered.
pub(crate) fn validation_ttl(settings: &GatewaySettings) -> Result<Duration, Failure> {
    match settings.validation_ttl_seconds.unwrap_or(300) {
        ttl @ 1..=300 => Ok(Duration::from_secs(u64::from(ttl))),
        _ => {
            let what = "validation_ttl_seconds: must be from 1 to 300";
            Err(Failure::wrong_use(what, "leave the setting out for the default"))
        }
    }
}

/// Starts to follow the service.
pub(crate) fn verifier(settings: &GatewaySettings, nodes: &Nodes) -> Result<Verifier, Failure> {
    let ttl = validation_ttl(settings)?;
    let journal = settings.journal.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_JOURNAL));
    files::make_private_directory(&journal)?;
    let mut builder =
        Verifier::builder(&nodes.urls, nodes.token.clone()).validation_ttl(ttl).journal(journal);
    if let Some(keys) = settings.cached_keys {
        builder = builder.cached_keys(keys);
    }
    if let Some(lookups) = settings.lookups_per_second {
        builder = builder.lookups_per_second(lookups);
    }
    if nodes.allow_plain_http {
        builder = builder.allow_plain_http();
    }
    Ok(builder.start().context("the gateway can't follow the authentication service")?)
}

fn service_token(settings: &GatewaySettings) -> Result<Secret, Failure> {
    let hint = "make one with `hokusai auth admin-token create --role verifier`, \
                and name its file by --service-token-file";
    let token = match (std::env::var_os(TOKEN_VARIABLE), &settings.service_token_file) {
        (Some(token), _) => Some(token.to_string_lossy().trim().to_owned()),
        (None, Some(file)) => files::read_private(file)?,
        (None, None) => None,
    };
    let token = token.filter(|token| !token.is_empty());
    Ok(Secret::new(token.ok_or_else(|| Failure::not_authorised("the gateway has no service token", hint))?))
}

/// How the settings shape the gateway.
pub(crate) fn options(
    settings: &GatewaySettings,
    access_log: Option<AccessLog>,
) -> Result<GatewayOptions, Failure> {
    Ok(GatewayOptions {
        trusted_proxies: Settings::blocks("trusted_proxies", settings.trusted_proxies.as_ref())?,
        metrics_networks: Settings::blocks("metrics_networks", settings.metrics_networks.as_ref())?,
        behind_unnamed_proxy: behind_unnamed_proxy(
            settings.behind_tls_proxy,
            settings.trusted_proxies.as_ref(),
        ),
        is_tls: settings.tls_certificate.is_some() || settings.behind_tls_proxy.unwrap_or(false),
        allowed_hosts: Vec::new(),
        mlflow: mlflow(settings)?,
        access_log,
        version: (env!("CARGO_PKG_VERSION").into(), env!("HOKUSAI_COMMIT").into()),
    })
}

/// The MLflow server behind the gateway, if there is one.
fn mlflow(settings: &GatewaySettings) -> Result<Option<Mlflow>, Failure> {
    let Some(url) = &settings.mlflow_url else { return Ok(None) };
    let listen = settings.listen.unwrap_or(DEFAULT_LISTEN);
    let made = Mlflow::at(url, listen, settings.mlflow_admin.unwrap_or(false));
    let hint = "name the MLflow server, such as http://127.0.0.1:5000";
    made.map(Some).map_err(|what| Failure::wrong_use(format!("mlflow_url: {what}"), hint))
}

/// Serves until `stop`, then finishes what is in flight, and tells the service what it does not know yet.
pub(crate) async fn serve(
    listener: Listener,
    gateway: Gateway,
    verifier: Verifier,
    exposition: Exposition,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let workers = std::thread::available_parallelism().and_then(Workers::start);
    let workers = workers.context("the gateway can't start its threads")?;
    tokio::select! {
        () = hokusai_gateway::serve(listener, workers, gateway, stop) => {}
        () = exposition.keep_small() => {}
    }
    verifier.stop(PATIENCE).await;
    Ok(())
}
