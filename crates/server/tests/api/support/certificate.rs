//! A certificate for this machine that nobody else vouches for, as files.

use reqwest::{Client, ClientBuilder};
use std::path::{Path, PathBuf};

use super::PATIENCE;

/// A certificate and its key.
pub(crate) struct Certificate {
    certificate: String,
    key: String,
}

impl Certificate {
    pub(crate) fn generate() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into(), "localhost".into()]).unwrap();
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    /// Writes both files, over what was there.
    pub(crate) fn write_to(&self, folder: &Path) -> [PathBuf; 2] {
        let paths = [folder.join("certificate.pem"), folder.join("key.pem")];
        std::fs::write(&paths[0], &self.certificate).unwrap();
        std::fs::write(&paths[1], &self.key).unwrap();
        paths
    }

    /// A client that trusts this certificate alone.
    pub(crate) fn client(&self) -> Client {
        self.client_builder().build().unwrap()
    }

    pub(crate) fn client_builder(&self) -> ClientBuilder {
        let trusted = reqwest::Certificate::from_pem(self.certificate.as_bytes()).unwrap();
        Client::builder().no_proxy().timeout(PATIENCE).pool_max_idle_per_host(0).tls_certs_only([trusted])
    }
}
