//! Third phase: what must the key be allowed to do? It is judged with the key, before anything is counted.

use hokusai_client::{Demand, Denial, Secret};
use http::{Method, StatusCode};

use crate::routes::Route;

impl Route {
    /// What a method on this route asks of a key. A key without scopes only reads.
    pub(crate) fn demand(&self, method: &Method) -> Demand<'_> {
        if self.scopes.is_empty() {
            Demand::Nothing
        } else if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            Demand::ReadWith(&self.scopes)
        } else {
            Demand::ChangeWith(&self.scopes)
        }
    }

    /// Whether keys of this one's environment may pass. It shows in the key's first letters.
    pub(crate) fn accepts(&self, key: &Secret) -> Result<(), Denial> {
        let key = key.expose();
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| key.starts_with(prefix));
        // Of what is no key at all, the verifier says so.
        let is_key = begins(&["hk_live_", "hk_test_", "hk_dev_"]);
        if self.key_prefixes.is_empty() || begins(&self.key_prefixes) || !is_key {
            return Ok(());
        }
        let detail = "Key not authorized for this environment";
        Err(Denial::new(StatusCode::UNAUTHORIZED, "environment_mismatch", detail))
    }
}
