//! Rotating many keys, so that no new one is lost when it is broken off.
//!
//! Each new key is on disk before the next rotation is asked for. Started again with the same file, keys
//! that stand there are left alone. A key whose answer was lost on the way has a successor that nobody
//! has; that one is active and stands nowhere, so it is rotated like any other.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use hokusai_api::keys::KeyInfo;
use hokusai_client::{Client, KeyQuery};

use crate::commands::auth::saved_keys::SavedKeys;
use crate::commands::auth::{Context, list_keys, prompt};
use crate::failure::Failure;
use crate::output;

/// What to rotate, and where the new keys go.
pub(crate) struct Plan {
    pub(crate) environment: Option<String>,
    pub(crate) grace_hours: Option<u32>,
    pub(crate) save: PathBuf,
}

pub(crate) async fn run(plan: Plan, yes: bool, client: &Client, context: &Context) -> Result<(), Failure> {
    let mut saved = SavedKeys::open(&plan.save)?;
    let keys = open_ones(&plan, client, &saved).await?;
    let mut err = anstream::stderr();
    if keys.is_empty() {
        writeln!(err, "There is nothing to rotate; {} has {}.", plan.save.display(), counted(saved.len()))?;
        return Ok(());
    }
    output::print_table(&mut err, &list_keys::table(&keys, context))?;
    writeln!(err, "The new keys go to {}.", plan.save.display())?;
    if !prompt::confirm(&format!("Rotate {}?", counted(keys.len())), yes)? {
        return Err(prompt::left_alone());
    }
    for (number, key) in keys.iter().enumerate() {
        if std::io::stderr().is_terminal() {
            write!(err, "\r{} of {}: {}\x1b[K", number + 1, keys.len(), output::shown(&key.name))?;
            err.flush()?;
        }
        let rotated = client.rotate_key(key.key_id.parse()?, plan.grace_hours).await;
        let created = rotated.map_err(|error| {
            let way_out = format!(
                "{number} of {} were rotated; the same command, with the same file, goes on with the rest",
                keys.len()
            );
            Failure::from(error).with_way_out(way_out)
        })?;
        saved.add(&created)?;
    }
    if std::io::stderr().is_terminal() {
        write!(err, "\r\x1b[K")?;
    }
    writeln!(err, "Rotated {}; what is new is in {}.", counted(keys.len()), plan.save.display())?;
    Ok(())
}

/// The keys that are still to be rotated, the oldest first.
async fn open_ones(plan: &Plan, client: &Client, saved: &SavedKeys) -> Result<Vec<KeyInfo>, Failure> {
    let query = KeyQuery { environment: plan.environment.clone(), active_only: true, ..KeyQuery::default() };
    let (mut pages, mut keys) = (client.keys(&query), Vec::new());
    while let Some(page) = pages.next().await? {
        keys.extend(page.into_iter().filter(|key| key.status == "active" && !saved.holds(&key.key_id)));
    }
    keys.reverse();
    Ok(keys)
}

fn counted(keys: usize) -> String {
    if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") }
}
