//! `hokusai auth whoami`.

use std::io::Write as _;

use crate::commands::auth::Context;
use crate::failure::Failure;
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// table is for people, json for programs
    #[arg(long, value_enum, default_value = "table", hide_possible_values = true, value_name = "table|json")]
    format: Format,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let token = context.admin()?.current_token().await?;
    let mut out = anstream::stdout().lock();
    if args.format == Format::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(&token)?)?;
        return Ok(out.flush()?);
    }
    let connection = &context.connection;
    let source = connection.admin_token.as_ref().map(|token| token.source.to_string()).unwrap_or_default();
    let expires = output::or_never(token.expires_at.as_deref(), output::local, context.now);
    let facts = [
        ("service", format!("{} (from {})", connection.service_url.value, connection.service_url.source)),
        ("user", token.user_id),
        ("role", token.role),
        ("token", format!("{} {}, from {source}", token.name, token.token_prefix)),
        ("id", token.token_id),
        ("expires", expires),
    ];
    output::print_facts(&mut out, &facts)?;
    Ok(out.flush()?)
}
