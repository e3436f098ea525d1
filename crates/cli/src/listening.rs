//! Binding an address; refuses plain text where others could read it.

use std::net::SocketAddr;
use std::path::PathBuf;

use hokusai_http::{ListenOptions, Listener, Tls};

use crate::failure::Failure;

/// Files that connections must leave for the database, the logs and the rest.
const RESERVED_DESCRIPTORS: usize = 128;

/// Where and how to listen.
pub(crate) struct Listening<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) tls_certificate: Option<&'a PathBuf>,
    pub(crate) tls_key: Option<&'a PathBuf>,
    pub(crate) behind_tls_proxy: bool,
    pub(crate) max_connections: Option<usize>,
    /// Files that each connection takes.
    pub(crate) descriptors_each: usize,
}

impl Listening<'_> {
    pub(crate) async fn bind(self) -> Result<Listener, Failure> {
        let address = self.address;
        let tls = match (self.tls_certificate, self.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls::load(certificate.clone(), key.clone())?),
            (None, None) => None,
            _ => {
                let hint = "give both --tls-certificate and --tls-key, or neither";
                return Err(Failure::wrong_use("only one of the two TLS files is named", hint));
            }
        };
        if tls.is_none() && !address.ip().is_loopback() && !self.behind_tls_proxy {
            let what = format!("keys would cross the network in plain text on {address}");
            let hint = "give --tls-certificate and --tls-key, or say --behind-tls-proxy if a proxy in front speaks TLS";
            return Err(Failure::wrong_use(what, hint));
        }
        let wanted = self.max_connections.unwrap_or(ListenOptions::default().max_connections);
        let possible = file_descriptors().saturating_sub(RESERVED_DESCRIPTORS) / self.descriptors_each;
        let options =
            ListenOptions { max_connections: wanted.min(possible).max(1), ..ListenOptions::default() };
        Listener::bind(address, tls, options).await.map_err(|error| {
            let what = anyhow::Error::new(error).context(format!("can't listen on {address}"));
            Failure::with_hint(what, "another program may use this port; choose one with --listen")
        })
    }
}

/// How many files this process may open, once it has asked for as many as it can have.
fn file_descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // If the system refuses, the present limit stays, and is what counts.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
}
