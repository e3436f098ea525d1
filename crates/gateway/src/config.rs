//! The routes in the configuration file. Every mistake is found at once, with its line and a way out.

mod table;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hokusai_client::Scope;
use toml::de::DeTable;
use url::Url;

use crate::mlflow;
use crate::path::{canonical, is_plain};
use crate::routes::{Limits, MODELS, OWN_PATHS, Route, Routes, leads};
use crate::traffic::Traffic;
use crate::upstream::{Upstream, UpstreamOptions, tls};
use table::{Place, Reading};

/// The most routes.
const MOST_ROUTES: usize = 1000;
/// Scopes that are in use without being named.
const KNOWN_SCOPES: [&str; 7] =
    ["model:read", "model:write", "mlflow:access", "mlflow:read", "mlflow:write", "mlflow:admin", "predict"];
const UPSTREAM_HINT: &str = r#"write it like upstream = "http://127.0.0.1:9000""#;
const DEFAULT_BODY: u64 = 100 * 1024 * 1024;
const FIELDS: [&str; 13] = [
    "prefix",
    "upstream",
    "strip_prefix",
    "scope",
    "scopes",
    "service",
    "environments",
    "connect_timeout_seconds",
    "first_byte_timeout_seconds",
    "idle_timeout_seconds",
    "keep_alive_seconds",
    "max_connections",
    "max_body_bytes",
];

/// A mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line that it is in, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub hint: String,
}

/// What the routes are checked against.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where the gateway listens, so that no route leads back to it.
    pub listen: SocketAddr,
    /// The services that keys can be for, if they are known.
    pub services: Option<Vec<String>>,
    /// Whether MLflow is behind the gateway, so that no route takes its paths.
    pub has_mlflow: bool,
}

/// A route as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSummary {
    /// The prefix.
    pub prefix: String,
    /// The host of the upstream.
    pub upstream: String,
    /// The scopes of which one is needed.
    pub scopes: Vec<String>,
    /// The service that keys have to be for.
    pub service: Option<String>,
}

/// The checked routes.
#[derive(Debug, Default)]
pub struct RouteTable(pub(crate) Routes, Vec<RouteSummary>);

impl RouteTable {
    /// Reads `[[gateway.routes]]` from the text of a configuration file.
    ///
    /// # Errors
    /// Every mistake, in the order of their lines.
    pub fn read(text: &str, surroundings: &Surroundings) -> Result<Self, Vec<Fault>> {
        let file = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            vec![table::fault(text, at, error.message(), "see https://toml.io for the form of the file")]
        })?;
        let mut reading = Reading::new(text);
        let routes = Reader { surroundings, upstreams: HashMap::new(), scopes: None }
            .read(&mut reading, file.get_ref());
        let mut faults = reading.faults;
        if faults.is_empty() {
            let summaries = routes.iter().map(|(route, _)| summary(route)).collect();
            return Ok(Self(Routes::new(routes.into_iter().map(|(route, _)| route).collect()), summaries));
        }
        faults.sort_by_key(|fault| fault.line);
        Err(faults)
    }

    /// The routes in the order of the file.
    #[must_use]
    pub fn summaries(&self) -> &[RouteSummary] {
        &self.1
    }
}

fn summary(route: &Arc<Route>) -> RouteSummary {
    RouteSummary {
        prefix: route.name().to_owned(),
        upstream: String::from_utf8_lossy(route.upstream.host_header().as_bytes()).into_owned(),
        scopes: route.scopes.iter().map(ToString::to_string).collect(),
        service: route.service.as_deref().map(str::to_owned),
    }
}

struct Reader<'a> {
    surroundings: &'a Surroundings,
    /// Routes to one place share its connections.
    upstreams: HashMap<(String, UpstreamOptions), Arc<Upstream>>,
    /// The scopes that the file says are in use.
    scopes: Option<Vec<String>>,
}

