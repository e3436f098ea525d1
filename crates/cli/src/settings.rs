//! Settings of the service: flag, then variable, then file, then default; unknown ones are refused.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use hokusai_core::address::parse_block;
use ipnet::IpNet;
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::failure::Failure;
use crate::gateway_settings::GatewaySettings;
use crate::logs::LogFormat;

/// Variables that are not settings of the service, but belong to this program all the same.
const OTHER_VARIABLES: [&str; 10] = [
    "HOKUSAI_ADMIN_TOKEN",
    "HOKUSAI_API_ENDPOINT",
    "HOKUSAI_API_KEY",
    "HOKUSAI_AUDIT_KEY",
    "HOKUSAI_AUTH_SERVICE_URL",
    "HOKUSAI_BOOTSTRAP_ADMIN_TOKEN",
    "HOKUSAI_COMMIT",
    "HOKUSAI_CONFIG",
    "HOKUSAI_GATEWAY_SERVICE_TOKEN",
    "HOKUSAI_PROFILE",
];

/// What can be set, as it was typed: every setting is a flag, a variable and a line in the file.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Address to listen on [default: 127.0.0.1:4658]
    #[arg(long, env = "HOKUSAI_LISTEN", value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Database: sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME [default: sqlite://hokusai.db]
    #[arg(long, env = "HOKUSAI_DATABASE", value_name = "URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Database connections [default: 16]
    #[arg(long, env = "HOKUSAI_DATABASE_CONNECTIONS", value_name = "N")]
    pub(crate) database_connections: Option<u32>,
    /// Whether PostgreSQL rings for changes, besides being asked for them [default: true]
    #[arg(long, env = "HOKUSAI_DATABASE_LISTEN", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) database_listen: Option<bool>,
    /// TLS certificate chain (PEM); read again when it changes
    #[arg(long, env = "HOKUSAI_TLS_CERTIFICATE", value_name = "FILE")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// TLS private key (PEM)
    #[arg(long, env = "HOKUSAI_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A proxy in front speaks TLS: plain text on any address is fine
    #[arg(long, env = "HOKUSAI_BEHIND_TLS_PROXY", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) behind_tls_proxy: Option<bool>,
    /// Proxies whose X-Forwarded-For is believed: addresses or CIDR blocks
    #[arg(long, env = "HOKUSAI_TRUSTED_PROXIES", value_name = "BLOCK", value_delimiter = ',')]
    pub(crate) trusted_proxies: Option<Vec<String>>,
    /// Networks that may report usage without a credential [default: this machine; none with --behind-tls-proxy]
    #[arg(long, env = "HOKUSAI_TRUSTED_NETWORKS", value_name = "BLOCK", value_delimiter = ',')]
    pub(crate) trusted_networks: Option<Vec<String>>,
    /// Networks that may read /metrics, besides this machine
    #[arg(long, env = "HOKUSAI_METRICS_NETWORKS", value_name = "BLOCK", value_delimiter = ',')]
    pub(crate) metrics_networks: Option<Vec<String>>,
    /// Services that keys can be for; the first is the default [default: platform,prediction]
    #[arg(long, env = "HOKUSAI_SERVICES", value_name = "NAME", value_delimiter = ',')]
    pub(crate) services: Option<Vec<String>>,
    /// Billing plans, each with the dollars for a prediction past the monthly limit; without a price there are
    /// none past it. The first is the default [default: free=0.001]
    #[arg(long, env = "HOKUSAI_BILLING_PLANS", value_name = "NAME[=PRICE]", value_delimiter = ',')]
    pub(crate) billing_plans: Option<Vec<String>>,
    /// Days that records of usage and counts of validations are kept; their sums stay [default: 35]
    #[arg(long, env = "HOKUSAI_USAGE_RETENTION_DAYS", value_name = "DAYS")]
    pub(crate) usage_retention_days: Option<u16>,
    /// Days before a key expires from which on there is an alert [default: 14]
    #[arg(long, env = "HOKUSAI_ALERT_EXPIRY_DAYS", value_name = "DAYS")]
    pub(crate) alert_expiry_days: Option<u16>,
    /// Refusals of a key in an hour from which on there is an alert [default: 100]
    #[arg(long, env = "HOKUSAI_ALERT_REFUSALS", value_name = "N")]
    pub(crate) alert_refusals: Option<u32>,
    /// Times in an hour that a key reaches its limit from which on there is an alert [default: 100]
    #[arg(long, env = "HOKUSAI_ALERT_LIMIT_HITS", value_name = "N")]
    pub(crate) alert_limit_hits: Option<u32>,
    /// Most requests an hour that a member may give to a key [default: 1000]
    #[arg(long, env = "HOKUSAI_MEMBER_MAX_RATE_LIMIT", value_name = "N")]
    pub(crate) member_max_rate_limit: Option<u32>,
    /// Look-ups of unknown keys and tokens a second, for each client address [default: 50]
    #[arg(long, env = "HOKUSAI_LOOKUPS_PER_SECOND", value_name = "N")]
    pub(crate) lookups_per_second: Option<u32>,
    /// Most keys held in memory [default: 1000000]
    #[arg(long, env = "HOKUSAI_CACHED_KEYS", value_name = "N")]
    pub(crate) cached_keys: Option<usize>,
    /// Most connections at once [default: 10000]
    #[arg(long, env = "HOKUSAI_MAX_CONNECTIONS", value_name = "N")]
    pub(crate) max_connections: Option<usize>,
    /// File with the key that seals the audit log; made at the first start [default: next to the database]
    #[arg(long, env = "HOKUSAI_AUDIT_KEY_FILE", value_name = "FILE")]
    pub(crate) audit_key_file: Option<PathBuf>,
    /// File for the first operator token, if it is not shown [default: next to the database]
    #[arg(long, env = "HOKUSAI_OPERATOR_TOKEN_FILE", value_name = "FILE")]
    pub(crate) operator_token_file: Option<PathBuf>,
    /// What to log, such as info, warn or hokusai=debug [default: info]
    #[arg(long, env = "HOKUSAI_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How log lines look [default: text]
    #[arg(long, env = "HOKUSAI_LOG_FORMAT", value_name = "FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,
    /// Settings of the gateway, which are not the service's.
    #[arg(skip)]
    pub(crate) gateway: Option<IgnoredAny>,
}

