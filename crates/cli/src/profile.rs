//! Which service a client command speaks to, and as whom. What counts is decided by the client's
//! configuration; here are the flags, the variables of this process, and writing the file.

use std::fs;
use std::io::Write as _;

use clap::builder::NonEmptyStringValueParser;
use hokusai_client::profile::{self, ConfigPath, Connection, Document, Environment, Given, Setting, Warning};
use hokusai_core::secret::Secret;

use crate::failure::Failure;
use crate::files;
use crate::output::{LABEL, ODD, painted};

/// Flags of all commands that speak to a service. Tokens have none: others see a process's arguments.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ConnectionArgs {
    /// Profile in ~/.hokusai/config [env: HOKUSAI_PROFILE]
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    profile: Option<String>,
    /// Service to speak to [env: HOKUSAI_AUTH_SERVICE_URL]
    #[arg(long, global = true, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    auth_service_url: Option<String>,
    /// Send tokens and keys over plain http to another machine, where anybody in between can read them
    #[arg(long, global = true)]
    pub(crate) allow_plain_http: bool,
}

impl ConnectionArgs {
    /// Finds the values, and warns on standard error of what looks wrong in the file.
    pub(crate) fn resolve(&self) -> Result<Connection, Failure> {
        let environment = environment()?;
        let document = environment.document()?;
        for warning in environment.file().iter().flat_map(|file| file.warnings(&document)) {
            show(&warning)?;
        }
        Ok(self.given().settle(&environment, &document)?)
    }

    /// What the flags say.
    pub(crate) fn given(&self) -> Given {
        let mut given = Given::default();
        if let Some(name) = &self.profile {
            given = given.profile(name.clone(), "--profile");
        }
        if let Some(url) = &self.auth_service_url {
            let url = Secret::new(url.clone());
            given = given.setting(Setting::AuthServiceUrl, url, "--auth-service-url");
        }
        given
    }
}

/// The variables of this process.
pub(crate) fn environment() -> Result<Environment, Failure> {
    Ok(Environment::read(|name| std::env::var_os(name))?)
}

/// Where the file is or belongs, for a command that can't do without.
pub(crate) fn file(environment: &Environment) -> Result<&ConfigPath, Failure> {
    environment.file().ok_or_else(|| {
        let hint = "set HOME, or name the file: export HOKUSAI_CLIENT_CONFIG=PATH";
        Failure::wrong_use("there is no home directory to keep a configuration in", hint)
    })
}

/// Replaces the file; whoever reads it finds the old text or the new one.
pub(crate) fn write(file: &ConfigPath, document: &Document) -> Result<(), Failure> {
    // A link to the file stays a link.
    let path = fs::canonicalize(file.path()).unwrap_or_else(|_| file.path().to_owned());
    if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
        let what = format!("{} is no file that can be replaced", file.shown());
        return Err(Failure::wrong_use(what, "name another with HOKUSAI_CLIENT_CONFIG"));
    }
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        files::make_private_directory(directory)?;
    }
    let text = document.text();
    Ok(files::replace_private(&path, text.expose().strip_suffix('\n').unwrap_or_default())?)
}

/// The admin token, for a command that can't do without.
pub(crate) fn admin_token(connection: &Connection) -> Result<&Secret, Failure> {
    connection.admin_token.as_ref().map(|token| &token.value).ok_or_else(|| {
        let hint = "export HOKUSAI_ADMIN_TOKEN=…, or run `hokusai auth config init`; \
                    to try the service, `hokusai dev` prints one";
        let what = format!("there is no admin token for profile {}", connection.profile.value);
        Failure::not_authorised(what, hint)
    })
}

/// The API key, for a command that can't do without.
pub(crate) fn api_key(connection: &Connection) -> Result<&Secret, Failure> {
    connection.api_key.as_ref().map(|key| &key.value).ok_or_else(|| {
        let hint = "export HOKUSAI_API_KEY=…, or run `hokusai auth config init`; \
                    `hokusai auth create-key` makes one";
        let what = format!("there is no API key for profile {}", connection.profile.value);
        Failure::not_authorised(what, hint)
    })
}

/// There is no such profile.
pub(crate) fn no_profile(name: &str, document: &Document, file: &ConfigPath) -> Failure {
    profile::no_profile(name, None, document, file.shown()).into()
}

fn show(warning: &Warning) -> Result<(), Failure> {
    let (label, hint) = (painted("warning", ODD), painted("hint", LABEL));
    Ok(writeln!(anstream::stderr(), "{label}: {}\n{hint}: {}", warning.what, warning.hint)?)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn a_missing_token_is_refused_with_where_to_put_one() {
        let environment = Environment::read(|_| None).unwrap();
        let connection =
            ConnectionArgs::default().given().settle(&environment, &Document::default()).unwrap();
        assert!(api_key(&connection).is_err());
        assert_snapshot!(format!("{:#?}", admin_token(&connection).unwrap_err()), @r#"
        Failure {
            what: "there is no admin token for profile default",
            hint: Some(
                "export HOKUSAI_ADMIN_TOKEN=…, or run `hokusai auth config init`; to try the service, `hokusai dev` prints one",
            ),
            status: 4,
        }
        "#);
    }

    #[test]
    fn what_the_flags_say_goes_before_everything() {
        let args = ConnectionArgs {
            profile: Some("staging".into()),
            auth_service_url: Some("http://127.0.0.1:4658".into()),
            allow_plain_http: false,
        };
        let environment = Environment::read(|_| Some("https://elsewhere.example".into())).unwrap();
        let document = Document::parse("[staging]\n").unwrap();
        let connection = args.given().settle(&environment, &document).unwrap();
        assert_eq!(connection.profile.source.to_string(), "--profile");
        assert_eq!(connection.service_url.value, "http://127.0.0.1:4658");
        assert_eq!(connection.service_url.source.to_string(), "--auth-service-url");
    }
}
