//! Who may pass: a key's facts, an attempt to use it, and the refusals in their order.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::address;
use crate::id::{AccountId, KeyId};
use crate::key::{Environment, KeyStatus, Lifetime};
use crate::scope::{self, Scope};
use crate::time::Timestamp;

/// The fewest requests an hour that a key may be given.
pub const MIN_RATE_LIMIT: u32 = 10;
/// The most requests an hour that a key may be given.
pub const MAX_RATE_LIMIT: u32 = 100_000;
/// The requests an hour of a key that asks for none in particular.
pub const DEFAULT_RATE_LIMIT: u32 = 1000;

/// What many keys have in common. Keys with equal rights share one in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rights {
    /// The user that the key belongs to.
    pub user_id: Box<str>,
    /// The service that the key is for.
    pub service_id: Box<str>,
    /// What it may be used for.
    pub scopes: Box<[Scope]>,
    /// Live, test or development.
    pub environment: Environment,
    /// Where it may be used from; empty: anywhere.
    pub allowlist: Box<[IpNet]>,
    /// Requests an hour, shared with its rotation successor.
    pub rate_limit_per_hour: u32,
    /// Predictions a month, shared with its rotation successor.
    pub monthly_prediction_limit: Option<i64>,
    /// The plan that its usage is billed by.
    pub billing_plan: Box<str>,
}

/// What of a key's rights an attempt is judged by. Many users' keys have the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    service_id: Box<str>,
    scopes: Box<[Scope]>,
    allowlist: Box<[IpNet]>,
}

impl From<&Rights> for Terms {
    fn from(rights: &Rights) -> Self {
        Self {
            service_id: rights.service_id.clone(),
            scopes: rights.scopes.clone(),
            allowlist: rights.allowlist.clone(),
        }
    }
}

impl Terms {
    /// Judges an attempt with a living key: service, scope and address, in this order.
    ///
    /// # Errors
    /// The first [`Refusal`] in that order.
    pub fn judge(&self, attempt: &Attempt<'_>) -> Result<(), Refusal> {
        judge_use(&self.service_id, &self.scopes, &self.allowlist, attempt)
    }
}

/// All that a validation needs to know of a key.
#[derive(Clone, Debug)]
pub struct KeyFacts {
    /// The key.
    pub id: KeyId,
    /// The quota account that its requests count against.
    pub account: AccountId,
    /// When it lives.
    pub lifetime: Lifetime,
    /// What it may do.
    pub rights: Arc<Rights>,
}

/// The address that an attempt came from.
#[derive(Clone, Copy, Debug)]
pub enum ClientAddress<'a> {
    /// Known from the connection.
    Known(IpAddr),
    /// Told by the caller; may be any text.
    Told(&'a str),
}

impl ClientAddress<'_> {
    fn address(self) -> Option<IpAddr> {
        match self {
            Self::Known(address) => Some(address),
            Self::Told(text) => address::parse_client(text),
        }
    }
}

/// What a key must be allowed to do.
#[derive(Clone, Copy, Debug)]
pub enum Demand<'a> {
    /// Nothing in particular.
    Nothing,
    /// It has this scope. An empty list has every scope but admin ones.
    Scope(&'a str),
    /// It has one of these scopes and only reads: as [`Demand::Scope`].
    ReadWith(&'a [Scope]),
    /// It has one of these scopes and may change something: an empty list has none of them.
    ChangeWith(&'a [Scope]),
}

impl<'a> Demand<'a> {
    /// One scope, or nothing.
    #[must_use]
    pub fn scope(scope: Option<&'a str>) -> Self {
        scope.map_or(Self::Nothing, Self::Scope)
    }

    fn is_met_by(self, held: &[Scope]) -> bool {
        match self {
            Self::Nothing => true,
            Self::Scope(required) => scope::meets(held, required),
            Self::ReadWith(any) => any.iter().any(|required| scope::meets(held, required.as_str())),
            Self::ChangeWith(any) => !held.is_empty() && Self::ReadWith(any).is_met_by(held),
        }
    }
}

/// What somebody tries to do with a key.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The service that is asked for; `None`: any.
    pub service_id: Option<&'a str>,
    /// What the key must be allowed to do.
    pub demand: Demand<'a>,
    /// Where the attempt comes from.
    pub client: ClientAddress<'a>,
}

/// Why a key is refused. The rate limit is not among them: it is no fault of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No such key was ever issued, or the text is no key.
    InvalidKey,
    /// Its time is over.
    Expired,
    /// It was revoked, or its grace after a rotation is over.
    Revoked,
    /// It is for another service.
    ServiceMismatch,
    /// It lacks the scope that is needed.
    InsufficientScope,
    /// It may not be used from this address.
    IpNotAllowed,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 6] = [
        Self::InvalidKey,
        Self::Expired,
        Self::Revoked,
        Self::ServiceMismatch,
        Self::InsufficientScope,
        Self::IpNotAllowed,
    ];

    /// The stable word on the wire.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidKey => "invalid_key",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::ServiceMismatch => "service_mismatch",
            Self::InsufficientScope => "insufficient_scope",
            Self::IpNotAllowed => "ip_not_allowed",
        }
    }

    /// What people are told, in the words that deployed clients know. `seen` is the address that the attempt
    /// came from, as it was seen.
    #[must_use]
    pub fn text(self, seen: &str) -> String {
        match self {
            Self::InvalidKey => "Invalid API key".into(),
            Self::Expired => "API key has expired".into(),
            Self::Revoked => "API key is inactive or has been revoked".into(),
            Self::ServiceMismatch => "Key not authorized for this service".into(),
            Self::InsufficientScope => "Key does not have required scope".into(),
            Self::IpNotAllowed => format!("IP address not in allowlist: {seen}"),
        }
    }
}