impl Reader<'_> {
    fn read(mut self, reading: &mut Reading<'_>, file: &DeTable<'_>) -> Vec<(Arc<Route>, usize)> {
        let Some(gateway) = reading.table(file, "gateway") else { return Vec::new() };
        self.scopes = reading.texts(gateway, "scopes").map(|scopes| {
            scopes.into_iter().map(|(scope, place)| self.scope_text(reading, scope, place)).collect()
        });
        let tables = reading.tables(gateway, "routes");
        if let Some((_, place)) = tables.get(MOST_ROUTES) {
            reading.fault(*place, format!("there are more than {MOST_ROUTES} routes"), "join some of them");
            return Vec::new();
        }
        let mut routes: Vec<(Arc<Route>, usize)> = Vec::new();
        for (table, place) in tables {
            let Some(route) = self.route(reading, table, place) else { continue };
            let is_known = |known: &Route| known.prefix.eq_ignore_ascii_case(&route.prefix);
            if let Some((known, line)) = routes.iter().find(|(known, _)| is_known(known)) {
                let but = if known.prefix == route.prefix { "" } else { ", but for the case of its letters" };
                let what = format!("the prefix {} has a route already, in line {line}{but}", route.name());
                reading.fault(place, what, "drop one of the two, or make its prefix longer");
            }
            routes.push((Arc::new(route), reading.line(place)));
        }
        routes
    }

    fn route(&mut self, reading: &mut Reading<'_>, table: &DeTable<'_>, place: Place) -> Option<Route> {
        reading.known_fields(table, &FIELDS);
        let prefix = self.prefix(reading, table, place);
        let options = UpstreamOptions {
            connect: seconds(reading, table, "connect_timeout_seconds", 3, 60),
            keep_alive: seconds(reading, table, "keep_alive_seconds", 4, 3600),
            connections: usize::try_from(reading.number(table, "max_connections", 1, 10_000).unwrap_or(1000))
                .unwrap_or(usize::MAX),
        };
        let upstream = self.upstream(reading, table, place, options);
        let limits = Limits {
            first_byte: seconds(reading, table, "first_byte_timeout_seconds", 60, 3600),
            idle: seconds(reading, table, "idle_timeout_seconds", 60, 3600),
            body: match reading.number(table, "max_body_bytes", 0, 1 << 50).unwrap_or(DEFAULT_BODY) {
                0 => None,
                most => Some(most),
            },
        };
        let strips_prefix = reading.flag(table, "strip_prefix").unwrap_or(false);
        let scopes = self.scopes(reading, table);
        let service = self.service(reading, table);
        let key_prefixes = environments(reading, table);
        let (prefix, upstream) = (prefix?, upstream?);
        let traffic = Traffic::of(if prefix.is_empty() { "/" } else { &prefix });
        Some(Route { prefix, upstream, strips_prefix, scopes, service, key_prefixes, limits, traffic })
    }

    fn prefix(&self, reading: &mut Reading<'_>, table: &DeTable<'_>, place: Place) -> Option<Box<str>> {
        let hint = r#"write it like prefix = "/predict""#;
        let Some((text, at)) = reading.text(table, "prefix") else {
            if !table.contains_key("prefix") {
                reading.fault(place, "a route needs a prefix", hint);
            }
            return None;
        };
        let prefix = text.strip_suffix('/').unwrap_or(&text);
        if !text.starts_with('/') {
            reading.fault(at, format!("the prefix {text} does not begin with a slash"), hint);
            return None;
        }
        let is_plain = prefix.bytes().all(|byte| byte == b'/' || is_plain(byte));
        let is_canonical =
            prefix.is_empty() || !prefix.ends_with('/') && canonical(prefix).is_ok_and(|form| form == prefix);
        if !is_plain || !is_canonical {
            let hint = "use letters, digits and -._~ between single slashes";
            reading.fault(at, format!("the prefix {text} can't be matched"), hint);
            return None;
        }
        if let Some(mlflow) = mlflow::claims(prefix).filter(|_| self.surroundings.has_mlflow) {
            let hint = "choose another prefix, or leave mlflow_url out";
            reading.fault(at, format!("MLflow is below {mlflow}"), hint);
            return None;
        }
        let own = OWN_PATHS.iter().chain([&MODELS]);
        if let Some(own) = own.into_iter().find(|own| leads(own, prefix, str::eq_ignore_ascii_case)) {
            let hint = "choose another prefix";
            reading.fault(at, format!("the gateway itself answers below {own}"), hint);
            return None;
        }
        Some(prefix.into())
    }

    fn upstream(
        &mut self,
        reading: &mut Reading<'_>,
        table: &DeTable<'_>,
        place: Place,
        options: UpstreamOptions,
    ) -> Option<Arc<Upstream>> {
        let Some((text, at)) = reading.text(table, "upstream") else {
            if !table.contains_key("upstream") {
                reading.fault(place, "a route needs an upstream", UPSTREAM_HINT);
            }
            return None;
        };
        if let Some(known) = self.upstreams.get(&(text.clone(), options)) {
            return Some(known.clone());
        }
        match upstream(&text, self.surroundings.listen, options) {
            Ok(made) => {
                let made = Arc::new(made);
                self.upstreams.insert((text, options), made.clone());
                Some(made)
            }
            Err(UpstreamFault { what, hint }) => {
                reading.fault(at, what, hint);
                None
            }
        }
    }

    fn scopes(&self, reading: &mut Reading<'_>, table: &DeTable<'_>) -> Box<[Scope]> {
        let one = reading.text(table, "scope");
        let several = reading.texts(table, "scopes");
        if several.as_ref().is_some_and(Vec::is_empty) {
            let at = reading.place(table, "scopes");
            reading.fault(at, "no scope is named", "leave scopes out to let every key pass");
        }
        if let (Some((_, at)), Some(_)) = (&one, &several) {
            reading.fault(*at, "a route has either scope or scopes", "drop one of the two");
        }
        let all = one.into_iter().chain(several.into_iter().flatten());
        all.filter_map(|(text, at)| {
            let text = self.scope_text(reading, text, at);
            self.known_scope(reading, &text, at);
            Scope::parse(&text)
        })
        .collect()
    }

    fn scope_text(&self, reading: &mut Reading<'_>, text: String, at: Place) -> String {
        if Scope::parse(&text).is_none() || text.ends_with('*') {
            let hint = "a scope is 1 to 64 of a-z, 0-9 and :._-, such as model:read";
            reading.fault(at, format!("{text:?} is no scope that a route can need"), hint);
        }
        text
    }

    /// A scope that nobody knows would close the route to everybody; most likely it is mistyped.
    fn known_scope(&self, reading: &mut Reading<'_>, scope: &str, at: Place) {
        let named = self.scopes.as_deref();
        let known = |name: &str| {
            KNOWN_SCOPES.contains(&name) || named.is_some_and(|named| named.iter().any(|n| n == name))
        };
        if known(scope) {
            return;
        }
        let candidates = KNOWN_SCOPES.iter().copied().chain(named.into_iter().flatten().map(String::as_str));
        let nearest = table::nearest(scope, candidates);
        if named.is_none() && nearest.is_none() {
            return;
        }
        let guess = nearest.map_or_else(String::new, |nearest| format!("did you mean {nearest}? "));
        let hint = format!("{guess}If it is meant so, name it in scopes = [\"{scope}\"] below [gateway]");
        reading.fault(at, format!("the scope {scope} is unknown"), hint);
    }

    fn service(&self, reading: &mut Reading<'_>, table: &DeTable<'_>) -> Option<Box<str>> {
        let (name, at) = reading.text(table, "service")?;
        if let Some(services) = &self.surroundings.services
            && !services.contains(&name)
        {
            let hint = format!("the services are {}", services.join(", "));
            reading.fault(at, format!("the service {name} is unknown"), hint);
        }
        Some(name.into())
    }
}

