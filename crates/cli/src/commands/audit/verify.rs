//! `hokusai audit verify`.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hokusai_core::audit::{AuditKey, Checkpoint, Fault, Finding, NoCheckpoint, SealedEntry, Walker};
use hokusai_store::{AuditStretch, Store};

use crate::commands::audit::{ENTRIES_AT_ONCE, with_store};
use crate::failure::Failure;
use crate::output;
use crate::service;
use crate::settings::SettingsArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How far the log went once, as `hokusai audit checkpoint` said
    #[arg(long, value_name = "NUMBER:SEAL", conflicts_with = "checkpoint_file")]
    checkpoint: Option<Checkpoint>,
    /// File of such checkpoints, one a line
    #[arg(long, value_name = "FILE")]
    checkpoint_file: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let checkpoints = match &args.checkpoint_file {
        Some(path) => read_checkpoints(path)?,
        None => Vec::from_iter(args.checkpoint),
    };
    let settings = args.settings.resolve()?;
    let key = service::existing_audit_key(&settings)?;
    with_store(&settings, async |store| verify(store, key, checkpoints).await)
}

async fn verify(store: &Store, key: AuditKey, checkpoints: Vec<Checkpoint>) -> Result<(), Failure> {
    // A checkpoint of no entry says of none that it was there.
    let is_unbound = checkpoints.iter().all(|known| known.number == 0);
    let mut walker = Walker::new(key, store.audit_head().await?, checkpoints);
    let times = walk(store, &mut walker).await?;
    let reached = walker.reached();
    if let Some(finding) = walker.finish() {
        return Err(explain(&finding, reached.number));
    }
    let (first, last) = times.map_or(("none".into(), "none".into()), |(first, last)| (first, last));
    let facts = [
        ("Result", "every entry is as it was written, in its place".to_owned()),
        ("Entries", reached.number.to_string()),
        ("First", first),
        ("Last", last),
        ("Checkpoint", reached.to_string()),
    ];
    output::print_facts(&mut anstream::stdout().lock(), &facts)?;
    if is_unbound {
        writeln!(
            anstream::stderr(),
            "Only --checkpoint or --checkpoint-file can show that nothing was cut off at the end."
        )?;
    }
    Ok(())
}

/// Feeds the walker until it knows; says when the first and the last good entry were written.
async fn walk(store: &Store, walker: &mut Walker) -> Result<Option<(String, String)>, Failure> {
    let mut stretch = AuditStretch { since: None, until: None, from: i64::MIN, limit: ENTRIES_AT_ONCE };
    let mut times: Option<(String, String)> = None;
    loop {
        let entries = store.read_audit(&stretch).await?;
        let rest = entries.last().and_then(|last| stretch.behind(last));
        for sealed in entries {
            let before = walker.reached().number;
            let at = sealed.entry.at.0;
            let outcome = walker.feed(sealed);
            if walker.reached().number > before {
                let at = hokusai_api::time::write(at);
                times = Some((times.map_or_else(|| at.clone(), |(first, _)| first), at));
            }
            if outcome == ControlFlow::Break(()) {
                return Ok(times);
            }
        }
        let Some(rest) = rest else { return Ok(times) };
        stretch = rest;
    }
}

fn explain(finding: &Finding, good: i64) -> Failure {
    let what = format!("the audit log is not as it was written: {}", fault_text(finding));
    let good = match good {
        0 => String::new(),
        1 => "; entry 1 is good".to_owned(),
        good => format!("; entries 1 to {good} are good"),
    };
    let hint = if finding.is_other_key {
        "the database names another audit key than this one: if this is not the key of the first start, use \
         that one; if it is, somebody wrote the log anew"
    } else {
        "leave the database as it is and find out who could write to it; a backup shows what was there"
    };
    Failure::refused(what + &good, hint)
}

fn fault_text(finding: &Finding) -> String {
    let number = finding.number;
    let what = finding.stands_there.as_ref().map_or_else(String::new, |SealedEntry { entry, .. }| {
        let at = hokusai_api::time::write(entry.at.0);
        format!(" ({at}, {})", output::shown(&entry.action))
    });
    let entry = format!("entry {number}{what}");
    match finding.fault {
        Fault::Changed => {
            format!("{entry} does not fit: it was changed, or what came before it was taken out")
        }
        Fault::Missing => format!("{entry} is missing, though later ones are there"),
        Fault::Inserted { belongs_here } => {
            format!("{entry} was inserted: what belongs in its place is now entry {belongs_here}")
        }
        Fault::Moved { belongs_here } => {
            format!("{entry} is out of order: it has changed places with entry {belongs_here}")
        }
        Fault::Extra => format!("{entry} was inserted: another has this number, or none can have it"),
        Fault::TailCut { head } => {
            format!("the end is cut off: {entry} is missing, and all later ones up to {head}")
        }
        Fault::BehindHead { head } => {
            format!("{entry} lies behind the end: the last change wrote entry {head}")
        }
        Fault::HeadDiffers => format!("{entry} is not the end that the last change wrote"),
        Fault::HeadUnreadable => "the database's record of its end is gone, or can't be read".to_owned(),
        Fault::Unnumbered => format!("an entry{what} was inserted or changed: its number is no whole number"),
        Fault::BeforeCheckpoint { checkpoint } => {
            format!("the end is cut off: {entry} is missing, and the checkpoint's entry {checkpoint}")
        }
        Fault::CheckpointDiffers if number == 0 => {
            "the checkpoint of no entry has not the seal with which every log begins".to_owned()
        }
        Fault::CheckpointDiffers => {
            format!("{entry} is not the one of the checkpoint: this log went another way")
        }
        Fault::OtherKey => format!("up to {entry} all is sealed by this key, but the database names another"),
    }
}

fn read_checkpoints(path: &Path) -> Result<Vec<Checkpoint>, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {shown}"))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let hint = "`hokusai audit checkpoint` prints what belongs there";
    let read = |(number, line): (i64, &str)| {
        let wrong = |error: NoCheckpoint| format!("{shown}, line {number}: {error}");
        line.parse().map_err(|error| Failure::wrong_use(wrong(error), hint))
    };
    let checkpoints: Vec<Checkpoint> = lines.map(read).collect::<Result<_, Failure>>()?;
    if checkpoints.is_empty() {
        return Err(Failure::wrong_use(format!("there is no checkpoint in {shown}"), hint));
    }
    Ok(checkpoints)
}