/// Judges an attempt at `now`: life first, then service, scope and address. The limit comes after.
///
/// # Errors
/// The first [`Refusal`] in that order.
pub fn judge(key: &KeyFacts, attempt: &Attempt<'_>, now: Timestamp) -> Result<(), Refusal> {
    judge_life(&key.lifetime, now)?;
    judge_use(&key.rights.service_id, &key.rights.scopes, &key.rights.allowlist, attempt)
}

/// Judges a key's life at `now`, and nothing else.
///
/// # Errors
/// [`Refusal::Expired`] or [`Refusal::Revoked`].
pub fn judge_life(lifetime: &Lifetime, now: Timestamp) -> Result<(), Refusal> {
    match lifetime.status(now) {
        KeyStatus::Active | KeyStatus::Rotating => Ok(()),
        KeyStatus::Expired => Err(Refusal::Expired),
        KeyStatus::Revoked => Err(Refusal::Revoked),
    }
}

fn judge_use(
    service_id: &str,
    scopes: &[Scope],
    allowlist: &[IpNet],
    attempt: &Attempt<'_>,
) -> Result<(), Refusal> {
    if attempt.service_id.is_some_and(|service| canonical_service(service) != service_id) {
        return Err(Refusal::ServiceMismatch);
    }
    if !attempt.demand.is_met_by(scopes) {
        return Err(Refusal::InsufficientScope);
    }
    let allowed = allowlist.is_empty()
        || attempt.client.address().is_some_and(|address| address::contains(allowlist, address));
    if allowed { Ok(()) } else { Err(Refusal::IpNotAllowed) }
}

/// The present name of a service: two older names mean `platform`.
#[must_use]
pub fn canonical_service(name: &str) -> &str {
    if matches!(name, "website" | "ml-platform") { "platform" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1000);
    const ANYWHERE: ClientAddress<'_> = ClientAddress::Told("unknown");

    fn key() -> KeyFacts {
        let id: KeyId = "018f0000-0000-7000-8000-000000000001".parse().unwrap();
        let never = Timestamp::NEVER;
        KeyFacts {
            id,
            account: id.into(),
            lifetime: Lifetime { expires_at: never, grace_until: never, revoked_at: never },
            rights: Arc::new(Rights {
                user_id: "ada".into(),
                service_id: "platform".into(),
                scopes: [Scope::parse("model:read").unwrap()].into(),
                environment: Environment::Test,
                allowlist: Box::default(),
                rate_limit_per_hour: 10,
                monthly_prediction_limit: None,
                billing_plan: "free".into(),
            }),
        }
    }

    fn attempt<'a>(
        service: Option<&'a str>,
        scope: Option<&'a str>,
        client: ClientAddress<'a>,
    ) -> Attempt<'a> {
        Attempt { service_id: service, demand: Demand::scope(scope), client }
    }

    #[test]
    fn a_fitting_attempt_passes() {
        for (service, scope) in [
            (None, None),
            (Some("platform"), Some("model:read")),
            (Some("website"), None),
            (Some("ml-platform"), None),
        ] {
            assert_eq!(
                judge(&key(), &attempt(service, scope, ANYWHERE), NOW),
                Ok(()),
                "{service:?} {scope:?}"
            );
        }
    }

    #[test]
    fn one_of_several_scopes_will_do_and_without_any_a_key_only_reads() {
        let scope = |text| Scope::parse(text).unwrap();
        let any = [scope("mlflow:access"), scope("model:read")];
        let admin = [scope("mlflow:admin")];
        let table: [(&[&str], &[Scope], bool, bool); 6] = [
            (&["model:read"], &any, true, true),
            (&["model:*"], &any, true, true),
            (&["model:write"], &any, false, false),
            (&[], &any, true, false),
            (&[], &admin, false, false),
            (&["*"], &admin, true, true),
        ];
        for (held, demanded, reads, changes) in table {
            let mut key = key();
            Arc::make_mut(&mut key.rights).scopes = held.iter().map(|text| scope(text)).collect();
            for (demand, met) in
                [(Demand::ReadWith(demanded), reads), (Demand::ChangeWith(demanded), changes)]
            {
                let attempt = Attempt { service_id: None, demand, client: ANYWHERE };
                assert_eq!(judge(&key, &attempt, NOW).is_ok(), met, "{held:?} for {demand:?}");
            }
        }
    }

    #[test]
    fn the_first_fault_in_the_documented_order_is_named() {
        let mut key = key();
        let worst = attempt(Some("prediction"), Some("model:write"), ANYWHERE);
        Arc::make_mut(&mut key.rights).allowlist = [address::parse_block("10.0.0.1").unwrap()].into();
        key.lifetime.expires_at = NOW;
        key.lifetime.revoked_at = NOW;
        assert_eq!(judge(&key, &worst, NOW), Err(Refusal::Revoked));
        key.lifetime.revoked_at = Timestamp::NEVER;
        assert_eq!(judge(&key, &worst, NOW), Err(Refusal::Expired));
        key.lifetime.expires_at = NOW.plus(1);
        assert_eq!(judge(&key, &worst, NOW), Err(Refusal::ServiceMismatch));
        let right_service = Attempt { service_id: None, ..worst };
        assert_eq!(judge(&key, &right_service, NOW), Err(Refusal::InsufficientScope));
        assert_eq!(judge(&key, &attempt(None, None, ANYWHERE), NOW), Err(Refusal::IpNotAllowed));
        let near = ClientAddress::Known("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(judge(&key, &attempt(None, None, near), NOW), Ok(()));
    }
}
