//! A node of the service: it judges by memory that follows the feed, and relays what verifiers say of
//! limits to the store.
//!
//! The node is a model of the real one. It keeps the same order of steps: the place in the feed is read
//! before the key; nobody's answer may be cached before the register is written; a memory that was not
//! confirmed for five seconds is not believed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use hokusai_core::allotment::{Answer, Ask};
use hokusai_core::debt::Debt;
use hokusai_core::feed::{Follower, Position, Step};
use hokusai_core::id::{AccountId, HolderId};
use hokusai_core::key::KeyDigest;
use hokusai_core::policy::Refusal;
use hokusai_core::time::{Elapsed, SECOND};
use hokusai_core::verifier::FeedItem;

use crate::store::StoredKey;
use crate::verifier;
use crate::world::World;

/// How often a node looks at the feed when no bell rings.
const POLL: i64 = 2 * SECOND;
/// How often a node says that it lives.
const HEARTBEAT: i64 = 5 * SECOND;
/// A node that has not said so for this long does not believe its memory.
pub(crate) const HEARTBEAT_KEPT: i64 = 10 * SECOND;
/// How long a node believes that a verifier is in the register.
const REGISTERED_FOR: Duration = Duration::from_secs(10);
/// How long a verifier may use an answer.
pub(crate) const VALID_FOR: Duration = Duration::from_secs(300);

/// One node.
pub(crate) struct Node {
    pub(crate) holder: HolderId,
    /// Counts restarts: what was under way before one comes to nothing.
    pub(crate) life: u32,
    pub(crate) up: bool,
    pub(crate) reaches_store: bool,
    pub(crate) clock_offset: i64,
    follower: Follower,
    /// When the latest sign of life that was written was sent.
    heartbeat: Option<Elapsed>,
    cache: HashMap<KeyDigest, StoredKey>,
    /// How likely it is, in thousandths, that its memory is empty when it looks at the feed.
    forgets: u32,
    registered: BTreeMap<HolderId, Elapsed>,
}

/// What a node says of a key.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Good {
        key: StoredKey,
        limit: u32,
        valid_for: Duration,
        position: Position,
        allotment: Option<Answer>,
    },
    Refused {
        refusal: Refusal,
        position: Position,
    },
    /// It can't vouch for anything: its store does not answer.
    Unavailable,
}

/// What a node says of the feed.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) head: Position,
    pub(crate) reset: bool,
    pub(crate) items: Vec<FeedItem>,
    pub(crate) dry: Vec<AccountId>,
}

/// What a node says to a message about limits.
pub(crate) type Answers = Option<Vec<Option<Answer>>>;

impl Node {
    pub(crate) fn new(holder: HolderId, clock_offset: i64, life: u32, forgets: u32) -> Self {
        Self {
            holder,
            life,
            up: true,
            reaches_store: true,
            clock_offset,
            follower: Follower::new(),
            heartbeat: None,
            cache: HashMap::new(),
            forgets,
            registered: BTreeMap::new(),
        }
    }

    fn is_up_to_date(&self, now: Elapsed) -> bool {
        let heartbeat = Duration::from_micros(HEARTBEAT_KEPT.unsigned_abs());
        self.follower.is_confirmed(now) && self.heartbeat.is_some_and(|sent| now.since(sent) < heartbeat)
    }
}

/// How likely a node's memory is empty at a look at the feed: some have room for much, others for little.
pub(crate) fn draw_forgets(world: &mut World) -> u32 {
    if world.chance(500) { 200 } else { 5 }
}

/// Begins a node's life.
pub(crate) fn start(world: &mut World, index: usize) {
    let life = world.nodes[index].life;
    poll(world, index, life);
    keep_alive(world, index, life);
}

fn lives(world: &World, index: usize, life: u32) -> bool {
    world.nodes[index].up && world.nodes[index].life == life
}

/// Lets a node ask the store something: `ask` happens there, and `then` here with its outcome. Either way of
/// the message may take time; a store that is away, or cut off, does not answer.
fn ask_store<T: Clone + 'static>(
    world: &mut World,
    index: usize,
    ask: impl FnOnce(&mut World) -> T + 'static,
    then: impl FnOnce(&mut World, Option<T>) + 'static,
) {
    let life = world.nodes[index].life;
    let there = world.between(50, 2000);
    world.after(there, move |world| {
        let reached = world.store_up && world.nodes[index].reaches_store;
        let outcome = reached.then(|| ask(world));
        let trouble = world.trouble;
        let is_slow = !reached || world.chance(trouble);
        let back = if is_slow { world.between(1000, 3 * SECOND) } else { world.between(50, 2000) };
        world.after(back, move |world| {
            if lives(world, index, life) {
                // What the store did stands even if its word does not come back.
                let heard = outcome.filter(|_| world.nodes[index].reaches_store);
                then(world, heard);
            }
        });
    });
}

