//! `hokusai auth rotate-key`.

use std::io::Write as _;
use std::path::PathBuf;

use hokusai_api::keys::CreatedKey;

use crate::commands::auth::quiet_value::Quiet;
use crate::commands::auth::{Context, create_key, key_ids, key_values as values, rotate_all};
use crate::failure::Failure;
use crate::output::{self, Format, LABEL};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The key's id, or the beginning of it
    #[arg(value_name = "KEY_ID", value_parser = Quiet(key_ids::read))]
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// Hours for which the old key works on, 0 to 168 [default: 24]
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(0..=168))]
    grace_hours: Option<u32>,
    /// json prints the whole answer instead of the key alone
    #[arg(long, value_enum, default_value = "table", hide_possible_values = true, conflicts_with = "all")]
    format: Format,
    /// Rotate every active key, and save each new one in --save as it comes
    #[arg(long, requires = "save")]
    all: bool,
    /// With --all: only those of this environment
    #[arg(long, value_name = "NAME", value_parser = values::environment, requires = "all")]
    environment: Option<String>,
    /// With --all: file for the new keys; with the file of a run that was broken off, goes on with that
    #[arg(long, value_name = "FILE", requires = "all")]
    save: Option<PathBuf>,
    /// With --all: do not ask first
    #[arg(long, short, requires = "all")]
    yes: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let client = context.admin()?;
    if let Some(save) = args.save {
        let plan = rotate_all::Plan { environment: args.environment, grace_hours: args.grace_hours, save };
        return rotate_all::run(plan, args.yes, &client, context).await;
    }
    let id = args.id.unwrap_or_default();
    let id = key_ids::whole(&id, &client).await?;
    let created = client.rotate_key(id, args.grace_hours).await?;
    // The key is printed even if nobody can be told of it.
    let _ = tell(&created, context);
    create_key::print(&created, args.format)
}

fn tell(created: &CreatedKey, context: &Context) -> Result<(), Failure> {
    let mut err = anstream::stderr().lock();
    writeln!(err, "Rotated {LABEL}{}{LABEL:#}; its new id is {}.", created.key_info.name, created.key_id)?;
    if let Some(previous) = &created.previous_key {
        let until = output::local(&previous.valid_until, context.now);
        writeln!(err, "The old key, {}, works until {until}.", previous.key_id)?;
    }
    writeln!(err, "The new key itself is shown only now: keep it in a safe place.")?;
    Ok(())
}
