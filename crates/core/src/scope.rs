//! Scopes: what a key may be used for, and when a required scope is met.

use std::fmt;

/// The longest scope, in bytes.
pub const MAX_LENGTH: usize = 64;

/// A scope such as `model:read`, or a pattern: `*`, or one that ends in `:*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Box<str>);

impl Scope {
    /// Reads a scope: 1 to 64 of `a-z 0-9 : . _ -`, or such a text with `*` alone or after a last `:`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = match text.strip_suffix('*') {
            Some(before) if before.is_empty() || before.ends_with(':') => before,
            Some(_) => return None,
            None if text.is_empty() => return None,
            None => text,
        };
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b":._-".contains(&b);
        (text.len() <= MAX_LENGTH && plain.bytes().all(allowed)).then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether only an operator may give this scope to a key.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        &*self.0 == "*" || is_admin(&self.0)
    }

    /// Whether holding this scope meets `required`. A pattern meets what it covers, but an admin scope
    /// only if it is privileged itself: else `model:*`, which a member may give, would meet `model:admin`.
    fn meets(&self, required: &str) -> bool {
        if *self.0 == *required {
            return true;
        }
        let covers = self.0.strip_suffix('*').is_some_and(|before| required.starts_with(before));
        covers && (!is_admin(required) || self.is_privileged())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a key with `scopes` meets `required`. An empty list meets everything but an admin scope.
#[must_use]
pub fn meets(scopes: &[Scope], required: &str) -> bool {
    if scopes.is_empty() { !is_admin(required) } else { scopes.iter().any(|scope| scope.meets(required)) }
}

fn is_admin(scope: &str) -> bool {
    scope.starts_with("admin") || scope.ends_with(":admin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(texts: &[&str]) -> Vec<Scope> {
        texts.iter().map(|text| Scope::parse(text).unwrap()).collect()
    }

    #[test]
    fn scopes_are_read_by_their_form() {
        for good in ["a", "model:read", "model:*", "*", "mlflow:access", "a.b_c-d:9", &"a".repeat(64)] {
            assert!(Scope::parse(good).is_some(), "{good}");
        }
        for bad in ["", "Model:read", "model*", "*model", "**", "a b", "é", "a\n", &"a".repeat(65)] {
            assert!(Scope::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_required_scope_is_met_by_itself_or_a_pattern_over_it() {
        let table: [(&[&str], &str, bool); 14] = [
            (&["model:read"], "model:read", true),
            (&["model:read"], "model:write", false),
            (&["model:read"], "model:read:all", false),
            (&["model:*"], "model:write", true),
            (&["model:*"], "models", false),
            (&["model:*"], "model:admin", false),
            (&["model:admin"], "model:admin", true),
            (&["admin:*"], "admin:keys", true),
            (&["*"], "admin", true),
            (&["*"], "anything", true),
            (&[], "model:read", true),
            (&[], "admin", false),
            (&[], "administrate", false),
            (&[], "model:admin", false),
        ];
        for (held, required, met) in table {
            assert_eq!(meets(&scopes(held), required), met, "{held:?} for {required}");
        }
    }

    #[test]
    fn admin_scopes_and_the_star_are_privileged() {
        for (text, privileged) in
            [("*", true), ("admin", true), ("admin:*", true), ("model:admin", true), ("model:*", false)]
        {
            assert_eq!(Scope::parse(text).unwrap().is_privileged(), privileged, "{text}");
        }
    }
}
