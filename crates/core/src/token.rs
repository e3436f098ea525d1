//! Admin tokens: `hka_` and the same 32 characters as a key; and what their roles allow.

use rand::CryptoRng;

use crate::key::{KeyDigest, generate_text, has_form};
use crate::secret::Secret;
use crate::time::Timestamp;

const PREFIX: &str = "hka_";

/// The shortest text that may serve as the first operator token, in bytes.
pub const BOOTSTRAP_MIN_LENGTH: usize = 16;

/// What a token's bearer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Operator,
    /// The keys of its own user.
    Member,
    /// What a gateway needs: validation without caps, allotments, the change feed, usage reports.
    Verifier,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Member, Self::Verifier];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Member => "member",
            Self::Verifier => "verifier",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A new token's text. It may be shown once and is never stored.
#[derive(Clone, Debug)]
pub struct PlainToken(Secret);

impl PlainToken {
    /// Makes a token.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(generate_text(PREFIX, rng))
    }

    /// Takes a text that somebody chose as the first operator token; `None` if it is too short, or
    /// looks like an API key or a mistyped token.
    #[must_use]
    pub fn chosen(text: &str) -> Option<Self> {
        presented_digest(text).map(|_| Self(Secret::new(text.to_owned())))
    }

    /// The text, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored and looked up instead of the text.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.expose())
    }

    /// What is shown in lists. A chosen text shows nothing of itself: it may be short.
    #[must_use]
    pub fn shown_prefix(&self) -> String {
        if has_form(self.expose(), PREFIX) { format!("{}***", &self.expose()[..7]) } else { "***".to_owned() }
    }
}

/// The digest to look a presented token up by; `None` if no such token can exist.
///
/// Texts that begin like a generated token must have its checksum; others may be a chosen first token.
#[must_use]
pub fn presented_digest(text: &str) -> Option<KeyDigest> {
    let can_exist = if text.starts_with(PREFIX) { has_form(text, PREFIX) } else { is_chosen_form(text) };
    can_exist.then(|| KeyDigest::of(text))
}

fn is_chosen_form(text: &str) -> bool {
    text.len() >= BOOTSTRAP_MIN_LENGTH && !text.starts_with("hk_")
}

/// The instants that bound a token's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLifetime {
    /// When it stops; [`Timestamp::NEVER`] if never.
    pub expires_at: Timestamp,
    /// When it was revoked; [`Timestamp::NEVER`] if it was not.
    pub revoked_at: Timestamp,
}

impl TokenLifetime {
    /// Whether the token is accepted at `now`.
    #[must_use]
    pub fn lives(&self, now: Timestamp) -> bool {
        now < self.expires_at && now < self.revoked_at
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn a_generated_token_is_recognised_and_a_mistyped_one_is_not() {
        let token = PlainToken::generate(&mut StdRng::seed_from_u64(3));
        assert_eq!(presented_digest(token.expose()), Some(token.digest()));
        assert_eq!(presented_digest(&token.expose().replace("hka_", "hka_x")), None);
        assert_eq!(token.shown_prefix().len(), 10);
    }

    #[test]
    fn a_chosen_token_has_at_least_16_bytes_and_shows_nothing() {
        assert!(PlainToken::chosen("fifteen bytes..").is_none());
        let token = PlainToken::chosen("sixteen bytes...").unwrap();
        assert_eq!(presented_digest(token.expose()), Some(token.digest()));
        assert_eq!(token.shown_prefix(), "***");
    }

    #[test]
    fn an_api_key_is_no_token() {
        assert_eq!(presented_digest("hk_live_00000000000000000000000000000000"), None);
    }
}
