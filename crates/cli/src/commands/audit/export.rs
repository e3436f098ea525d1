//! `hokusai audit export`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hokusai_core::audit::Form;
use hokusai_core::time::Timestamp;
use hokusai_server::audit_entry;
use hokusai_store::{AuditStretch, Store};

use crate::commands::audit::{ENTRIES_AT_ONCE, read_time, with_store};
use crate::failure::Failure;
use crate::settings::SettingsArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only from this time on, such as 2026-03-04T10:30:00Z
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    since: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    until: Option<Timestamp>,
    /// New file to write to, for its owner alone [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let Args { since, until, out, settings } = args;
    let stretch = AuditStretch { since, until, from: i64::MIN, limit: ENTRIES_AT_ONCE };
    with_store(&settings.resolve()?, async |store| match out {
        Some(path) => to_file(store, stretch, &path).await,
        None => write_all(store, stretch, &mut BufWriter::new(io::stdout())).await.map(drop),
    })
}

/// Half an export is none: a file that can't be finished is removed.
async fn to_file(store: &Store, stretch: AuditStretch, path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    let file = File::options().create_new(true).write(true).mode(0o600).open(path).map_err(|error| {
        let hint = "the file must not exist yet, and its directory has to";
        Failure::with_hint(anyhow::Error::new(error).context(format!("can't make {shown}")), hint)
    })?;
    let outcome = async {
        let count = write_all(store, stretch, &mut BufWriter::new(&file)).await?;
        file.sync_all().with_context(|| format!("can't write {shown}"))?;
        Ok(count)
    };
    match outcome.await {
        Ok(count) => Ok(writeln!(io::stderr(), "Wrote {count} entries to {shown}.")?),
        Err(failure) => {
            let _ = fs::remove_file(path);
            Err(failure)
        }
    }
}

async fn write_all(store: &Store, mut stretch: AuditStretch, out: &mut impl Write) -> Result<u64, Failure> {
    let mut count = 0;
    loop {
        let entries = store.read_audit(&stretch).await?;
        for sealed in &entries {
            if sealed.form == Form::Unnumbered {
                let error = "the audit log holds an entry whose number is no whole number";
                return Err(Failure::refused(error, "run `hokusai audit verify`"));
            }
            writeln!(out, "{}", serde_json::to_string(&audit_entry(sealed))?)?;
            count += 1;
        }
        let Some(rest) = entries.last().and_then(|last| stretch.behind(last)) else { break };
        stretch = rest;
    }
    out.flush()?;
    Ok(count)
}
