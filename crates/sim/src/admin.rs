//! What people do: they make keys and use them, change limits, rotate and revoke.

use hokusai_core::id::{AccountId, KeyId};
use hokusai_core::key::KeyDigest;
use hokusai_core::time::{HOUR, MINUTE, SECOND, Timestamp};
use rand::RngExt as _;

use crate::store::StoredKey;
use crate::world::{Instant, World};
use crate::{node, verifier};

/// How long a revocation waits for those who have to know of it.
const WAIT: i64 = SECOND;
/// How often it looks whether they do.
const LOOK: i64 = 20_000;
/// A node that is cut off stops believing its memory after five seconds, and what a verifier was told
/// before lasts for five minutes.
const LATEST: i64 = 305 * SECOND;
/// How many keys there are at the most that live.
const KEYS: usize = 6;

pub(crate) fn start(world: &mut World) {
    for _ in 0..KEYS {
        create(world);
    }
    keep_changing(world);
    keep_regretting(world);
    keep_limiting(world);
    keep_using(world);
    keep_using_over_hours(world);
}

fn new_key(world: &mut World, family: Option<AccountId>) -> StoredKey {
    let id = KeyId::new(Timestamp(world.now.0), &mut world.rng);
    let digest = KeyDigest::of(&id.to_string());
    let family = family.unwrap_or(id.into());
    StoredKey { id, account: family, family, digest, ends: Instant(i64::MAX) }
}

fn add(world: &mut World, key: &StoredKey) {
    world.store.keys.insert(key.id, key.clone());
    let now = world.now;
    world.store.record(key, true, now);
}

fn create(world: &mut World) -> StoredKey {
    let limit = [10, 10, 25, 60, 120, 200][usize::try_from(world.between(0, 5)).unwrap_or(0)];
    let key = new_key(world, None);
    world.note(|| format!("{} is made, with a limit of {limit}", key.id));
    let now = world.now;
    world.store.limits.insert(key.account, limit);
    world.checks.limit(key.account, limit, now);
    add(world, &key);
    tell_all(world);
    key
}

fn tell_all(world: &mut World) {
    node::ring(world);
    verifier::ring(world);
}

fn living(world: &World) -> Vec<StoredKey> {
    world.store.keys.values().filter(|key| world.now < key.ends).cloned().collect()
}

fn pick(world: &mut World) -> Option<StoredKey> {
    let keys = living(world);
    let most = i64::try_from(keys.len()).unwrap_or(0);
    if most == 0 {
        return None;
    }
    let index = usize::try_from(world.between(0, most - 1)).unwrap_or(0);
    keys.get(index).cloned()
}

fn keep_changing(world: &mut World) {
    let pause = world.between(2 * MINUTE, 20 * MINUTE);
    world.after(pause, |world| {
        // A change is made through a node, by the store: without it there is none.
        if world.store_up {
            change(world);
        }
        keep_changing(world);
    });
}

fn change(world: &mut World) {
    if living(world).len() < KEYS {
        create(world);
        return;
    }
    let Some(key) = pick(world) else { return };
    if world.chance(667) {
        revoke(world, key);
    } else {
        rotate(world, key);
    }
}

/// Limits change in the middle of use; mostly of a key that is being used, so that there are units about.
fn keep_limiting(world: &mut World) {
    let pause = world.between(MINUTE, 10 * MINUTE);
    world.after(pause, |world| {
        let used = world.in_use.clone().filter(|used| world.now < used.ends && !world.chance(300));
        if let Some(key) = used.or_else(|| pick(world)) {
            rush(world, &key, 40, SECOND / 2);
            let pause = world.between(0, SECOND / 2);
            world.after(pause, move |world| {
                if world.store_up {
                    limit(world, &key);
                }
            });
        }
        keep_limiting(world);
    });
}

fn revoke(world: &mut World, mut key: StoredKey) {
    world.note(|| format!("{} is revoked", key.id));
    rush(world, &key, 40, 2 * SECOND);
    key.ends = world.now;
    world.checks.changed(key.account);
    world.store.keys.insert(key.id, key.clone());
    let now = world.now;
    world.store.record(&key, false, now);
    let (revision, committed) = (world.store.revision, world.now);
    world.checks.dead(key.id, Instant(committed.0 + LATEST));
    tell_all(world);
    await_all(world, revision, Instant(committed.0 + WAIT), move |world, is_everywhere| {
        if is_everywhere {
            let at = world.now;
            world.note(|| format!("{} is revoked everywhere", key.id));
            world.checks.dead(key.id, at);
            world.checks.counts.prompt += 1;
        } else {
            world.checks.counts.bounded += 1;
        }
    });
}

fn rotate(world: &mut World, mut key: StoredKey) {
    // Who is in grace already is not rotated again.
    if key.ends.0 != i64::MAX {
        return;
    }
    let grace = world.between(0, HOUR / 2);
    key.ends = Instant(world.now.0 + grace);
    let mut successor = new_key(world, Some(key.family));
    successor.account = key.account;
    let limit = world.store.limits[&key.account];
    world.store.limits.entry(successor.account).or_insert(limit);
    world.note(|| format!("{} is rotated to {}, with {grace} µs of grace", key.id, successor.id));
    world.checks.changed(key.account);
    world.store.keys.insert(key.id, key.clone());
    add(world, &successor);
    let now = world.now;
    world.store.record(&key, false, now);
    let (revision, committed) = (world.store.revision, world.now);
    // Whoever heard of it gives the old key up when its grace ends; whoever did not, at the latest time.
    world.checks.dead(key.id, Instant(key.ends.0.max(committed.0 + LATEST)));
    tell_all(world);
    await_all(world, revision, Instant(committed.0 + WAIT), move |world, is_everywhere| {
        if is_everywhere {
            let from = world.now.max(key.ends);
            world.checks.dead(key.id, from);
        }
    });
}

