//! Which service a client command speaks to, and as whom: flag, then variable, then profile, then default.
//!
//! A profile inherits nothing from `[default]`: a token of one service must never reach another because a
//! line was left out.

mod document;
mod file;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;

use clap::builder::NonEmptyStringValueParser;
use hokusai_client::{Client, UrlError};
use hokusai_core::secret::Secret;

pub(crate) use document::{Document, Setting, is_profile_name};
pub(crate) use file::{ConfigPath, Warning};

use crate::failure::Failure;
use crate::output::{LABEL, ODD, painted};

const PROFILE_VARIABLE: &str = "HOKUSAI_PROFILE";
const FILE_VARIABLE: &str = "HOKUSAI_CLIENT_CONFIG";
const DEFAULT_SERVICE_URL: &str = "https://auth.hokus.ai";
const DEFAULT_API_ENDPOINT: &str = "https://api.hokus.ai";

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

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Flag(&'static str),
    Variable(&'static str),
    /// The file, and a profile in it, if it stands in one.
    File {
        shown: String,
        profile: Option<String>,
    },
    Default,
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

/// What a client command works with.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) profile: Sourced<String>,
    pub(crate) service_url: Sourced<String>,
    pub(crate) api_endpoint: Sourced<String>,
    pub(crate) admin_token: Option<Sourced<Secret>>,
    pub(crate) api_key: Option<Sourced<Secret>>,
}

/// What the variables say. An empty one says nothing.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    values: BTreeMap<&'static str, Secret>,
    file: Option<ConfigPath>,
}

impl ConnectionArgs {
    /// Finds the values, and warns on standard error of what looks wrong in the file.
    pub(crate) fn resolve(&self) -> Result<Connection, Failure> {
        let environment = Environment::of_process()?;
        let document = environment.file.as_ref().map(ConfigPath::read).transpose()?.unwrap_or_default();
        for warning in environment.file.iter().flat_map(|file| file.warnings(&document)) {
            warning.show()?;
        }
        self.settle(&environment, &document)
    }

    /// What counts, of the flags, these variables and this file.
    pub(crate) fn settle(
        &self,
        environment: &Environment,
        document: &Document,
    ) -> Result<Connection, Failure> {
        let profile = self.profile(environment, document);
        if !document.offers(&profile.value) {
            return Err(no_profile(&profile.value, Some(&profile.source), document, environment.shown()));
        }
        let find = |setting| self.find(setting, &profile.value, environment, document);
        let url = |setting, default: &str| {
            let url = find(setting).unwrap_or_else(|| default_of(default)).exposed();
            check_url(&url.value).map_err(|fault| url.unusable(&fault)).map(|()| url)
        };
        Ok(Connection {
            service_url: url(Setting::AuthServiceUrl, DEFAULT_SERVICE_URL)?,
            api_endpoint: url(Setting::ApiEndpoint, DEFAULT_API_ENDPOINT)?,
            admin_token: find(Setting::AdminToken),
            api_key: find(Setting::ApiKey),
            profile,
        })
    }

    /// The profile that is asked for, whether it exists or not.
    pub(crate) fn profile(&self, environment: &Environment, document: &Document) -> Sourced<String> {
        let flag = self.profile.clone().map(|value| Sourced { value, source: Source::Flag("--profile") });
        let variable = || environment.get(PROFILE_VARIABLE).map(Sourced::exposed);
        let current = || {
            let source = Source::File { shown: environment.shown().to_owned(), profile: None };
            document.current().map(|name| Sourced { value: name.to_owned(), source })
        };
        let default = || Sourced { value: document::DEFAULT.to_owned(), source: Source::Default };
        flag.or_else(variable).or_else(current).unwrap_or_else(default)
    }

    /// The first value of a setting that somebody gave.
    pub(crate) fn find(
        &self,
        setting: Setting,
        profile: &str,
        environment: &Environment,
        document: &Document,
    ) -> Option<Sourced<Secret>> {
        let flag = self.auth_service_url.clone().filter(|_| setting == Setting::AuthServiceUrl);
        let flag =
            flag.map(|url| Sourced { value: Secret::new(url), source: Source::Flag("--auth-service-url") });
        let stored = || {
            let (shown, profile_name) = (environment.shown().to_owned(), Some(profile.to_owned()));
            let source = Source::File { shown, profile: profile_name };
            document.get(profile, setting).map(|value| Sourced { value: value.clone(), source })
        };
        flag.or_else(|| environment.get(setting.variable())).or_else(stored)
    }
}

impl Environment {
    /// The variables of this process.
    pub(crate) fn of_process() -> Result<Self, Failure> {
        Self::read(|name| std::env::var_os(name))
    }

