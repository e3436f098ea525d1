//! Putting the service together: store, engine, jobs, listener; and taking it down in order.

use std::fmt::Write as _;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hokusai_core::audit::AuditKey;
use hokusai_core::billing::Plans;
use hokusai_core::id::Epoch;
use hokusai_core::policy::canonical_service;
use hokusai_core::usage::DEFAULT_RETENTION_DAYS;
use hokusai_engine::{AlertThresholds, Clock, Engine, EngineOptions, Jobs};
use hokusai_http::{Exposition, Listener};
use hokusai_server::{App, AppOptions, install_metrics, loopback, router};
use hokusai_store::{NowFn, ReadOptions, Store, StoreOptions};
use ipnet::IpNet;
use rand::Rng as _;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

use crate::failure::Failure;
use crate::files;
use crate::listening::Listening;
use crate::settings::{Settings, behind_unnamed_proxy};

/// The port that `dev` and `serve` take unless told otherwise.
pub(crate) const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4658);
/// How long an operation of the store may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long somebody who only reads waits for it.
const READING_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to give units back at the end.
const GIVE_BACK: Duration = Duration::from_secs(4);

/// An engine on its store, at work.
pub(crate) struct Running {
    pub(crate) engine: Arc<Engine>,
    pub(crate) jobs: Jobs,
    pub(crate) exposition: Exposition,
}

/// Opens the store as the settings say.
pub(crate) async fn open_store(settings: &Settings, clock: &Clock) -> Result<Store, Failure> {
    let now = clock.clone();
    let options = StoreOptions {
        url: settings.database().to_owned(),
        now: NowFn::new(move || now.now()),
        inject_now_into_postgres: false,
        listen: settings.database_listen.unwrap_or(true),
        connections: settings.database_connections.unwrap_or(16).max(2),
        timeout: STORE_TIMEOUT,
        audit_key: audit_key(settings)?,
        epoch: Epoch::new(clock.now(), &mut UnwrapErr(SysRng)),
    };
    Ok(Store::open(&options).await?)
}

/// Opens the store for reading only, also while the service runs on it.
pub(crate) async fn open_to_read(settings: &Settings) -> Result<Store, Failure> {
    let clock = Clock::system();
    let options = ReadOptions {
        url: settings.database().to_owned(),
        now: NowFn::new(move || clock.now()),
        timeout: READING_TIMEOUT,
    };
    Ok(Store::open_to_read(&options).await?)
}

/// Opens the store and starts an engine on it.
pub(crate) async fn start(settings: &Settings) -> Result<Running, Failure> {
    let clock = Clock::system();
    let store = Arc::new(open_store(settings, &clock).await?);
    let defaults = EngineOptions::default();
    let options = EngineOptions {
        member_max_rate_limit: settings.member_max_rate_limit.unwrap_or(defaults.member_max_rate_limit),
        lookups_per_second: settings.lookups_per_second.unwrap_or(defaults.lookups_per_second),
        cached_keys: settings.cached_keys.unwrap_or(defaults.cached_keys),
        plans: plans(settings)?,
        usage_retention_days: retention(settings)?,
        alerts: AlertThresholds {
            expiry_days: settings.alert_expiry_days.map_or(defaults.alerts.expiry_days, i64::from),
            refusals: settings.alert_refusals.map_or(defaults.alerts.refusals, i64::from),
            limit_hits: settings.alert_limit_hits.map_or(defaults.alerts.limit_hits, i64::from),
        },
    };
    let engine = Arc::new(Engine::new(store, clock, options));
    // Before the jobs: what they measure at their start would be lost.
    let exposition = install_metrics()?;
    let jobs = Jobs::start(engine.clone()).await?;
    Ok(Running { engine, jobs, exposition })
}

/// Binds the address of the service.
pub(crate) async fn bind(settings: &Settings) -> Result<Listener, Failure> {
    let listening = Listening {
        address: settings.listen.unwrap_or(DEFAULT_LISTEN),
        tls_certificate: settings.tls_certificate.as_ref(),
        tls_key: settings.tls_key.as_ref(),
        behind_tls_proxy: settings.behind_tls_proxy.unwrap_or(false),
        max_connections: settings.max_connections,
        descriptors_each: 1,
    };
    listening.bind().await
}

/// Serves until `stop`, then finishes what is in flight and gives all units back.
pub(crate) async fn serve(
    running: Running,
    listener: Listener,
    options: AppOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let Running { engine, jobs, exposition } = running;
    let app = App::new(engine, options, exposition.clone());
    tokio::select! {
        () = hokusai_server::serve(listener, router(app), stop) => {}
        () = exposition.keep_small() => {}
    }
    jobs.stop(GIVE_BACK).await;
    Ok(())
}