/// What is wrong with the URL of an upstream, and what would be right.
pub(crate) struct UpstreamFault {
    pub(crate) what: String,
    pub(crate) hint: &'static str,
}

/// The upstream at a URL; `listen` is where the gateway does.
pub(crate) fn upstream(
    text: &str,
    listen: SocketAddr,
    options: UpstreamOptions,
) -> Result<Upstream, UpstreamFault> {
    let fault = |what| UpstreamFault { what, hint: UPSTREAM_HINT };
    let url = checked_url(text).map_err(|why| fault(format!("the upstream {why}")))?;
    if leads_back(&url, listen) {
        let what = format!("the upstream {text} is the gateway itself");
        return Err(UpstreamFault { what, hint: "name the service behind the gateway, not the gateway" });
    }
    let tls = if url.scheme() == "https" {
        let tls = tls(url.host_str().unwrap_or_default());
        Some(tls.map_err(|why| fault(format!("TLS to the upstream can't be prepared: {why}")))?)
    } else {
        None
    };
    Upstream::new(&url, tls, options).ok_or_else(|| fault(format!("the upstream {text} has no host")))
}

/// Whether an upstream is where the gateway listens.
fn leads_back(url: &Url, listen: SocketAddr) -> bool {
    if listen.port() == 0 || url.port_or_known_default() != Some(listen.port()) {
        return false;
    }
    let is_here = listen.ip().is_unspecified() || listen.ip().is_loopback();
    match url.host() {
        Some(url::Host::Domain(name)) => is_here && name.trim_end_matches('.') == "localhost",
        Some(url::Host::Ipv4(ip)) => reaches(ip.into(), listen.ip()),
        Some(url::Host::Ipv6(ip)) => reaches(ip.into(), listen.ip()),
        None => false,
    }
}

