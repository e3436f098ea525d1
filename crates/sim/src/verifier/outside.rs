//! What can be seen of a process from outside: what it was told, and until when it may go by it.

use std::sync::Arc;
use std::time::Duration;

use hokusai_core::allotment::Answer;
use hokusai_core::id::{AccountId, KeyId};
use hokusai_core::key::{Environment, KeyDigest, Lifetime};
use hokusai_core::policy::{KeyFacts, Rights};
use hokusai_core::time::{SECOND, Timestamp, micros};

use crate::world::{Instant, World};

/// Units that were not used for this long were given back.
const IDLE: i64 = 30 * SECOND;

/// A process was told that a key is good.
pub(super) fn told_of_key(
    world: &mut World,
    gate: usize,
    digest: KeyDigest,
    valid_for: Duration,
    sent_at: Instant,
) {
    let process = &mut world.gates[gate];
    let until = sent_at.0 + micros(valid_for.min(process.validation_ttl));
    let known = process.words.entry(digest).or_insert(Instant(0));
    known.0 = known.0.max(until);
}

/// A process was answered that asked for units.
pub(super) fn told_of_units(
    world: &mut World,
    gate: usize,
    account: AccountId,
    want: u32,
    answer: &Answer,
    sent_at: Instant,
) {
    let process = &mut world.gates[gate];
    let until = sent_at.0 + micros(answer.expires_in);
    let known = process.units.entry((account, answer.hour)).or_insert(Instant(0));
    known.0 = known.0.max(until);
    let is_given = want > 0 && answer.allotted - answer.used >= want;
    if is_given || answer.left > 0 {
        world.checks.given((gate, process.life), account);
    }
}

/// Nobody keeps units that it does not use.
pub(crate) fn check_idle(world: &mut World) {
    let since = Instant(world.now.0 - IDLE);
    for process in &world.gates {
        for (account, units) in world.store.asleep_with(process.holder, since) {
            let is_idle = process.spent.get(&account).is_none_or(|spent| *spent < since);
            if is_idle && process.asleep_until < since {
                world.checks.fail(format!("{units} units of {account} sleep in {}", process.holder));
            }
        }
    }
}

pub(super) fn brief(answer: Option<&Answer>) -> String {
    answer.map_or("nothing".into(), |answer| {
        let (allotted, used, left) = (answer.allotted, answer.used, answer.left);
        format!("{allotted} allotted, {used} used, {left} left, message {}", answer.seq)
    })
}

pub(super) fn facts(id: KeyId, account: AccountId, limit: u32) -> KeyFacts {
    let never = Timestamp::NEVER;
    KeyFacts {
        id,
        account,
        lifetime: Lifetime { expires_at: never, grace_until: never, revoked_at: never },
        rights: Arc::new(Rights {
            user_id: "ada".into(),
            service_id: "platform".into(),
            scopes: Box::default(),
            environment: Environment::Production,
            allowlist: Box::default(),
            rate_limit_per_hour: limit,
            monthly_prediction_limit: None,
            billing_plan: "free".into(),
        }),
    }
}
