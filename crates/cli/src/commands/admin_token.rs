//! `hokusai admin-token`: admin tokens directly in the database, for whoever has lost the last one.

use std::io::Write as _;
use std::sync::Arc;

use clap::Subcommand;
use hokusai_core::id::TokenId;
use hokusai_core::token::Role;
use hokusai_engine::{Actor, Clock, Declined, Engine, EngineOptions, TokenWish};
use hokusai_store::TokenFilter;

use crate::failure::Failure;
use crate::service;
use crate::settings::SettingsArgs;

/// Manage admin tokens directly in the database.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a token and print it
    Create {
        /// User that the token acts for
        #[arg(long, default_value = "admin")]
        user: String,
        /// What to call it
        #[arg(long)]
        name: String,
        /// What it may do: operator, member or verifier
        #[arg(long, default_value = "operator", value_parser = read_role)]
        role: Role,
        /// Days until it expires [default: never]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=365))]
        expires_in_days: Option<i64>,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// List tokens
    List {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Revoke a token
    Revoke {
        /// The token's id
        id: TokenId,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Create { user, name, role, expires_in_days, settings } => {
            let wish = TokenWish { user_id: user, name, role, expires_in_days };
            with_engine(settings, async |engine| create(engine, wish).await)
        }
        Action::List { settings } => with_engine(settings, list),
        Action::Revoke { id, settings } => with_engine(settings, async |engine| revoke(engine, id).await),
    }
}

fn with_engine(
    settings: SettingsArgs,
    action: impl AsyncFnOnce(&Engine) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let settings = settings.resolve()?;
    service::block_on(async {
        let clock = Clock::system();
        let store = Arc::new(service::open_store(&settings, &clock).await?);
        let engine = Engine::new(store.clone(), clock, EngineOptions::default());
        let outcome = action(&engine).await;
        store.close().await;
        outcome
    })
}

async fn create(engine: &Engine, wish: TokenWish) -> Result<(), Failure> {
    let issued = engine.issue_token(&Actor::system(), wish).await?;
    writeln!(std::io::stderr(), "Token {}, shown only now:", issued.token.id)?;
    writeln!(std::io::stdout(), "{}", issued.plain.expose())?;
    Ok(())
}

async fn list(engine: &Engine) -> Result<(), Failure> {
    let tokens = engine.list_tokens(&Actor::system(), TokenFilter { before: None, limit: 1000 }).await?;
    let mut out = std::io::stdout().lock();
    for token in tokens {
        let state = if token.lifetime.lives(engine.clock().now()) { "active" } else { "ended" };
        let (id, role, user) = (token.id, token.role.name(), token.user_id);
        writeln!(out, "{id}  {role:<8}  {state}  {user}  {}", token.name)?;
    }
    Ok(())
}

async fn revoke(engine: &Engine, id: TokenId) -> Result<(), Failure> {
    match engine.revoke_token(&Actor::system(), id).await {
        Err(error @ Declined::LastOperator) => {
            let hint = "create another operator token first: hokusai admin-token create --name NAME";
            Err(Failure::with_hint(error, hint))
        }
        Err(error @ Declined::NotFound) => {
            Err(Failure::with_hint(error, "`hokusai admin-token list` shows the tokens that there are"))
        }
        other => Ok(other?),
    }
}

fn read_role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| "must be operator, member or verifier".to_owned())
}