/// How the settings shape the HTTP side.
pub(crate) fn app_options(settings: &Settings) -> Result<AppOptions, Failure> {
    let defaults = AppOptions::default();
    let services = settings.services.clone().unwrap_or(defaults.services);
    check_services(&services)?;
    Ok(AppOptions {
        services,
        billing_plans: plans(settings)?.names(),
        trusted_proxies: Settings::blocks("trusted_proxies", settings.trusted_proxies.as_ref())?,
        trusted_networks: trusted_networks(settings)?,
        metrics_networks: Settings::blocks("metrics_networks", settings.metrics_networks.as_ref())?,
        behind_unnamed_proxy: behind_unnamed_proxy(
            settings.behind_tls_proxy,
            settings.trusted_proxies.as_ref(),
        ),
        commit: env!("HOKUSAI_COMMIT").into(),
        strict_transport: settings.tls_certificate.is_some() || settings.behind_tls_proxy.unwrap_or(false),
        allowed_hosts: Vec::new(),
    })
}

fn check_services(services: &[String]) -> Result<(), Failure> {
    if services.is_empty() || services.iter().any(String::is_empty) {
        let hint = "leave the setting out for the default";
        return Err(Failure::wrong_use("services: at least one name is needed", hint));
    }
    match services.iter().find(|name| canonical_service(name) != name.as_str()) {
        Some(old) => {
            let hint =
                format!("call the service {} here; requests may use either name", canonical_service(old));
            Err(Failure::wrong_use(format!("services: {old} is an older name"), hint))
        }
        None => Ok(()),
    }
}

/// Listens from now on for being asked to stop: Ctrl-C, or SIGTERM. Whoever says that all is ready has to
/// listen first.
pub(crate) fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A runtime for one command.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// The plans that the settings name.
pub(crate) fn plans(settings: &Settings) -> Result<Plans, Failure> {
    let Some(texts) = settings.billing_plans.as_ref().filter(|texts| !texts.is_empty()) else {
        return Ok(Plans::default());
    };
    Plans::parse(texts).map_err(|why| {
        let hint = "write a plan as NAME, or as NAME=PRICE with the dollars for a prediction past the limit";
        Failure::wrong_use(format!("billing_plans: {why}"), hint)
    })
}

/// How long records are kept, in days.
fn retention(settings: &Settings) -> Result<i64, Failure> {
    match settings.usage_retention_days.map_or(DEFAULT_RETENTION_DAYS, i64::from) {
        days @ 1..=3660 => Ok(days),
        _ => {
            let what = "usage_retention_days: must be from 1 to 3660";
            Err(Failure::wrong_use(what, "leave the setting out for the default"))
        }
    }
}

/// Who comes through a proxy on this machine is not of this machine.
fn trusted_networks(settings: &Settings) -> Result<Vec<IpNet>, Failure> {
    match &settings.trusted_networks {
        Some(texts) => Settings::blocks("trusted_networks", Some(texts)),
        None if settings.behind_tls_proxy.unwrap_or(false) => Ok(Vec::new()),
        None => Ok(loopback()),
    }
}

/// The key that seals the audit log: from its variable, or its file, which is made at the first start.
fn audit_key(settings: &Settings) -> Result<AuditKey, Failure> {
    if let Some(key) = find_audit_key(settings)? {
        return Ok(key);
    }
    propose_audit_key(&audit_key_file(settings)).map_err(|error| {
        let hint = "its directory has to exist and be writable; choose another with --audit-key-file";
        Failure::with_hint(error, hint)
    })?;
    existing_audit_key(settings)
}

/// The key that sealed the audit log. Whoever reads the log does not make one.
pub(crate) fn existing_audit_key(settings: &Settings) -> Result<AuditKey, Failure> {
    find_audit_key(settings)?.ok_or_else(|| {
        let hint = "name the key of the first start by --audit-key-file, or give it in HOKUSAI_AUDIT_KEY";
        let what = format!("there is no audit key in {}", audit_key_file(settings).display());
        Failure::refused(what, hint)
    })
}

fn find_audit_key(settings: &Settings) -> Result<Option<AuditKey>, Failure> {
    let text = match std::env::var_os("HOKUSAI_AUDIT_KEY") {
        Some(text) => Some(text.to_string_lossy().trim().to_owned()),
        None => files::read_private(&audit_key_file(settings))?,
    };
    let short = || {
        let hint = "make one with: openssl rand -hex 32";
        Failure::wrong_use("the audit key is shorter than 32 bytes", hint)
    };
    text.map(|text| AuditKey::new(text).ok_or_else(short)).transpose()
}

fn audit_key_file(settings: &Settings) -> PathBuf {
    settings.audit_key_file.clone().unwrap_or_else(|| settings.beside_database("audit-key"))
}

/// Nodes that start at once in one directory settle on one key.
fn propose_audit_key(path: &Path) -> anyhow::Result<()> {
    let mut random = [0; 32];
    UnwrapErr(SysRng).fill_bytes(&mut random);
    let text = random.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    files::propose_private(path, &text)
}
