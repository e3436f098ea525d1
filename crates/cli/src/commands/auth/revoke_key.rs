//! `hokusai auth revoke-key`.

use std::io::Write as _;

use crate::commands::auth::quiet_value::Quiet;
use crate::commands::auth::{Context, key_ids, list_keys, prompt};
use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The keys' ids, or the beginnings of them
    #[arg(value_name = "KEY_ID", required = true, value_parser = Quiet(key_ids::read))]
    ids: Vec<String>,
    /// Do not ask first
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let client = context.admin()?;
    let mut keys = Vec::new();
    for id in &args.ids {
        let id = key_ids::whole(id, &client).await?;
        keys.push(client.key(id).await?);
    }
    if !args.yes {
        output::print_table(&mut anstream::stderr().lock(), &list_keys::table(&keys, context))?;
    }
    let question = match keys.len() {
        1 => "Revoke this key, at once and for good?".to_owned(),
        several => format!("Revoke these {several} keys, at once and for good?"),
    };
    if !prompt::confirm(&question, args.yes)? {
        return Err(prompt::left_alone());
    }
    for key in keys {
        client.revoke_key(key.key_id.parse()?).await?;
        writeln!(anstream::stdout(), "Revoked {} ({}).", key.key_id, output::shown(&key.name))?;
    }
    Ok(())
}
