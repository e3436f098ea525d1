//! `hokusai auth update-key`.

use std::io::Write as _;

use hokusai_api::keys::UpdateKey;

use crate::commands::auth::quiet_value::Quiet;
use crate::commands::auth::{Context, key_ids, key_values as values, show_key};
use crate::failure::Failure;
use crate::output::{self, Format, LABEL};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("changes").required(true).multiple(true).args([
    "name", "rate_limit", "allowed_ip", "any_ip", "expires_in_days", "never_expires", "scope",
    "billing_plan", "monthly_prediction_limit", "any_predictions", "metadata",
])))]
pub(crate) struct Args {
    /// The key's id, or the beginning of it
    #[arg(value_name = "KEY_ID", value_parser = Quiet(key_ids::read))]
    id: String,
    /// What to call it
    #[arg(long, value_parser = values::name)]
    name: Option<String>,
    /// Requests an hour, 10 to 100000; keeps this hour's count
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(values::RATE_LIMIT))]
    rate_limit: Option<u32>,
    /// Address or CIDR block that it may be used from; may be given again, and replaces the former ones
    #[arg(long, value_name = "ADDRESS", value_parser = values::address_block)]
    allowed_ip: Vec<String>,
    /// Let it be used from any address
    #[arg(long, conflicts_with = "allowed_ip")]
    any_ip: bool,
    /// Days from now until it expires, 1 to 365
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(values::DAYS))]
    expires_in_days: Option<u32>,
    /// Let it live until it is revoked
    #[arg(long, conflicts_with = "expires_in_days")]
    never_expires: bool,
    /// What it may be used for; may be given again, and replaces the former ones
    #[arg(long, value_parser = values::scope)]
    scope: Vec<String>,
    /// Plan that its usage is billed by
    #[arg(long, value_name = "PLAN")]
    billing_plan: Option<String>,
    /// Predictions a month
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(0..))]
    monthly_prediction_limit: Option<i64>,
    /// Let it make any number of predictions a month
    #[arg(long, conflicts_with = "monthly_prediction_limit")]
    any_predictions: bool,
    /// A note on it; may be given again, and replaces the former ones
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::note)]
    metadata: Vec<(String, String)>,
    /// table is for people, json for programs
    #[arg(long, value_enum, default_value = "table", hide_possible_values = true, value_name = "table|json")]
    format: Format,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let client = context.admin()?;
    let id = key_ids::whole(&args.id, &client).await?;
    let format = args.format;
    let key = client.update_key(id, &change(args)).await?;
    writeln!(anstream::stderr(), "Changed {LABEL}{}{LABEL:#}.", output::shown(&key.name))?;
    show_key::print(&key, format, context)
}

fn change(args: Args) -> UpdateKey {
    let blocks = (args.any_ip || !args.allowed_ip.is_empty()).then_some(args.allowed_ip);
    UpdateKey {
        name: args.name,
        scopes: Some(args.scope).filter(|scopes| !scopes.is_empty()),
        rate_limit_per_hour: args.rate_limit,
        allowed_ips: blocks,
        expires_in_days: args.expires_in_days,
        expires_at: args.never_expires.then_some(None),
        monthly_prediction_limit: if args.any_predictions {
            Some(None)
        } else {
            args.monthly_prediction_limit.map(Some)
        },
        billing_plan: args.billing_plan,
        metadata: (!args.metadata.is_empty()).then(|| args.metadata.into_iter().collect()),
    }
}
