//! Which service a person's programs speak to, and as whom: what was given on the spot, then the variables, then
//! the profile in the file, then the defaults. The commands and the Python package both ask here.
//!
//! A profile inherits nothing from `[default]`: a token of one service must never reach another because a
//! line was left out. Nothing here reads the environment: whoever asks hands over what it says.

mod document;
mod file;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;

use hokusai_core::secret::Secret;

use crate::client::Client;
use crate::service_url::UrlError;

pub use document::{Document, Remark, Setting, is_profile_name};
pub use file::{ConfigPath, Warning};

const PROFILE_VARIABLE: &str = "HOKUSAI_PROFILE";
const FILE_VARIABLE: &str = "HOKUSAI_CLIENT_CONFIG";
const DEFAULT_SERVICE_URL: &str = "https://auth.hokus.ai";
const DEFAULT_API_ENDPOINT: &str = "https://api.hokus.ai";

/// What was given on the spot, by flags or arguments. It goes before everything else.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Given {
    profile: Option<Sourced<String>>,
    settings: Vec<(Setting, Sourced<Secret>)>,
}

/// Why there is no configuration to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Something was written or asked for wrongly.
    #[error("{what}")]
    Wrong {
        /// What is wrong. No secret is in it.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// The file is there and can't be read.
    #[error("can't read {shown}")]
    Unreadable {
        /// The file as people write it.
        shown: String,
        /// What to do about it.
        hint: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was given on the spot, as this flag or argument.
    Given(&'static str),
    /// The variable of this name.
    Variable(&'static str),
    /// The file.
    File {
        /// The file as people write it.
        shown: String,
        /// The profile in it, if the value stands in one.
        profile: Option<String>,
    },
    /// Nobody said anything.
    Default,
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub source: Source,
}

/// What a program of a person works with.
#[derive(Debug)]
pub struct Connection {
    /// The profile that counts.
    pub profile: Sourced<String>,
    /// Where the service is.
    pub service_url: Sourced<String>,
    /// Where the gateway is.
    pub api_endpoint: Sourced<String>,
    /// The admin token, if there is one.
    pub admin_token: Option<Sourced<Secret>>,
    /// The API key, if there is one.
    pub api_key: Option<Sourced<Secret>>,
}

/// What the variables say. An empty one says nothing.
#[derive(Debug, Default)]
pub struct Environment {
    values: BTreeMap<&'static str, Secret>,
    file: Option<ConfigPath>,
}

impl Given {
    /// A profile, and the flag or argument that asked for it.
    pub fn profile(self, name: String, given_as: &'static str) -> Self {
        Self { profile: Some(Sourced { value: name, source: Source::Given(given_as) }), ..self }
    }

    /// A value, and the flag or argument that it was given as. Of several for one setting, the first counts.
    pub fn setting(mut self, setting: Setting, value: Secret, given_as: &'static str) -> Self {
        self.settings.push((setting, Sourced { value, source: Source::Given(given_as) }));
        self
    }

    /// What counts, of what was given, these variables and this file.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`] for a profile that does not exist, and for a URL that is none.
    pub fn settle(&self, environment: &Environment, document: &Document) -> Result<Connection, ConfigError> {
        let profile = self.current(environment, document);
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
    #[must_use]
    pub fn current(&self, environment: &Environment, document: &Document) -> Sourced<String> {
        let variable = || environment.get(PROFILE_VARIABLE).map(Sourced::exposed);
        let current = || {
            let source = Source::File { shown: environment.shown().to_owned(), profile: None };
            document.current().map(|name| Sourced { value: name.to_owned(), source })
        };
        let default = || Sourced { value: document::DEFAULT.to_owned(), source: Source::Default };
        self.profile.clone().or_else(variable).or_else(current).unwrap_or_else(default)
    }

    /// The first value of a setting that somebody gave.
    #[must_use]
    pub fn find(
        &self,
        setting: Setting,
        profile: &str,
        environment: &Environment,
        document: &Document,
    ) -> Option<Sourced<Secret>> {
        let given = self.settings.iter().find(|(known, _)| *known == setting).map(|(_, given)| given.clone());
        let stored = || {
            let (shown, profile_name) = (environment.shown().to_owned(), Some(profile.to_owned()));
            let source = Source::File { shown, profile: profile_name };
            document.get(profile, setting).map(|value| Sourced { value: value.clone(), source })
        };
        given.or_else(|| environment.get(setting.variable())).or_else(stored)
    }
}

impl Environment {
    /// The variables that `lookup` finds. One that is empty says nothing.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`] for a variable that is not UTF-8 or holds a control character.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
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

    /// Where the file is or belongs; `None` where there is no home directory.
    #[must_use]
    pub fn file(&self) -> Option<&ConfigPath> {
        self.file.as_ref()
    }

    /// What the file says; nothing if there is none.
    ///
    /// # Errors
    /// See [`ConfigPath::read`].
    pub fn document(&self) -> Result<Document, ConfigError> {
        Ok(self.file.as_ref().map(ConfigPath::read).transpose()?.unwrap_or_default())
    }

    /// What the file is called.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.file.as_ref().map_or(file::USUAL_PLACE, ConfigPath::shown)
    }

    fn get(&self, name: &'static str) -> Option<Sourced<Secret>> {
        let value = self.values.get(name)?.clone();
        Some(Sourced { value, source: Source::Variable(name) })
    }
}

impl Sourced<Secret> {
    /// As plain text, for what is no secret.
    fn exposed(self) -> Sourced<String> {
        Sourced { value: self.value.expose().to_owned(), source: self.source }
    }
}

impl Sourced<String> {
    fn unusable(&self, fault: &UrlError) -> ConfigError {
        let hint = "write it like https://auth.hokus.ai or http://127.0.0.1:4658";
        ConfigError::wrong(format!("{}: {fault}", self.source), hint)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(name) | Self::Variable(name) => f.write_str(name),
            Self::File { shown, profile: Some(profile) } => write!(f, "{shown} [{profile}]"),
            Self::File { shown, profile: None } => f.write_str(shown),
            Self::Default => f.write_str("default"),
        }
    }
}

impl ConfigError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Wrong { hint, .. } | Self::Unreadable { hint, .. } => hint,
        }
    }

    fn wrong(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Wrong { what: what.into(), hint: hint.into() }
    }
}

