//! `hokusai auth create-key`.

use std::io::Write as _;

use hokusai_api::keys::{CreateKey, CreatedKey};

use crate::commands::auth::{Context, key_values as values};
use crate::failure::Failure;
use crate::output::{self, Format, LABEL};

/// What a key may be used for unless it is said.
const DEFAULT_SCOPES: [&str; 3] = ["model:read", "model:write", "mlflow:access"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to call it
    #[arg(long, value_parser = values::name)]
    name: String,
    /// production, test or development: keys begin with hk_live_, hk_test_ or hk_dev_
    #[arg(long, value_name = "NAME", default_value = "production", value_parser = values::environment)]
    environment: String,
    /// Requests an hour, 10 to 100000 [default: 1000]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(values::RATE_LIMIT))]
    rate_limit: Option<u32>,
    /// Address or CIDR block that it may be used from; may be given again [default: any]
    #[arg(long, value_name = "ADDRESS", value_parser = values::address_block)]
    allowed_ip: Vec<String>,
    /// Days until it expires, 1 to 365 [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(values::DAYS))]
    expires_in_days: Option<u32>,
    /// What it may be used for; may be given again
    #[arg(long, default_values = DEFAULT_SCOPES, value_parser = values::scope)]
    scope: Vec<String>,
    /// Service that it is for [default: the service's own default]
    #[arg(long)]
    service: Option<String>,
    /// Plan that its usage is billed by [default: the service's own default]
    #[arg(long, value_name = "PLAN")]
    billing_plan: Option<String>,
    /// Predictions a month [default: any number]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(0..))]
    monthly_prediction_limit: Option<i64>,
    /// A note on it; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::note)]
    metadata: Vec<(String, String)>,
    /// User whose key it is; for operators [default: the admin token's user]
    #[arg(long)]
    user: Option<String>,
    /// json prints the whole answer instead of the key alone
    #[arg(long, value_enum, default_value = "table", hide_possible_values = true)]
    format: Format,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let format = args.format;
    let wish = CreateKey {
        name: args.name,
        service_id: args.service,
        scopes: Some(args.scope),
        environment: Some(args.environment),
        rate_limit_per_hour: args.rate_limit,
        expires_in_days: args.expires_in_days,
        expires_at: None,
        allowed_ips: Some(args.allowed_ip).filter(|blocks| !blocks.is_empty()),
        monthly_prediction_limit: args.monthly_prediction_limit,
        billing_plan: args.billing_plan,
        metadata: Some(args.metadata.into_iter().collect())
            .filter(|notes: &std::collections::BTreeMap<_, _>| !notes.is_empty()),
        user_id: args.user,
    };
    let created = context.admin()?.create_key(&wish).await?;
    // The key is printed even if nobody can be told of it.
    let _ = tell(&created, context);
    print(&created, format)
}

/// Tells a person, on standard error, what there is now.
fn tell(created: &CreatedKey, context: &Context) -> Result<(), Failure> {
    let info = &created.key_info;
    let mut err = anstream::stderr().lock();
    writeln!(err, "Created {LABEL}{}{LABEL:#}.", output::shown(&info.name))?;
    let expiry = output::or_never(info.expires_at.as_deref(), output::local, context.now);
    let addresses = if info.allowed_ips.is_empty() { "any".to_owned() } else { info.allowed_ips.join(", ") };
    let facts = [
        ("id", created.key_id.clone()),
        ("environment", info.environment.clone()),
        ("scopes", info.scopes.join(", ")),
        ("limit", format!("{} requests an hour", info.rate_limit_per_hour)),
        ("addresses", addresses),
        ("expires", expiry),
    ];
    output::print_facts(&mut err, &facts)?;
    writeln!(err, "The key itself is shown only now: keep it in a safe place.")?;
    Ok(())
}

/// The key alone, so that `KEY=$(hokusai auth create-key …)` works. One that can't be printed is lost.
pub(crate) fn print(created: &CreatedKey, format: Format) -> Result<(), Failure> {
    let text = match format {
        Format::Table => created.api_key.clone(),
        Format::Json => serde_json::to_string_pretty(created)?,
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| {
        let hint = format!("nobody has it now; end it: hokusai auth revoke-key {}", created.key_id);
        Failure::refused(format!("the new key can't be printed: {error}"), hint)
    })
}
