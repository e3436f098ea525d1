//! `hokusai gateway`: requests with a good key pass to the services behind it.

use hokusai_gateway::{Gateway, Mlflow, RouteTable};

use crate::failure::Failure;
use crate::gateway;
use crate::gateway_settings::GatewaySettingsArgs;
use crate::logs::{self, LogFormat};
use crate::output;
use crate::service::{asked_to_stop, block_on};

/// Run the gateway.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Check the configuration, show its routes, and end
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    settings: GatewaySettingsArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (settings, file) = args.settings.resolve()?;
    let routes = gateway::routes(&settings, file.as_ref())?;
    if args.check {
        gateway::validation_ttl(&settings)?;
        return show(&routes, gateway::options(&settings, None)?.mlflow.as_ref());
    }
    let logs = logs::start(
        settings.log.as_deref().unwrap_or("info"),
        settings.log_format.unwrap_or(LogFormat::Text),
    )?;
    block_on(async {
        let options = gateway::options(&settings, logs.access_log())?;
        let listener = gateway::bind(&settings).await?;
        let exposition = hokusai_http::install_metrics()?;
        let nodes = gateway::Nodes::of(&settings)?;
        let verifier = gateway::verifier(&settings, &nodes)?;
        let stop = asked_to_stop()?;
        tracing::info!(address = %listener.local_addr()?, routes = routes.summaries().len(), "ready");
        let gateway = Gateway::new(routes, verifier.clone(), nodes.clients()?, options, exposition.clone());
        gateway::serve(listener, gateway, verifier, exposition, stop).await?;
        tracing::info!("stopped");
        Ok(())
    })
}

fn show(routes: &RouteTable, mlflow: Option<&Mlflow>) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let mut table = output::table(["PREFIX", "UPSTREAM", "SCOPE", "SERVICE"]);
    for route in routes.summaries() {
        let any = |text: String| if text.is_empty() { "any".to_owned() } else { text };
        let scopes = any(route.scopes.join(" or "));
        let service = any(route.service.clone().unwrap_or_default());
        table.add_row([route.prefix.clone(), route.upstream.clone(), scopes, service]);
    }
    if let Some(mlflow) = mlflow {
        let scopes = mlflow.scopes().join(" or ");
        table.add_row(["MLflow".to_owned(), mlflow.host(), scopes, "any".to_owned()]);
    }
    Ok(output::print_table(&mut out, &table)?)
}
