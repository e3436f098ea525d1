//! What a verifier asks: to be vouched for a key, for units of limits, and for changes.

use hokusai_api::verifiers::{Allotments, AllottedItems, ChangesPage, VouchForKey, VouchedKey};

use crate::call::{Call, Credential};
use crate::client::Client;
use crate::error::Error;
use crate::pages;

impl Client {
    /// Asks to be vouched for a key, so that it can be admitted without asking for a while. A refused key is
    /// no error. The client's token is shown as a service token.
    ///
    /// # Errors
    /// See [`Error`]. An error says nothing of the key.
    pub async fn vouch(&self, question: &VouchForKey) -> Result<VouchedKey, Error> {
        let call = Call::post("/api/v1/keys/validate").body(question).credential(Credential::Service);
        let answer = self.send(&call).await?;
        match (answer.status, answer.parse::<VouchedKey>()) {
            (200, Some(vouched)) if vouched.key.is_valid => Ok(vouched),
            (401, Some(vouched)) if !vouched.key.is_valid => Ok(vouched),
            (200, _) => Err(answer.not_ours("the body does not vouch for the key")),
            _ => Err(answer.refusal()),
        }
    }

    /// Speaks of limits and debts. The client's token is shown as a service token.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn allotments(&self, message: &Allotments) -> Result<AllottedItems, Error> {
        let call = Call::post("/api/v1/allotments").body(message).credential(Credential::Service);
        self.send(&call).await?.read_as()
    }

    /// What changed after a place in the feed, which is acknowledged by asking; waits up to so many
    /// milliseconds for something. The client's token is shown as a service token.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn changes(
        &self,
        holder: &str,
        position: Option<&str>,
        wait_ms: u64,
        validation_ttl_ms: u64,
    ) -> Result<ChangesPage, Error> {
        let (wait, ttl) = (wait_ms.to_string(), validation_ttl_ms.to_string());
        let query = pages::query([
            ("holder", Some(holder)),
            ("position", position),
            ("wait_ms", Some(&wait)),
            ("validation_ttl_ms", Some(&ttl)),
        ]);
        let call = Call::get("/api/v1/changes").query(query).credential(Credential::Service);
        self.send(&call).await?.read_as()
    }
}