    /// The variables that `lookup` finds.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let path = |name| lookup(name).filter(|value| !value.is_empty());
        let mut values = BTreeMap::new();
        for name in Setting::ALL.map(Setting::variable).into_iter().chain([PROFILE_VARIABLE]) {
            let Some(value) = lookup(name) else { continue };
            let value = value.into_string().map_err(|_| unusable_variable(name, "it is not UTF-8"))?;
            let value = Secret::new(value.trim().to_owned());
            if value.expose().contains(char::is_control) {
                return Err(unusable_variable(name, "it holds a line break or another control character"));
            }
            if !value.expose().is_empty() {
                values.insert(name, value);
            }
        }
        Ok(Self { values, file: ConfigPath::choose(path(FILE_VARIABLE), path("HOME")) })
    }

    /// Where the file is or belongs, for a command that can't do without.
    pub(crate) fn file(&self) -> Result<&ConfigPath, Failure> {
        self.file.as_ref().ok_or_else(|| {
            let hint = format!("set HOME, or name the file: export {FILE_VARIABLE}=PATH");
            Failure::wrong_use("there is no home directory to keep a configuration in", hint)
        })
    }

    fn shown(&self) -> &str {
        self.file.as_ref().map_or(file::USUAL_PLACE, ConfigPath::shown)
    }

    fn get(&self, name: &'static str) -> Option<Sourced<Secret>> {
        let value = self.values.get(name)?.clone();
        Some(Sourced { value, source: Source::Variable(name) })
    }
}

impl Connection {
    /// The admin token, for a command that can't do without.
    pub(crate) fn admin_token(&self) -> Result<&Secret, Failure> {
        self.admin_token.as_ref().map(|token| &token.value).ok_or_else(|| {
            let hint = "export HOKUSAI_ADMIN_TOKEN=…, or run `hokusai auth config init`; \
                        to try the service, `hokusai dev` prints one";
            Failure::not_authorised(
                format!("there is no admin token for profile {}", self.profile.value),
                hint,
            )
        })
    }

    /// The API key, for a command that can't do without.
    pub(crate) fn api_key(&self) -> Result<&Secret, Failure> {
        self.api_key.as_ref().map(|key| &key.value).ok_or_else(|| {
            let hint = "export HOKUSAI_API_KEY=…, or run `hokusai auth config init`; \
                        `hokusai auth create-key` makes one";
            Failure::not_authorised(format!("there is no API key for profile {}", self.profile.value), hint)
        })
    }
}

impl Sourced<Secret> {
    /// As plain text, for what is no secret.
    fn exposed(self) -> Sourced<String> {
        Sourced { value: self.value.expose().to_owned(), source: self.source }
    }
}

impl Sourced<String> {
    fn unusable(&self, fault: &UrlError) -> Failure {
        let hint = "write it like https://auth.hokus.ai or http://127.0.0.1:4658";
        Failure::wrong_use(format!("{}: {fault}", self.source), hint)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File { shown, profile: Some(profile) } => write!(f, "{shown} [{profile}]"),
            Self::File { shown, profile: None } => f.write_str(shown),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Warning {
    /// Tells it on standard error.
    pub(crate) fn show(&self) -> Result<(), Failure> {
        let (warning, hint) = (painted("warning", ODD), painted("hint", LABEL));
        Ok(writeln!(anstream::stderr(), "{warning}: {}\n{hint}: {}", self.what, self.hint)?)
    }
}

/// Where the service is unless somebody says otherwise.
pub(crate) fn default_url() -> Sourced<Secret> {
    default_of(DEFAULT_SERVICE_URL)
}

fn default_of(value: &str) -> Sourced<Secret> {
    Sourced { value: Secret::new(value.to_owned()), source: Source::Default }
}

/// Whether requests can go to this URL. The reason shows no password that it may hold.
pub(crate) fn check_url(url: &str) -> Result<(), UrlError> {
    Client::builder(url).map(drop)
}

/// The beginning of a secret, enough to tell two apart: what it is, and four characters.
pub(crate) fn beginning(secret: &Secret) -> String {
    let text = secret.expose();
    let prefix =
        ["hk_live_", "hk_test_", "hk_dev_", "hka_"].into_iter().find(|prefix| text.starts_with(prefix));
    let shown = prefix.map_or(0, str::len) + 4;
    // A short one would be given away.
    let shown = if text.chars().count() >= shown + 12 { shown } else { 0 };
    text.chars().take(shown).chain(['…']).collect()
}

/// Says that there is no such profile, who asked for it, and which there are.
pub(crate) fn no_profile(name: &str, asked_by: Option<&Source>, document: &Document, shown: &str) -> Failure {
    let known: Vec<&str> = document.profiles().collect();
    let hint = match (document::nearest(name, known.iter().copied()), known.is_empty()) {
        (Some(near), _) => format!("did you mean {near}? There are: {}", known.join(", ")),
        (None, false) => format!("there are: {}", known.join(", ")),
        (None, true) => format!("make it: hokusai auth config init --profile {name}"),
    };
    let asked_by = asked_by.map(|source| format!("; {source} asks for it")).unwrap_or_default();
    Failure::wrong_use(format!("there is no profile {name} in {shown}{asked_by}"), hint)
}

fn unusable_variable(name: &str, fault: &str) -> Failure {
    Failure::wrong_use(format!("{name} can't be used: {fault}"), format!("unset {name}, or set it anew"))
}

#[cfg(test)]
mod tests;
