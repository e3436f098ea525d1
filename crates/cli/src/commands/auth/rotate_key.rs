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
    #[arg(long, value_name = "NAME", value_parser = values::environment)]
    #[arg(requires = "all", conflicts_with = "id")]
    environment: Option<String>,
    /// With --all: file for the new keys; with the file of a run that was broken off, goes on with that
    #[arg(long, value_name = "FILE", requires = "all", conflicts_with = "id")]
    save: Option<PathBuf>,
    /// With --all: do not ask first
    #[arg(long, short, requires = "all", conflicts_with = "id")]
    yes: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let client = context.admin()?;
    if let (true, Some(save)) = (args.all, args.save) {
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
    writeln!(err, "Rotated {LABEL}{}{LABEL:#}.", output::shown(&created.key_info.name))?;
    let mut facts = vec![("new id", created.key_id.clone())];
    if let Some(previous) = &created.previous_key {
        facts.push(("old id", previous.key_id.clone()));
        facts.push(("old key ends", output::local(&previous.valid_until, context.now)));
    }
    output::print_facts(&mut err, &facts)?;
    writeln!(err, "The new key itself is shown only now: keep it in a safe place.")?;
    Ok(())
}