/// Flags that every command on the database takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct SettingsArgs {
    /// Configuration file (TOML)
    #[arg(long, env = "HOKUSAI_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// The settings of a struct: each from the first of two that has it.
macro_rules! first_set {
    ($settings:ident, $first:ident, $second:ident: $($field:ident),* $(,)?) => {
        $settings { $($field: $first.$field.or($second.$field)),* }
    };
}
pub(crate) use first_set;

impl SettingsArgs {
    /// The settings, with what flags and variables leave open taken from the file.
    pub(crate) fn resolve(self) -> Result<Settings, Failure> {
        check_variables()?;
        let file = self.config.as_deref().map(ConfigFile::read).transpose()?;
        let file = file.as_ref().map(ConfigFile::service).transpose()?.unwrap_or_default();
        let typed = self.settings;
        Ok(first_set!(
            Settings, typed, file: listen, database, database_connections, database_listen, tls_certificate,
            tls_key, behind_tls_proxy, trusted_proxies, trusted_networks, metrics_networks, services,
            billing_plans, usage_retention_days, alert_expiry_days, alert_refusals, alert_limit_hits,
            member_max_rate_limit, lookups_per_second, cached_keys, max_connections, audit_key_file,
            operator_token_file, log, log_format, gateway,
        ))
    }
}

/// A configuration file: settings of the service, and below `[gateway]` those of the gateway.
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl ConfigFile {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// The settings of the service.
    pub(crate) fn service(&self) -> Result<Settings, Failure> {
        self.check_names("serve", &self.table()?, &known_settings())?;
        toml::from_str(&self.text).map_err(|error| self.unreadable(&error))
    }

    /// The settings of the gateway.
    pub(crate) fn gateway(&self) -> Result<GatewaySettings, Failure> {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            gateway: GatewaySettings,
        }
        let table = self.table()?;
        if let Some(DeValue::Table(table)) = table.get("gateway").map(Spanned::get_ref) {
            self.check_names("gateway", table, &known_gateway_settings())?;
        }
        let file: File = toml::from_str(&self.text).map_err(|error| self.unreadable(&error))?;
        Ok(file.gateway)
    }

    fn table(&self) -> Result<DeTable<'_>, Failure> {
        DeTable::parse(&self.text).map(Spanned::into_inner).map_err(|error| self.unreadable(&error))
    }

    fn check_names(
        &self,
        command: &str,
        table: &DeTable<'_>,
        known: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        match table.keys().find(|name| !known.contains(&**name.get_ref())) {
            None => Ok(()),
            Some(unknown) => {
                let (name, line) = (unknown.get_ref(), self.line(unknown.span().start));
                let what = format!("setting {name} in {}: line {line}", self.path.display());
                Err(unknown_setting(command, &what, name, known))
            }
        }
    }

    /// The line that a place in the text is in, from 1.
    fn line(&self, place: usize) -> usize {
        self.text[..place.min(self.text.len())].matches('\n').count() + 1
    }

    /// Says where the file is wrong, without the line itself: it may hold the database's password.
    fn unreadable(&self, error: &toml::de::Error) -> Failure {
        let line = self.line(error.span().map_or(0, |span| span.start));
        let what = format!("can't read {}: line {line}: {}", self.path.display(), error.message());
        Failure::wrong_use(what, "docs/configuration.md lists the settings with their forms")
    }
}

