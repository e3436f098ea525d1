//! `hokusai dev`: the service to try, with nothing to configure.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use hokusai_core::key::Environment;
use hokusai_core::policy::{Attempt, ClientAddress, DEFAULT_RATE_LIMIT, Demand};
use hokusai_core::scope::Scope;
use hokusai_core::token::Role;
use hokusai_engine::{Actor, Engine, Expiry, KeyWish, TokenWish};
use hokusai_gateway::{AccessLog, Gateway};

use crate::failure::Failure;
use crate::files;
use crate::gateway;
use crate::gateway_settings::GatewaySettings;
use crate::logs::{self, LogFormat};
use crate::mlflow_server::MlflowServer;
use crate::service::{self, DEFAULT_LISTEN, app_options, asked_to_stop, bind};
use crate::settings::{ConfigFile, Settings};

/// Try the service on this machine. Keys, token and data live in one directory; delete it to start anew.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to keep everything
    #[arg(long, value_name = "DIRECTORY", default_value = ".hokusai-dev")]
    dir: PathBuf,
    /// Address to listen on; must be this machine's own
    #[arg(long, value_name = "ADDRESS", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Address of the gateway; must be this machine's own
    #[arg(long, value_name = "ADDRESS", default_value_t = gateway::DEFAULT_LISTEN)]
    gateway_listen: SocketAddr,
    /// Configuration file with what is behind the gateway
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Start an installed MLflow server behind the gateway, too; PROGRAM says where it is [default: mlflow]
    #[arg(long, value_name = "PROGRAM", num_args = 0..=1, require_equals = true, default_missing_value = "mlflow")]
    mlflow: Option<PathBuf>,
    /// What to log
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

/// What a developer needs to begin.
struct Credentials {
    admin_token: String,
    api_key: String,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    for address in [args.listen, args.gateway_listen] {
        if !address.ip().is_loopback() {
            let hint = "use `hokusai serve` and `hokusai gateway` for others to reach them";
            let what = format!("dev listens only on this machine, not on {address}");
            return Err(Failure::wrong_use(what, hint));
        }
    }
    let file = args.config.as_deref().map(ConfigFile::read).transpose()?;
    let mut behind = behind(args, file.as_ref())?;
    let logs = logs::start(&args.log, LogFormat::Text)?;
    files::make_private_directory(&args.dir)?;
    service::block_on(async {
        // From here on, whatever is started is stopped.
        let stop = asked_to_stop()?;
        let runs_jobs = behind.mlflow_admin == Some(true);
        let start = |program| MlflowServer::start(program, &args.dir.join("mlflow"), runs_jobs);
        let mut mlflow = args.mlflow.as_deref().map(start).transpose()?;
        if let Some(server) = &mlflow {
            behind.mlflow_url = Some(server.url.clone());
        }
        let served = serve(args, behind, file.as_ref(), mlflow.as_mut(), logs.access_log(), stop).await;
        if let Some(server) = mlflow {
            server.stop().await;
        }
        served
    })
}

/// What is behind the gateway.
fn behind(args: &Args, file: Option<&ConfigFile>) -> Result<GatewaySettings, Failure> {
    let written = file.map(ConfigFile::gateway).transpose()?.unwrap_or_default();
    if args.mlflow.is_some() && written.mlflow_url.is_some() {
        let hint = "leave --mlflow out, or mlflow_url";
        return Err(Failure::wrong_use("the file names an MLflow server, and --mlflow starts another", hint));
    }
    Ok(GatewaySettings {
        listen: Some(args.gateway_listen),
        mlflow_url: written.mlflow_url,
        mlflow_admin: written.mlflow_admin,
        ..GatewaySettings::default()
    })
}

