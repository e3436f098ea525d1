//! Validating a key: parse, find, judge, charge.

use std::net::IpAddr;
use std::time::Duration;

use hokusai_core::allotment::Quota;
use hokusai_core::key::{KeyDigest, PresentedKey};
use hokusai_core::policy::{Attempt, KeyFacts, Refusal, judge};
use hokusai_store::{FoundKey, StoreError};

use crate::allotments::{Charge, ChargeKind};
use crate::clock::lock;
use crate::engine::Engine;
use crate::refusal::Declined;
use crate::validations::Outcome;

/// How long a stranger waits for a turn with the store.
const TURN: Duration = Duration::from_millis(250);
/// How often a validation starts over because the key changed while it was judged.
const ROUNDS: usize = 5;

/// What is asked. It holds a key's text, so it can't be printed.
#[derive(Clone, Copy)]
pub struct Validation<'a> {
    /// The text that was presented as a key.
    pub key: &'a str,
    /// What is attempted with it.
    pub attempt: Attempt<'a>,
    /// Whom to count look-ups against; `None` for callers that are trusted with them.
    pub stranger: Option<IpAddr>,
    /// Whether to spend a unit.
    pub charge: ChargeKind,
}

/// What is answered. A refusal is not an error.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The key is good, and a unit was spent unless only a look was asked for.
    Valid {
        /// The key.
        key: KeyFacts,
        /// How its limit stands.
        quota: Quota,
    },
    /// The key is refused; nothing was spent.
    Refused(Refusal),
    /// The key is good, but nothing is left of its limit in this hour.
    Limited(Quota),
}

/// Why a key is refused that lives by this process's clock, but not by the store's, which is ahead.
pub(crate) fn ended(key: &KeyFacts) -> Refusal {
    if key.lifetime.expires_at < key.lifetime.revoked_from() { Refusal::Expired } else { Refusal::Revoked }
}

impl Engine {
    /// Validates a key.
    ///
    /// # Errors
    /// [`Declined::Store`] if an answer can't be vouched for, [`Declined::TooManyLookups`] over the cap.
    pub async fn validate(&self, validation: &Validation<'_>) -> Result<Verdict, Declined> {
        let Some(presented) = PresentedKey::parse(validation.key) else {
            return Ok(Verdict::Refused(Refusal::InvalidKey));
        };
        let digest = presented.digest();
        let (mut charged, mut gone) = (None, false);
        for _ in 0..ROUNDS {
            let Some(key) = self.find(&digest, validation.stranger).await? else {
                return Ok(Verdict::Refused(Refusal::InvalidKey));
            };
            if let Err(refusal) = judge(&key, &validation.attempt, self.clock.now()) {
                return Ok(self.refuse(validation, &key, refusal));
            }
            if gone {
                return Ok(self.refuse(validation, &key, ended(&key)));
            }
            if let Some(quota) = charged {
                return Ok(self.accept(validation, key, quota));
            }
            match self.charge(&key, validation.charge).await? {
                Charge::Spent { quota, waited: false } => return Ok(self.accept(validation, key, quota)),
                // The key may have changed while the store was asked: it is judged once more.
                Charge::Spent { quota, waited: true } => charged = Some(quota),
                Charge::NothingLeft(quota) => {
                    self.count(validation, &key, Outcome::Limited);
                    return Ok(Verdict::Limited(quota));
                }
                Charge::KeyGone => {
                    gone = true;
                    self.cache.forget(&digest);
                }
            }
        }
        Err(Declined::Store(StoreError::TimedOut))
    }

    fn accept(&self, validation: &Validation<'_>, key: KeyFacts, quota: Quota) -> Verdict {
        self.count(validation, &key, Outcome::Valid);
        Verdict::Valid { key, quota }
    }

    fn refuse(&self, validation: &Validation<'_>, key: &KeyFacts, refusal: Refusal) -> Verdict {
        self.count(validation, key, Outcome::Refused(refusal));
        Verdict::Refused(refusal)
    }

    /// Whoever only looks is not counted.
    fn count(&self, validation: &Validation<'_>, key: &KeyFacts, outcome: Outcome) {
        if validation.charge == ChargeKind::Spend {
            self.validations.count(key.id, self.clock.now(), outcome);
        }
    }

    /// Judges a key without spending anything or asking for its service or scope.
    ///
    /// # Errors
    /// As [`Engine::validate`].
    pub async fn identify(
        &self,
        text: &str,
        attempt: &Attempt<'_>,
        stranger: IpAddr,
    ) -> Result<Result<KeyFacts, Refusal>, Declined> {
        // Nothing else bounds how often this may be asked.
        let _turn = self.take_turn(stranger).await?;
        self.judge_text(text, attempt, None).await
    }

    /// As [`Engine::identify`], for a request that is bounded by what it goes on to do: only a look-up counts
    /// against the stranger.
    ///
    /// # Errors
    /// As [`Engine::validate`].
    pub async fn recognise(
        &self,
        text: &str,
        attempt: &Attempt<'_>,
        stranger: IpAddr,
    ) -> Result<Result<KeyFacts, Refusal>, Declined> {
        self.judge_text(text, attempt, Some(stranger)).await
    }

    async fn judge_text(
        &self,
        text: &str,
        attempt: &Attempt<'_>,
        stranger: Option<IpAddr>,
    ) -> Result<Result<KeyFacts, Refusal>, Declined> {
        let Some(presented) = PresentedKey::parse(text) else { return Ok(Err(Refusal::InvalidKey)) };
        let Some(key) = self.find(&presented.digest(), stranger).await? else {
            return Ok(Err(Refusal::InvalidKey));
        };
        Ok(judge(&key, attempt, self.clock.now()).map(|()| key))
    }

    /// The key with this digest: from memory while that is up to date, else from the store.
    pub(crate) async fn find(
        &self,
        digest: &KeyDigest,
        stranger: Option<IpAddr>,
    ) -> Result<Option<KeyFacts>, Declined> {
        for _ in 0..ROUNDS {
            let remembered = self.cache.get(digest);
            if !self.is_up_to_date() {
                let stranger = stranger.filter(|_| remembered.is_none());
                let Some(found) = self.look_up_for(digest, stranger).await? else { return Ok(None) };
                // This process may have caught up meanwhile, and have said so.
                if self.remember(None, &found) {
                    return Ok(Some(found.facts));
                }
                continue;
            }
            if remembered.is_some() {
                return Ok(remembered);
            }
            let Some(slot) = self.cache.empty_slot(digest).await else { continue };
            let Some(found) = self.look_up_for(digest, stranger).await? else { return Ok(None) };
            if self.remember(Some(slot), &found) {
                return Ok(Some(found.facts));
            }
        }
        Err(Declined::Store(StoreError::TimedOut))
    }

    async fn look_up_for(
        &self,
        digest: &KeyDigest,
        stranger: Option<IpAddr>,
    ) -> Result<Option<FoundKey>, Declined> {
        if let Some(address) = stranger {
            self.count_stranger(address)?;
        }
        self.look_up(digest, stranger.is_some()).await
    }

    fn count_stranger(&self, address: IpAddr) -> Result<(), Declined> {
        let within = lock(&self.lookup_cap).take(address, self.clock.elapsed());
        if within { Ok(()) } else { Err(Declined::TooManyLookups) }
    }

    pub(crate) async fn take_turn(
        &self,
        address: IpAddr,
    ) -> Result<tokio::sync::SemaphorePermit<'_>, Declined> {
        self.count_stranger(address)?;
        let turn = tokio::time::timeout(TURN, self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(Declined::TooManyLookups)
    }
}
