//! `hokusai auth revoke-key`.

use std::io::Write as _;

use hokusai_api::verifiers::Effective;
use hokusai_core::time::Timestamp;

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
        let revoked = client.revoke_key(key.key_id.parse()?).await?;
        writeln!(anstream::stdout(), "Revoked {} ({}).", key.key_id, output::shown(&key.name))?;
        // The key is revoked even if nobody can be told how soon that holds.
        let _ = writeln!(anstream::stderr(), "{}", told(revoked.effective.as_ref(), context.now));
    }
    Ok(())
}

/// Whether a revocation holds everywhere, or from when on. The instant is the service's, to the last digit:
/// rounded down it would promise too much.
fn told(effective: Option<&Effective>, now: Timestamp) -> String {
    let Some(effective) = effective else {
        return "The service does not say whether everybody knows of it; revoke it again to ask.".to_owned();
    };
    if effective.everywhere {
        return "It is refused everywhere from now on.".to_owned();
    }
    let pending = match effective.pending.as_ref().map_or(0, Vec::len) {
        1 => "1 process has".to_owned(),
        several => format!("{several} processes have"),
    };
    let latest = effective.at_latest.as_deref().map_or_else(String::new, |at| {
        let at = output::shown(at);
        format!(" From {at} at the latest ({}) none of them admits it.", output::relative(&at, now))
    });
    format!("{pending} not confirmed it yet.{latest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_how_soon_a_revocation_holds() {
        let now = Timestamp(1_772_620_200_000_000);
        let pending = |holders: &[&str]| Effective {
            everywhere: false,
            at: None,
            pending: Some(holders.iter().map(|&holder| holder.to_owned()).collect()),
            at_latest: Some("2026-03-04T10:35:05.25Z".into()),
        };
        let everywhere = Effective { everywhere: true, at: None, pending: None, at_latest: None };
        let until = "From 2026-03-04T10:35:05.25Z at the latest (in 5 minutes) none of them admits it.";
        for (effective, said) in [
            (Some(everywhere), "It is refused everywhere from now on.".to_owned()),
            (Some(pending(&["a"])), format!("1 process has not confirmed it yet. {until}")),
            (Some(pending(&["a", "b"])), format!("2 processes have not confirmed it yet. {until}")),
            (None, "The service does not say whether everybody knows of it; revoke it again to ask.".into()),
        ] {
            assert_eq!(told(effective.as_ref(), now), said);
        }
    }
}