/// Whether a connection to `target` arrives at `listen`.
fn reaches(target: IpAddr, listen: IpAddr) -> bool {
    let (target, listen) = (target.to_canonical(), listen.to_canonical());
    // To connect to no address is to connect to this machine.
    target == listen
        || listen.is_unspecified() && (target.is_loopback() || target.is_unspecified())
        || listen.is_loopback() && target.is_unspecified() && target.is_ipv4() == listen.is_ipv4()
}

fn checked_url(text: &str) -> Result<Url, String> {
    // What stands before an @ may be a secret: it is not repeated.
    let shown = if text.contains('@') { "that is named" } else { text };
    let url = Url::parse(text).map_err(|error| format!("{shown} is no URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or password in its URL; the gateway sends none".into());
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{shown} is neither http nor https"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{shown} has a query or fragment"));
    }
    if url.port() == Some(0) {
        return Err(format!("{shown} has no port that can be connected to"));
    }
    if canonical(url.path()).is_err() {
        return Err(format!("{shown} has a path that can't be sent as it is"));
    }
    Ok(url)
}

fn seconds(reading: &mut Reading<'_>, table: &DeTable<'_>, name: &str, default: u64, most: u64) -> Duration {
    Duration::from_secs(reading.number(table, name, 1, most).unwrap_or(default))
}

/// The beginnings of keys that may pass. The environment of a key shows in its first letters.
fn environments(reading: &mut Reading<'_>, table: &DeTable<'_>) -> Box<[&'static str]> {
    let mut prefixes = Vec::new();
    let names = reading.texts(table, "environments");
    if names.as_ref().is_some_and(Vec::is_empty) {
        let at = reading.place(table, "environments");
        reading.fault(at, "no key could pass", "leave environments out to accept keys of all");
    }
    for (name, at) in names.into_iter().flatten() {
        match name.as_str() {
            "production" => prefixes.push("hk_live_"),
            "test" => prefixes.push("hk_test_"),
            "development" => prefixes.push("hk_dev_"),
            _ => {
                let hint = "the environments are production, test and development";
                reading.fault(at, format!("the environment {name} is unknown"), hint);
            }
        }
    }
    prefixes.into()
}

#[cfg(test)]
mod tests;
