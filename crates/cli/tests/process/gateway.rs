//! The gateway as clients and upstreams meet it: real processes, and sockets of the test on both sides.

mod backend;
mod bodies;
mod keys;
mod paths;
mod promises;
mod upstreams;
mod wire;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::eventually;
use crate::http::Request;
use crate::program::{Process, Program};
use crate::site::{NewKey, Site, text_of};

/// A gateway before one node, both for one fact.
pub(crate) struct Front {
    pub(crate) gateway: Process,
    pub(crate) node: Process,
    _site: Site,
}

impl Front {
    /// Starts a node, and a gateway with `routes` before it.
    pub(crate) fn with(routes: &str) -> Self {
        Self::tuned(routes, |gateway| gateway)
    }

    /// Starts a node, and a gateway with `routes` and further settings before it.
    pub(crate) fn tuned(routes: &str, tune: impl FnOnce(Program) -> Program) -> Self {
        let site = Site::on_sqlite();
        let node = site.start();
        let gateway = tune(site.gateway(&[&node], routes)).start();
        let front = Self { gateway, node, _site: site };
        ready(&front.gateway);
        front
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address
    }
}

/// Waits until a gateway has heard of the service.
pub(crate) fn ready(gateway: &Process) {
    eventually(Duration::from_secs(10), "a gateway that is ready", || {
        (gateway.send(Request::new("GET", "/ready")).status == 200).then_some(())
    });
}

impl Site {
    /// `hokusai gateway` on this site, before `nodes` in this order, with `[[gateway.routes]]` as given.
    pub(crate) fn gateway(&self, nodes: &[&Process], routes: &str) -> Program {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("gateway-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let file: PathBuf = self.directory().join(&name).with_extension("toml");
        fs::write(&file, routes).unwrap();
        let nodes_text: Vec<String> = nodes.iter().map(|node| format!("http://{}", node.address)).collect();
        Program::hokusai(self.directory())
            .args(["gateway", "--config"])
            .args([&file])
            .env("HOKUSAI_GATEWAY_LISTEN", "127.0.0.1:0")
            .env("HOKUSAI_GATEWAY_AUTH_SERVICE", nodes_text.join(","))
            .env("HOKUSAI_GATEWAY_SERVICE_TOKEN", service_token(nodes[0]))
            .env("HOKUSAI_GATEWAY_JOURNAL", self.directory().join(&name))
            .env("HOKUSAI_GATEWAY_LOOKUPS_PER_SECOND", "100000")
            .env("HOKUSAI_GATEWAY_LOG_FORMAT", "json")
    }
}

fn service_token(node: &Process) -> String {
    let wish = json!({"user_id": "gateway", "name": "a gateway", "role": "verifier"});
    text_of(&node.as_operator("POST", "/api/v1/admin-tokens", &wish).expect(201)["token"])
}

impl Process {
    /// A key with settings; of a limit that nothing here reaches, unless they say otherwise.
    pub(crate) fn key_with(&self, settings: &Value) -> NewKey {
        let mut wish = json!({"name": "a key", "rate_limit_per_hour": 100_000});
        for (name, value) in settings.as_object().unwrap() {
            wish[name] = value.clone();
        }
        let created = self.as_operator("POST", "/api/v1/keys", &wish).expect(201);
        NewKey { id: text_of(&created["key_id"]), text: text_of(&created["api_key"]) }
    }
}

/// A route to an upstream, with further lines.
pub(crate) fn route(prefix: &str, upstream: &str, lines: &str) -> String {
    format!("[[gateway.routes]]\nprefix = \"{prefix}\"\nupstream = \"{upstream}\"\n{lines}\n")
}

/// The head of a request with a key, to which more can be added before the empty line.
pub(crate) fn with_key(line: &str, key: &NewKey) -> String {
    format!("{line} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {}\r\n", key.text)
}
