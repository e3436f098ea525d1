//! Alerts: keys that somebody should look at.

use hokusai_api::alerts::Alerts;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

impl Client {
    /// Keys that somebody should look at, among those that the token may see.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn alerts(&self) -> Result<Alerts, Error> {
        self.send(&Call::list("/api/v1/alerts", String::new())).await?.read_as()
    }
}
