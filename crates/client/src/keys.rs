//! Keys: create, list, show, change, revoke, rotate.

use hokusai_api::keys::{CreateKey, CreatedKey, KeyInfo, RevokedKey, UpdateKey};
use hokusai_core::id::KeyId;
use serde::Serialize;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::pages::{self, KeyPages, Pages};

const KEYS: &str = "/api/v1/keys";

/// Which keys are asked for. Fields left out leave none out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyQuery {
    /// Only keys for this service.
    pub service_id: Option<String>,
    /// Only keys of this environment: `production`, `test` or `development`.
    pub environment: Option<String>,
    /// Only keys that work now.
    pub active_only: bool,
    /// Only keys of this user; operators only.
    pub user_id: Option<String>,
    /// How many keys a page has: 1 to 1000.
    pub page_size: Option<u32>,
}

#[derive(Serialize)]
struct RotateKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_period_hours: Option<u32>,
}

impl Client {
    /// Makes a key. Its text is in this answer and nowhere else. It is never asked for twice: after
    /// [`Error::TimedOut`] or [`Error::Lost`] there may be a key whose text nobody has.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_key(&self, wish: &CreateKey) -> Result<CreatedKey, Error> {
        self.send(&Call::post(KEYS).body(wish)).await?.read_as()
    }

    /// The keys that the token may see, newest first, page by page.
    pub fn keys(&self, query: &KeyQuery) -> KeyPages {
        let page_size = query.page_size.map(|size| size.to_string());
        let text = pages::query([
            ("service_id", query.service_id.as_deref()),
            ("environment", query.environment.as_deref()),
            ("active_only", query.active_only.then_some("true")),
            ("user_id", query.user_id.as_deref()),
            ("limit", page_size.as_deref()),
        ]);
        Pages::new(self.clone(), KEYS, text)
    }

    /// One key.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn key(&self, id: KeyId) -> Result<KeyInfo, Error> {
        self.send(&Call::get(path(id))).await?.read_as()
    }

    /// Changes a key at once. It keeps its count of this hour.
    ///
    /// # Errors
    /// See [`Error`]; a revoked key is an [`Error::Conflict`].
    pub async fn update_key(&self, id: KeyId, change: &UpdateKey) -> Result<KeyInfo, Error> {
        self.send(&Call::patch(path(id)).body(change)).await?.read_as()
    }

    /// Revokes a key for good. Revoking it again does nothing.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn revoke_key(&self, id: KeyId) -> Result<RevokedKey, Error> {
        self.send(&Call::delete(path(id))).await?.read_as()
    }

    /// Makes a successor with the same settings. The old key goes on working for this many hours, 0 to
    /// 168; for 24 if that is left out. It is never asked for twice; see [`Client::create_key`].
    ///
    /// # Errors
    /// See [`Error`]; a key that is revoked, or rotated already, is an [`Error::Conflict`].
    pub async fn rotate_key(&self, id: KeyId, grace_period_hours: Option<u32>) -> Result<CreatedKey, Error> {
        let call = Call::post(format!("{}/rotate", path(id)));
        self.send(&call.body(&RotateKey { grace_period_hours })).await?.read_as()
    }
}

fn path(id: KeyId) -> String {
    format!("{KEYS}/{id}")
}