fn poll(world: &mut World, index: usize, life: u32) {
    if !lives(world, index, life) {
        return;
    }
    // Memory is bounded: what was in it may have to be read again at any time.
    if world.chance(world.nodes[index].forgets) {
        world.nodes[index].cache.clear();
    }
    follow(world, index, |_| {});
    world.after(POLL, move |world| poll(world, index, life));
}

/// Rings at every node: the feed has grown. A bell may stay silent.
pub(crate) fn ring(world: &mut World) {
    for index in 0..world.nodes.len() {
        if world.nodes[index].up && !world.chance(50) {
            let delay = world.between(100, 20_000);
            let life = world.nodes[index].life;
            world.after(delay, move |world| {
                if lives(world, index, life) {
                    follow(world, index, |_| {});
                }
            });
        }
    }
}

/// Reads the feed once and applies it; then acknowledges, if anything was new.
pub(crate) fn follow(world: &mut World, index: usize, then: impl FnOnce(&mut World) + 'static) {
    let sent = world.elapsed(world.nodes[index].clock_offset);
    let from = world.nodes[index].follower.read_from();
    ask_store(
        world,
        index,
        move |world| {
            let now = world.now;
            world.store.read_feed(from, now)
        },
        move |world, page| {
            if let Some((head, items, _)) = page {
                let before = world.nodes[index].follower.revision();
                apply(&mut world.nodes[index], head, &items, sent);
                if world.nodes[index].follower.revision() > before {
                    acknowledge(world, index);
                }
            }
            then(world);
        },
    );
}

fn apply(node: &mut Node, head: Position, items: &[FeedItem], sent: Elapsed) {
    let changes = items.iter().map(|item| item.change).collect();
    match node.follower.apply(head, changes, sent) {
        Step::Forget(new) => {
            for (key, _) in new.iter().filter_map(|change| change.key) {
                node.cache.retain(|_, known| known.id != key);
            }
        }
        Step::ForgetAll => {
            node.cache.clear();
            node.registered.clear();
        }
    }
}

fn acknowledge(world: &mut World, index: usize) {
    let (holder, revision) = (world.nodes[index].holder, world.nodes[index].follower.revision());
    let sent = world.elapsed(world.nodes[index].clock_offset);
    ask_store(
        world,
        index,
        move |world| {
            let now = world.now;
            world.store.register(holder, revision, now);
        },
        move |world, done| {
            if done.is_some() {
                world.nodes[index].heartbeat = Some(sent);
            }
        },
    );
}

fn keep_alive(world: &mut World, index: usize, life: u32) {
    if lives(world, index, life) {
        acknowledge(world, index);
        world.after(HEARTBEAT, move |world| keep_alive(world, index, life));
    }
}

/// A verifier asks about a key, and for its first units.
pub(crate) fn validate(
    world: &mut World,
    index: usize,
    holder: HolderId,
    digest: KeyDigest,
    seq: i64,
    then: impl FnOnce(&mut World, Told) + 'static,
) {
    let now = world.elapsed(world.nodes[index].clock_offset);
    let node = &world.nodes[index];
    let Some(position) = node.follower.position() else { return then(world, Told::Unavailable) };
    match node.cache.get(&digest).cloned().filter(|_| node.is_up_to_date(now)) {
        Some(key) => vouch(world, index, holder, key, position, seq, then),
        None => ask_store(
            world,
            index,
            move |world| world.store.find(&digest),
            move |world, found| match found {
                None => then(world, Told::Unavailable),
                Some((None, _)) => then(world, Told::Refused { refusal: Refusal::InvalidKey, position }),
                Some((Some(key), read_at)) => {
                    if world.nodes[index].follower.vouches_for(key.id, read_at) {
                        world.nodes[index].cache.insert(digest, key.clone());
                    }
                    vouch(world, index, holder, key, position, seq, then);
                }
            },
        ),
    }
}

/// A caller asks the node itself whether a key is good. Of a row that was read because memory is not up to
/// date, only the moment of the reading counts.
pub(crate) fn judge(world: &mut World, index: usize, digest: KeyDigest) {
    if !world.nodes[index].up {
        return;
    }
    let now = world.elapsed(world.nodes[index].clock_offset);
    let node = &world.nodes[index];
    let is_up_to_date = node.is_up_to_date(now);
    if let Some(key) = node.cache.get(&digest).cloned().filter(|_| is_up_to_date) {
        let at = world.now;
        return world.checks.judged(key.id, at < key.ends, at);
    }
    ask_store(
        world,
        index,
        move |world| (world.store.find(&digest), world.now),
        move |world, found| {
            let Some(((Some(key), read_at), read)) = found else { return };
            let is_current = world.nodes[index].follower.vouches_for(key.id, read_at);
            if !is_current {
                return judge(world, index, digest);
            }
            world.nodes[index].cache.insert(digest, key.clone());
            let at = if is_up_to_date { world.now } else { read };
            world.checks.judged(key.id, at < key.ends, at);
        },
    );
}

