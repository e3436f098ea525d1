//! `hokusai auth config init`.

use std::io::{self, Write as _};

use hokusai_client::profile::{
    Document, Environment, Setting, Sourced, beginning, check_url, default_url, is_profile_name,
};
use hokusai_client::{Client, Error, KeyQuery};
use hokusai_core::secret::Secret;

use super::person;
use crate::commands::auth::prompt::left_alone;
use crate::failure::Failure;
use crate::output::{ODD, painted};
use crate::profile::{self, ConnectionArgs};
use crate::service::asked_to_stop;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Answer every question with yes: replace a profile, save a token that the service refuses
    #[arg(long, short)]
    yes: bool,
}

/// What goes into the file.
struct Draft {
    service_url: String,
    admin_token: Secret,
    api_key: Option<Secret>,
}

/// What is known before anybody is asked: from flags, variables and the profile as it is.
struct Known {
    service_url: Sourced<Secret>,
    admin_token: Option<Sourced<Secret>>,
    api_key: Option<Sourced<Secret>>,
}

/// Either the whole profile is written or nothing is, however this ends.
pub(super) async fn run(args: Args, connection: &ConnectionArgs) -> Result<(), Failure> {
    let stop = asked_to_stop()?;
    tokio::select! {
        outcome = init(&args, connection) => outcome,
        () = stop => {
            // The line with the question has no end yet.
            writeln!(io::stderr())?;
            Err(Failure::refused("stopped; nothing was changed", ""))
        }
    }
}

async fn init(args: &Args, connection: &ConnectionArgs) -> Result<(), Failure> {
    let environment = profile::environment()?;
    let file = profile::file(&environment)?;
    let document = file.read()?;
    let profile = connection.given().current(&environment, &document);
    if !is_profile_name(&profile.value) {
        let what = format!("{}: a profile can't have the name {:?}", profile.source, profile.value);
        return Err(Failure::wrong_use(what, "use letters, digits, . _ and -, 64 at the most"));
    }
    let profile = profile.value;
    let known = Known::of(connection, &profile, &environment, &document);
    let exists = document.has(&profile);
    let draft = if person::is_there() {
        let keeps = if exists { "; Enter keeps what it says" } else { "" };
        writeln!(io::stderr(), "Profile {profile} in {}{keeps}.", file.shown())?;
        known.ask().await?
    } else if exists && !args.yes {
        let what = format!("profile {profile} is in {} already", file.shown());
        return Err(Failure::wrong_use(what, "add --yes to replace what it says"));
    } else {
        known.take()?
    };
    try_token(&draft, connection.allow_plain_http, args.yes).await?;
    // Somebody may have changed the file in the meantime.
    let mut document = file.read()?;
    draft.write(&profile, &mut document);
    profile::write(file, &document)?;
    writeln!(io::stderr(), "Saved profile {profile} in {}.", file.shown())?;
    if document.current().unwrap_or("default") != profile {
        writeln!(io::stderr(), "`hokusai auth config use {profile}` makes it the current one.")?;
    }
    Ok(())
}

impl Known {
    fn of(args: &ConnectionArgs, profile: &str, environment: &Environment, document: &Document) -> Self {
        let given = args.given();
        let find = |setting| given.find(setting, profile, environment, document);
        Self {
            service_url: find(Setting::AuthServiceUrl).unwrap_or_else(default_url),
            admin_token: find(Setting::AdminToken),
            api_key: find(Setting::ApiKey),
        }
    }

    /// What a person answers; an empty answer takes what is known.
    async fn ask(&self) -> Result<Draft, Failure> {
        let service_url = loop {
            let known = self.service_url.value.expose();
            let typed = person::line(&format!("Service URL [{known}]: ")).await?;
            let url = if typed.is_empty() { known.to_owned() } else { typed };
            match check_url(&url) {
                Ok(()) => break url,
                Err(fault) => writeln!(io::stderr(), "{fault}")?,
            }
        };
        let admin_token = loop {
            match ask_secret("Admin token", self.admin_token.as_ref()).await? {
                Some(token) => break token,
                None => writeln!(io::stderr(), "A token is needed; `hokusai dev` prints one to try.")?,
            }
        };
        let api_key = ask_secret("API key, if you have one", self.api_key.as_ref()).await?;
        Ok(Draft { service_url, admin_token, api_key })
    }

    /// What is known, where nobody can be asked.
    fn take(self) -> Result<Draft, Failure> {
        let url = self.service_url;
        check_url(url.value.expose()).map_err(|fault| {
            let hint = "give the service's URL with --auth-service-url";
            Failure::wrong_use(format!("{}: {fault}", url.source), hint)
        })?;
        let token = self.admin_token.ok_or_else(|| {
            let hint = "export HOKUSAI_ADMIN_TOKEN=…, or run this on a terminal";
            Failure::wrong_use("there is no admin token to save, and nobody to ask for one", hint)
        })?;
        let api_key = self.api_key.map(|key| key.value);
        Ok(Draft { service_url: url.value.expose().to_owned(), admin_token: token.value, api_key })
    }
}

/// A secret that can stand in the file.
async fn ask_secret(name: &str, known: Option<&Sourced<Secret>>) -> Result<Option<Secret>, Failure> {
    let offer = known
        .map(|known| format!(" [{} from {}]", beginning(&known.value), known.source))
        .unwrap_or_default();
    loop {
        let typed = person::secret(&format!("{name}{offer}: ")).await?;
        if typed.expose().is_empty() {
            return Ok(known.map(|known| known.value.clone()));
        }
        if !typed.expose().contains(char::is_control) {
            return Ok(Some(typed));
        }
        writeln!(io::stderr(), "That holds a control character; type or paste it once more.")?;
    }
}

/// Asks the service whether it takes the token; if not, goes on only if somebody wants that.
async fn try_token(draft: &Draft, allow_plain_http: bool, yes: bool) -> Result<(), Failure> {
    let Err(trouble) = list_a_key(draft, allow_plain_http).await else {
        return Ok(writeln!(io::stderr(), "{} accepts the token.", draft.service_url)?);
    };
    if !yes && !person::is_there() {
        return Err(trouble.into());
    }
    writeln!(anstream::stderr(), "{}: the token was not accepted: {trouble:#}", painted("warning", ODD))?;
    if yes || person::agrees("Save it all the same?").await? { Ok(()) } else { Err(left_alone()) }
}

async fn list_a_key(draft: &Draft, allow_plain_http: bool) -> anyhow::Result<()> {
    let builder = Client::builder(&draft.service_url)?.token(draft.admin_token.clone());
    let client = if allow_plain_http { builder.allow_plain_http() } else { builder }.build()?;
    match client.keys(&KeyQuery { page_size: Some(1), ..KeyQuery::default() }).next().await {
        // A verifier's token is known, but may not list keys.
        Ok(_) | Err(Error::Forbidden(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Draft {
    fn write(&self, profile: &str, document: &mut Document) {
        document.set(profile, Setting::AuthServiceUrl, &self.service_url);
        document.set(profile, Setting::AdminToken, self.admin_token.expose());
        if let Some(key) = &self.api_key {
            document.set(profile, Setting::ApiKey, key.expose());
        }
    }
}