/// Starts everything, and serves until it is to stop.
async fn serve(
    args: &Args,
    mut behind: GatewaySettings,
    file: Option<&ConfigFile>,
    mlflow: Option<&mut MlflowServer>,
    access_log: Option<AccessLog>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    tokio::pin!(stop);
    let routes = gateway::routes(&behind, file)?;
    let settings = Settings {
        listen: Some(args.listen),
        database: Some(format!("sqlite://{}", args.dir.join("hokusai.db").display())),
        ..Settings::default()
    };
    let mut options = app_options(&settings)?;
    options.allowed_hosts = this_machine();
    let listener = bind(&settings).await?;
    let gateway_listener = gateway::bind(&behind).await?;
    let running = service::start(&settings).await?;
    let credentials = Credentials {
        admin_token: kept_token(&running.engine, &args.dir.join("admin-token"), Role::Operator).await?,
        api_key: sample_key(&running.engine, &args.dir.join("api-key")).await?,
    };
    let service_token = args.dir.join("service-token");
    kept_token(&running.engine, &service_token, Role::Verifier).await?;
    behind.service_token_file = Some(service_token);
    behind.journal = Some(args.dir.join("gateway"));
    let addresses = (listener.local_addr()?, gateway_listener.local_addr()?);
    behind.auth_service = Some(vec![format!("http://{}", addresses.0)]);
    let exposition = running.exposition.clone();
    // The service goes last: the gateway still has to tell it something.
    let (end_service, service_ends) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(service::serve(running, listener, options, async {
        let _ = service_ends.await;
    }));
    let nodes = gateway::Nodes::of(&behind)?;
    let verifier = gateway::verifier(&behind, &nodes)?;
    let mut options = gateway::options(&behind, access_log)?;
    options.allowed_hosts = this_machine();
    let in_front = options.mlflow.clone();
    let is_ready = match (mlflow, &in_front) {
        (Some(server), Some(mlflow)) => tokio::select! {
            ready = server.wait_until_ready(mlflow) => ready.map(|()| true)?,
            () = &mut stop => false,
        },
        _ => true,
    };
    let served = if is_ready {
        let gateway = Gateway::new(routes, verifier.clone(), nodes.clients()?, options, exposition.clone());
        greet(addresses, &credentials, in_front.is_some())?;
        gateway::serve(gateway_listener, gateway, verifier, exposition, stop).await
    } else {
        Ok(())
    };
    let _ = end_service.send(());
    serving.await?.and(served)
}

/// The names that a browser on this machine may call it by.
fn this_machine() -> Vec<String> {
    ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec()
}

/// The token of earlier starts, or a new one.
async fn kept_token(engine: &Engine, file: &Path, role: Role) -> Result<String, Failure> {
    let here = IpAddr::from([127, 0, 0, 1]);
    if let Some(text) = files::read_private(file)?
        && engine.authenticate(&text, here).await?.is_some_and(|token| token.role == role)
    {
        return Ok(text);
    }
    let (user_id, name) = ("admin".to_owned(), "dev".to_owned());
    let wish = TokenWish { user_id, name, role, expires_in_days: None };
    let text = engine.issue_token(&Actor::system(), wish).await?.plain.expose().to_owned();
    files::replace_private(file, &text)?;
    Ok(text)
}

/// The sample key of earlier starts, or a new one.
async fn sample_key(engine: &Engine, file: &Path) -> Result<String, Failure> {
    let here = IpAddr::from([127, 0, 0, 1]);
    let attempt = Attempt { service_id: None, demand: Demand::Nothing, client: ClientAddress::Known(here) };
    if let Some(text) = files::read_private(file)?
        && engine.identify(&text, &attempt, here).await?.is_ok()
    {
        return Ok(text);
    }
    let scopes =
        ["model:read", "model:write", "mlflow:access"].into_iter().filter_map(Scope::parse).collect();
    let wish = KeyWish {
        name: "Sample key".into(),
        service_id: "platform".into(),
        scopes,
        environment: Environment::Development,
        rate_limit_per_hour: DEFAULT_RATE_LIMIT,
        expiry: Expiry::Never,
        allowlist: Vec::new(),
        monthly_prediction_limit: None,
        billing_plan: None,
        metadata: "{}".into(),
        user_id: Some("admin".into()),
    };
    let text = engine.issue(&Actor::system(), wish).await?.plain.expose().to_owned();
    files::replace_private(file, &text)?;
    Ok(text)
}

fn greet(
    (address, gateway): (SocketAddr, SocketAddr),
    credentials: &Credentials,
    has_mlflow: bool,
) -> Result<(), Failure> {
    let Credentials { admin_token, api_key } = credentials;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        r#"
Hokusai Auth is ready on http://{address} (API: http://{address}/docs),
and its gateway on http://{gateway}. Ctrl-C stops both.

In another shell:

  export HOKUSAI_AUTH_SERVICE_URL=http://{address}
  export HOKUSAI_ADMIN_TOKEN={admin_token}
  export HOKUSAI_API_KEY={api_key}
  export HOKUSAI_API_ENDPOINT=http://{gateway}

Then create a key, and validate the sample key:

  curl -X POST $HOKUSAI_AUTH_SERVICE_URL/api/v1/keys -H "Authorization: Bearer $HOKUSAI_ADMIN_TOKEN" \
    -H "Content-Type: application/json" -d '{{"name": "My First Key"}}'

  curl -X POST $HOKUSAI_AUTH_SERVICE_URL/api/v1/keys/validate -H "Authorization: Bearer $HOKUSAI_API_KEY"

Ask the gateway with it:

  curl $HOKUSAI_API_ENDPOINT/v1/models -H "Authorization: Bearer $HOKUSAI_API_KEY"
"#
    )?;
    if has_mlflow {
        writeln!(
            out,
            r"MLflow is behind the gateway. Its client needs two variables:

  export MLFLOW_TRACKING_URI=http://{gateway}
  export MLFLOW_TRACKING_TOKEN={api_key}
"
        )?;
    }
    out.flush()?;
    Ok(())
}