fn limit(world: &mut World, key: &StoredKey) {
    let most = if world.chance(500) { 10 } else { 200 };
    let limit = u32::try_from(world.between(10, most)).unwrap_or(10);
    let (account, now) = (key.account, world.now);
    world.note(|| format!("the limit of {account} is {limit} from now on"));
    world.store.limits.insert(account, limit);
    world.checks.limit(account, limit, now);
    world.limit_changed.insert(account, now);
    for key in living(world) {
        if key.account == account {
            world.store.record(&key, false, now);
        }
    }
    let revision = world.store.revision;
    rush(world, key, 40, 2 * SECOND);
    tell_all(world);
    await_all(world, revision, Instant(now.0 + WAIT), move |world, is_everywhere| {
        if is_everywhere {
            let now = world.now;
            world.checks.limit_is_effective(account, limit, now);
        }
    });
}

/// A key is revoked as soon as it is made, while everybody asks about it for the first time.
fn keep_regretting(world: &mut World) {
    let pause = world.between(5 * MINUTE, 30 * MINUTE);
    world.after(pause, |world| {
        if let Some(key) = world.store_up.then(|| create(world)) {
            rush(world, &key, 12, SECOND / 2);
            let pause = world.between(0, SECOND / 2);
            world.after(pause, move |world| {
                revoke_still(world, key.id);
            });
        }
        keep_regretting(world);
    });
}

/// Waits until everybody in the register has applied the feed up to `revision`, but not for ever.
fn await_all(
    world: &mut World,
    revision: i64,
    deadline: Instant,
    then: impl FnOnce(&mut World, bool) + 'static,
) {
    if world.store_up && world.store.pending(revision).is_empty() {
        return then(world, true);
    }
    if world.now >= deadline {
        return then(world, false);
    }
    world.after(LOOK, move |world| await_all(world, revision, deadline, then));
}

/// Bursts of requests, uneven over keys and verifiers.
fn keep_using(world: &mut World) {
    let pause = world.between(SECOND, 90 * SECOND);
    world.after(pause, |world| {
        burst(world);
        keep_using(world);
    });
}

/// A key that is in use is revoked within some seconds, while everybody goes on using it.
pub(crate) fn revoke_in_use(world: &mut World) {
    revoke_in_use_within(world, 3 * SECOND);
}

/// As [`revoke_in_use`], within this time.
pub(crate) fn revoke_in_use_within(world: &mut World, time: i64) {
    let used = world.in_use.clone().filter(|used| world.now < used.ends);
    let Some(key) = used.or_else(|| pick(world)) else { return };
    rush(world, &key, 60, time + SECOND);
    let pause = world.between(0, time);
    world.after(pause, move |world| {
        if revoke_still(world, key.id) {
            create(world);
        }
    });
}

/// Revokes a key unless it has ended, or nobody can; says whether it did.
fn revoke_still(world: &mut World, key: KeyId) -> bool {
    let current = world.store.keys.get(&key).cloned();
    let living = current.filter(|key| world.store_up && world.now < key.ends);
    living.map(|key| revoke(world, key)).is_some()
}

/// In the last seconds of each hour of the store, and on into the next.
fn keep_using_over_hours(world: &mut World) {
    let left = HOUR - world.store.now(world.now).0.rem_euclid(HOUR);
    let pause = if left > 4 * SECOND { left - 2 * SECOND } else { left + MINUTE };
    world.after(pause, |world| {
        let left = HOUR - world.store.now(world.now).0.rem_euclid(HOUR);
        if let Some(key) = world.in_use.clone().filter(|_| left <= 4 * SECOND) {
            rush(world, &key, 60, 4 * SECOND);
        }
        keep_using_over_hours(world);
    });
}

/// So many requests within so many microseconds, at every verifier and at the nodes themselves.
fn rush(world: &mut World, key: &StoredKey, requests: u32, spread: i64) {
    let digest = key.digest;
    for _ in 0..requests {
        let delay = world.rng.random_range(0..spread);
        let (gate, node) = (world.any_gate(), world.any_node());
        if world.chance(200) {
            world.after(delay, move |world| node::judge(world, node, digest));
        } else {
            world.after(delay, move |world| verifier::request(world, gate, digest));
        }
    }
}

fn burst(world: &mut World) {
    // Mostly keys that live; and some that once did.
    let keys: Vec<StoredKey> = if world.chance(850) {
        living(world)
    } else {
        world.store.keys.values().rev().take(12).cloned().collect()
    };
    let most = i64::try_from(keys.len()).unwrap_or(0);
    let Some(key) = (most > 0)
        .then(|| usize::try_from(world.between(0, most - 1)).unwrap_or(0))
        .and_then(|index| keys.get(index).cloned())
    else {
        return;
    };
    world.in_use = Some(key.clone());
    let spread = if world.chance(300) { 10 * MINUTE } else { 20 * SECOND };
    let requests = world.between(1, 80);
    let favourite = world.any_gate();
    for _ in 0..requests {
        let delay = world.rng.random_range(0..spread);
        let gate = if world.chance(500) { favourite } else { world.any_gate() };
        let digest = key.digest;
        world.after(delay, move |world| verifier::request(world, gate, digest));
        if world.chance(100) {
            let node = world.any_node();
            world.after(delay, move |world| node::judge(world, node, digest));
        }
    }
}