/// Where the service is unless somebody says otherwise.
#[must_use]
pub fn default_url() -> Sourced<Secret> {
    default_of(DEFAULT_SERVICE_URL)
}

fn default_of(value: &str) -> Sourced<Secret> {
    Sourced { value: Secret::new(value.to_owned()), source: Source::Default }
}

/// Whether requests can go to this URL.
///
/// # Errors
/// Why not. The reason shows no password that the URL may hold.
pub fn check_url(url: &str) -> Result<(), UrlError> {
    Client::builder(url).map(drop)
}

/// The beginning of a secret, enough to tell two apart: what it is, and four characters.
#[must_use]
pub fn beginning(secret: &Secret) -> String {
    let text = secret.expose();
    let prefix =
        ["hk_live_", "hk_test_", "hk_dev_", "hka_"].into_iter().find(|prefix| text.starts_with(prefix));
    let shown = prefix.map_or(0, str::len) + 4;
    // A short one would be given away.
    let shown = if text.chars().count() >= shown + 12 { shown } else { 0 };
    text.chars().take(shown).chain(['…']).collect()
}

/// Says that there is no such profile, who asked for it, and which there are.
#[must_use]
pub fn no_profile(name: &str, asked_by: Option<&Source>, document: &Document, shown: &str) -> ConfigError {
    let known: Vec<&str> = document.profiles().collect();
    let hint = match (document::nearest(name, known.iter().copied()), known.is_empty()) {
        (Some(near), _) => format!("did you mean {near}? There are: {}", known.join(", ")),
        (None, false) => format!("there are: {}", known.join(", ")),
        (None, true) => format!("make it: hokusai auth config init --profile {name}"),
    };
    let asked_by = asked_by.map(|source| format!("; {source} asks for it")).unwrap_or_default();
    ConfigError::wrong(format!("there is no profile {name} in {shown}{asked_by}"), hint)
}

fn unusable_variable(name: &str, fault: &str) -> ConfigError {
    ConfigError::wrong(format!("{name} can't be used: {fault}"), format!("unset {name}, or set it anew"))
}

#[cfg(test)]
mod tests;
