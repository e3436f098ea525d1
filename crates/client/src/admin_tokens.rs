//! Admin tokens: create, list, revoke, for operators; and each its own.

use hokusai_api::admin_tokens::{CreateToken, CreatedToken, RevokedToken, TokenInfo};
use hokusai_core::id::TokenId;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::pages::{self, Pages, TokenPages};

const TOKENS: &str = "/api/v1/admin-tokens";

impl Client {
    /// Makes an admin token. Its text is in this answer and nowhere else. It is never asked for twice: after
    /// [`Error::TimedOut`] or [`Error::Lost`] there may be a token whose text nobody has.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_token(&self, wish: &CreateToken) -> Result<CreatedToken, Error> {
        self.send(&Call::post(TOKENS).body(wish)).await?.read_as()
    }

    /// The token that this client asks with.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn current_token(&self) -> Result<TokenInfo, Error> {
        self.send(&Call::get(format!("{TOKENS}/current"))).await?.read_as()
    }

    /// All admin tokens, newest first, page by page. A page has at most `page_size` of them: 1 to 1000.
    pub fn tokens(&self, page_size: Option<u32>) -> TokenPages {
        let page_size = page_size.map(|size| size.to_string());
        let text = pages::query([("limit", page_size.as_deref())]);
        Pages::new(self.clone(), TOKENS, text)
    }

    /// Revokes an admin token for good. Revoking it again does nothing.
    ///
    /// # Errors
    /// See [`Error`]; the last operator token that does not expire is an [`Error::Conflict`].
    pub async fn revoke_token(&self, id: TokenId) -> Result<RevokedToken, Error> {
        self.send(&Call::delete(format!("{TOKENS}/{id}"))).await?.read_as()
    }
}