/// Judges a key, sees to it that the verifier is in the register, and gets its first units.
fn vouch(
    world: &mut World,
    index: usize,
    holder: HolderId,
    key: StoredKey,
    position: Position,
    seq: i64,
    then: impl FnOnce(&mut World, Told) + 'static,
) {
    // Nodes and store go by the same clock in this; the promises do not rest on how well they agree.
    if world.now >= key.ends {
        return then(world, Told::Refused { refusal: Refusal::Revoked, position });
    }
    let now = world.elapsed(world.nodes[index].clock_offset);
    let known = world.nodes[index].registered.get(&holder).copied();
    if known.is_some_and(|at| now.since(at) < REGISTERED_FOR) {
        return first_units(world, index, holder, key, position, seq, VALID_FOR, then);
    }
    ask_store(
        world,
        index,
        move |world| {
            let now = world.now;
            world.store.renew(holder, now)
        },
        move |world, renewed| match renewed {
            None => then(world, Told::Unavailable),
            Some(false) => first_units(world, index, holder, key, position, seq, Duration::ZERO, then),
            Some(true) => {
                world.nodes[index].registered.insert(holder, now);
                first_units(world, index, holder, key, position, seq, VALID_FOR, then);
            }
        },
    );
}

#[expect(clippy::too_many_arguments, reason = "the last of three steps of one answer")]
fn first_units(
    world: &mut World,
    index: usize,
    holder: HolderId,
    key: StoredKey,
    position: Position,
    seq: i64,
    valid_for: Duration,
    then: impl FnOnce(&mut World, Told) + 'static,
) {
    let account = key.account;
    ask_store(
        world,
        index,
        move |world| {
            let now = world.now;
            let limit = world.store.limits[&account];
            let first = world.store.allot_first(holder, account, seq, now);
            hint(world);
            (first, limit)
        },
        move |world, outcome| match outcome {
            None => then(world, Told::Unavailable),
            Some((allotment, limit)) => {
                // The word ends before the key does.
                let left = u64::try_from(key.ends.0 - world.now.0).unwrap_or(0);
                let valid_for = valid_for.min(Duration::from_micros(left));
                then(world, Told::Good { key, limit, valid_for, position, allotment });
            }
        },
    );
}

/// Tells everybody of accounts that others need units of.
fn hint(world: &mut World) {
    let (marked, now) = (std::mem::take(&mut world.store.marked_dry), world.now);
    for account in &marked {
        let is_steady = now.0 - world.clock_set.0 > SECOND;
        world.checks.hinted(*account, now, is_steady);
    }
    if !marked.is_empty() {
        verifier::hint(world);
    }
}

/// A verifier speaks of limits and debts.
pub(crate) fn allot(
    world: &mut World,
    index: usize,
    holder: HolderId,
    asks: Vec<(AccountId, Ask)>,
    debts: Vec<Debt>,
    then: impl FnOnce(&mut World, Answers) + 'static,
) {
    ask_store(
        world,
        index,
        move |world| {
            let now = world.now;
            world.store.settle(&debts);
            let answers = world.store.allot(holder, &asks, now);
            hint(world);
            answers
        },
        then,
    );
}

/// A verifier asks for changes after `position`, and so acknowledges all before.
pub(crate) fn changes(
    world: &mut World,
    index: usize,
    holder: HolderId,
    position: Option<Position>,
    then: impl FnOnce(&mut World, Option<Page>) + 'static,
) {
    ask_store(
        world,
        index,
        move |world| {
            let now = world.now;
            let head = world.store.position();
            let known = position.filter(|known| known.epoch == head.epoch && known.revision <= head.revision);
            // The register is written before the feed is read: whoever is not in it yet can't be waited for.
            let revision = known.map_or(head.revision, |known| known.revision);
            if known.is_some() || position.is_none() {
                world.store.register(holder, revision, now);
            }
            let (head, items, dry) = world.store.read_feed(revision, now);
            // Revisions have no gaps: what is missing is not kept any longer.
            let is_whole = usize::try_from(head.revision - revision) == Ok(items.len());
            Page { head, reset: known.is_none() || !is_whole, items, dry }
        },
        then,
    );
}