/// Refuses a variable that looks like a mistyped setting. Others may belong to somebody else: container
/// platforms set HOKUSAI_… for a service of that name.
pub(crate) fn check_variables() -> Result<(), Failure> {
    let service = known_settings().into_iter().map(|name| format!("HOKUSAI_{}", name.to_uppercase()));
    let gateway = known_gateway_settings().into_iter();
    let gateway = gateway.map(|name| format!("HOKUSAI_GATEWAY_{}", name.to_uppercase()));
    let variables = service.chain(gateway);
    let known: BTreeSet<String> = variables.chain(OTHER_VARIABLES.map(str::to_owned)).collect();
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let is_unknown = name.starts_with("HOKUSAI_") && !known.contains(&*name);
        if is_unknown && nearest(&name, &known, 2).is_some() {
            return Err(unknown_setting("serve", &format!("variable {name}"), &name, &known));
        }
    }
    Ok(())
}

fn unknown_setting(command: &str, what: &str, name: &str, known: &BTreeSet<String>) -> Failure {
    let all = format!("`hokusai {command} --help` lists all settings");
    let hint = match nearest(name, known, usize::MAX) {
        Some(nearest) => format!("did you mean {nearest}? {all}"),
        None => all,
    };
    Failure::wrong_use(format!("unknown {what}"), hint)
}

fn nearest<'a>(name: &str, known: &'a BTreeSet<String>, most: usize) -> Option<&'a String> {
    let distance = |candidate: &String| strsim::damerau_levenshtein(name, candidate);
    known.iter().min_by_key(|candidate| distance(candidate)).filter(|candidate| distance(candidate) <= most)
}

/// The names of all settings of the service, from the one place that lists them. The gateway has a table.
fn known_settings() -> BTreeSet<String> {
    names::<Settings>().chain(["gateway".to_owned()]).collect()
}

/// The same of the gateway, and what it reads itself.
fn known_gateway_settings() -> BTreeSet<String> {
    names::<GatewaySettings>().chain(["routes", "scopes"].map(str::to_owned)).collect()
}

fn names<S: Args>() -> impl Iterator<Item = String> {
    let command = S::augment_args(clap::Command::new("settings").disable_help_flag(true));
    let names: Vec<String> = command.get_arguments().map(|argument| argument.get_id().to_string()).collect();
    names.into_iter()
}

/// Whether a proxy is in front that is not named: everybody may then seem to be the proxy.
pub(crate) fn behind_unnamed_proxy(behind_tls_proxy: Option<bool>, trusted: Option<&Vec<String>>) -> bool {
    behind_tls_proxy.unwrap_or(false) && trusted.is_none_or(Vec::is_empty)
}

impl Settings {
    /// The database's URL.
    pub(crate) fn database(&self) -> &str {
        self.database.as_deref().unwrap_or("sqlite://hokusai.db")
    }

    /// A file that belongs to the database: next to it, or in the working directory.
    pub(crate) fn beside_database(&self, extension: &str) -> PathBuf {
        let path = hokusai_store::sqlite_path(self.database()).unwrap_or(Path::new("hokusai"));
        path.with_extension(extension)
    }

    /// Networks under a setting's name, for a fault to be found.
    pub(crate) fn blocks(name: &str, texts: Option<&Vec<String>>) -> Result<Vec<IpNet>, Failure> {
        let parse = |text: &String| {
            parse_block(text).ok_or_else(|| {
                let hint = "write it like 10.0.0.0/8 or 2001:db8::1";
                Failure::wrong_use(format!("{name}: {text} is no IP address or CIDR block"), hint)
            })
        };
        texts.into_iter().flatten().map(parse).collect()
    }
}
