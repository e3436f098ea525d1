//! `hokusai serve`: the service for real use.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use hokusai_core::token::{BOOTSTRAP_MIN_LENGTH, PlainToken};
use hokusai_engine::Engine;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

use crate::failure::Failure;
use crate::files;
use crate::logs::{self, LogFormat};
use crate::service::{self, app_options, asked_to_stop, bind};
use crate::settings::{Settings, SettingsArgs};

/// Run the service.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let settings = args.settings.resolve()?;
    let _logs = logs::start(
        settings.log.as_deref().unwrap_or("info"),
        settings.log_format.unwrap_or(LogFormat::Text),
    )?;
    service::block_on(async {
        let options = app_options(&settings)?;
        let listener = bind(&settings).await?;
        let running = service::start(&settings).await?;
        first_token(&running.engine, &settings).await?;
        let stop = asked_to_stop()?;
        tracing::info!(address = %listener.local_addr()?, "ready");
        service::serve(running, listener, options, stop).await?;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Makes the first operator token if there never was one, and hands it over in a way that can't lose it.
async fn first_token(engine: &Engine, settings: &Settings) -> Result<(), Failure> {
    if let Some(chosen) = std::env::var_os("HOKUSAI_BOOTSTRAP_ADMIN_TOKEN") {
        let token = PlainToken::chosen(&chosen.to_string_lossy()).ok_or_else(|| {
            let hint =
                format!("it takes {BOOTSTRAP_MIN_LENGTH} bytes or more, and must not look like an API key");
            Failure::wrong_use("HOKUSAI_BOOTSTRAP_ADMIN_TOKEN can't be used", hint)
        })?;
        engine.bootstrap(Some(token)).await?;
        return Ok(());
    }
    if engine.had_operator().await? {
        return Ok(());
    }
    let token = PlainToken::generate(&mut UnwrapErr(SysRng));
    if std::io::stderr().is_terminal() {
        if engine.bootstrap(Some(token.clone())).await?.is_some() {
            let mut stderr = std::io::stderr().lock();
            writeln!(stderr, "The first operator token, shown only now:\n\n  {}\n", token.expose())?;
        }
        return Ok(());
    }
    hand_over_in_file(engine, &token, settings).await
}

/// The token is on disk before it counts, and gets its name only once it counts.
async fn hand_over_in_file(engine: &Engine, token: &PlainToken, settings: &Settings) -> Result<(), Failure> {
    let path: PathBuf =
        settings.operator_token_file.clone().unwrap_or_else(|| settings.beside_database("operator-token"));
    let draft = path.with_added_extension(std::process::id().to_string());
    files::replace_private(&draft, token.expose())?;
    if engine.bootstrap(Some(token.clone())).await?.is_some() {
        std::fs::rename(&draft, &path)?;
        tracing::info!(path = %path.display(), "the first operator token is in this file; move it to a safe place");
    } else {
        std::fs::remove_file(&draft)?;
    }
    Ok(())
}
