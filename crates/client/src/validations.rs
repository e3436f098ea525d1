//! What became of a key's validations.

use hokusai_api::validations::KeyValidations;
use hokusai_core::id::KeyId;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::pages;

impl Client {
    /// What became of a key's validations in the last so many clock hours, the latest first: 1 to 1000; 24 if
    /// that is left out. Hours without any are left out.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn validations(&self, key: KeyId, hours: Option<u32>) -> Result<KeyValidations, Error> {
        let hours = hours.map(|hours| hours.to_string());
        let query = pages::query([("hours", hours.as_deref())]);
        self.send(&Call::get(format!("/api/v1/keys/{key}/validations")).query(query)).await?.read_as()
    }
}
