//! `hokusai auth admin-token`.

use std::io::Write as _;

use clap::Subcommand;
use hokusai_api::admin_tokens::{CreateToken, TokenInfo};
use hokusai_client::TokenId;

use crate::commands::auth::quiet_value::Quiet;
use crate::commands::auth::{Context, key_values as values, prompt};
use crate::failure::Failure;
use crate::output::{self, BAD, Format, GOOD};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a token and print it, this once
    Create {
        /// User that it acts for
        #[arg(long)]
        user: String,
        /// What to call it
        #[arg(long, value_parser = values::name)]
        name: String,
        /// What it may do
        #[arg(long, default_value = "member", value_parser = ["operator", "member", "verifier"])]
        role: String,
        /// Days until it expires, 1 to 365 [default: never]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(values::DAYS))]
        expires_in_days: Option<u32>,
    },
    /// List tokens
    List {
        /// table is for people, json for programs
        #[arg(
            long,
            value_enum,
            default_value = "table",
            hide_possible_values = true,
            value_name = "table|json"
        )]
        format: Format,
    },
    /// End a token, at once and for good
    Revoke {
        /// The token's id
        #[arg(value_name = "TOKEN_ID", value_parser = Quiet(token_id))]
        id: TokenId,
        /// Do not ask first
        #[arg(long, short)]
        yes: bool,
    },
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.action {
        Action::Create { user, name, role, expires_in_days } => {
            let wish = CreateToken { user_id: user, name, role, expires_in_days };
            create(&wish, context).await
        }
        Action::List { format } => list(format, context).await,
        Action::Revoke { id, yes } => revoke(id, yes, context).await,
    }
}

fn token_id(text: &str) -> Result<TokenId, String> {
    text.trim()
        .parse()
        .map_err(|_| "is no token id; `hokusai auth admin-token list` shows the ids".to_owned())
}

async fn create(wish: &CreateToken, context: &Context) -> Result<(), Failure> {
    let created = context.admin()?.create_token(wish).await?;
    let info = &created.token_info;
    let mut err = anstream::stderr();
    // The token is printed even if nobody can be told of it.
    let _ = writeln!(
        err,
        "Created {} ({} for {}, {}).",
        output::shown(&info.name),
        info.role,
        info.user_id,
        created.token_id
    );
    let _ = writeln!(err, "The token itself is shown only now: keep it in a safe place.");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", created.token).and_then(|()| out.flush()).map_err(|error| {
        let hint = format!("nobody has it now; end it: hokusai auth admin-token revoke {}", created.token_id);
        Failure::refused(format!("the new token can't be printed: {error}"), hint)
    })
}

async fn list(format: Format, context: &Context) -> Result<(), Failure> {
    let (mut pages, mut tokens) = (context.admin()?.tokens(None), Vec::new());
    while let Some(mut page) = pages.next().await? {
        tokens.append(&mut page);
    }
    let mut out = anstream::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&tokens)?)?,
        Format::Table => print_table(&mut out, &tokens, context)?,
    }
    Ok(out.flush()?)
}

fn print_table(
    out: &mut impl std::io::Write,
    tokens: &[TokenInfo],
    context: &Context,
) -> std::io::Result<()> {
    let mut table = output::table(["ID", "NAME", "TOKEN", "USER", "ROLE", "STATUS", "EXPIRES"]);
    output::hide_if_narrow(&mut table, &[2, 6]);
    for token in tokens {
        let (ends, now) = (token.expires_at.as_deref(), context.now);
        let has_ended = ends.and_then(hokusai_api::time::read).is_some_and(|at| at <= now.0);
        let status = match (&token.revoked_at, has_ended) {
            (Some(_), _) => output::painted("revoked", BAD),
            (None, true) => output::painted("expired", BAD),
            (None, false) => output::painted("active", GOOD),
        };
        table.add_row([
            token.token_id.clone(),
            output::shown(&token.name),
            token.token_prefix.clone(),
            token.user_id.clone(),
            token.role.clone(),
            status,
            output::or_never(ends, output::relative, now),
        ]);
    }
    output::print_table(out, &table)
}

async fn revoke(id: TokenId, yes: bool, context: &Context) -> Result<(), Failure> {
    let client = context.admin()?;
    if !prompt::confirm(&format!("Revoke the token {id}, at once and for good?"), yes)? {
        return Err(prompt::left_alone());
    }
    client.revoke_token(id).await?;
    Ok(writeln!(std::io::stdout(), "Revoked {id}.")?)
}
