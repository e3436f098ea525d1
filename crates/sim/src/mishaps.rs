//! What goes wrong, until it is calm.

use hokusai_core::id::Epoch;
use hokusai_core::time::{HOUR, Hour, MINUTE, SECOND, Timestamp};

use crate::node::{self, HEARTBEAT_KEPT, Node};
use crate::world::{Instant, World};
use crate::{admin, verifier};

/// How long a verifier stays in the register after it was last seen: longer than any answer that it got
/// may be used.
const VERIFIER_KEPT: i64 = 320 * SECOND;
/// How long a node does: longer than it believes its memory without saying that it lives.
const NODE_KEPT: i64 = HEARTBEAT_KEPT + 5 * SECOND;

pub(crate) fn start(world: &mut World) {
    keep_tidying(world);
    keep_failing(world);
}

fn keep_tidying(world: &mut World) {
    world.after(MINUTE, |world| {
        if world.store_up {
            let nodes: Vec<_> = world.nodes.iter().map(|node| node.holder).collect();
            let now = world.now;
            let kept = |holder| if nodes.contains(&holder) { NODE_KEPT } else { VERIFIER_KEPT };
            world.store.tidy(now, kept);
            if world.is_calm_hour(world.store.latest_hour) {
                verifier::check_idle(world);
            }
        }
        keep_tidying(world);
    });
}

fn keep_failing(world: &mut World) {
    let pause = world.between(SECOND, 12 * MINUTE);
    world.after(pause, |world| {
        if world.now < world.calm_from {
            fail(world);
            keep_failing(world);
        } else {
            calm_down(world);
        }
    });
}

/// All that is broken is mended.
fn calm_down(world: &mut World) {
    world.note(|| "all is calm".into());
    (world.trouble, world.slow) = (0, 0);
    world.store_up = true;
    if world.store.skew != 0 {
        (world.store.skew, world.clock_set) = (0, world.now);
    }
    // What is under way still comes to its end, and whoever sleeps wakes up.
    world.after(15 * MINUTE, |world| world.calm_after = Some(world.store.latest_hour));
    for index in 0..world.nodes.len() {
        world.nodes[index].reaches_store = true;
        if !world.nodes[index].up {
            restart(world, index);
        }
    }
    for gate in &mut world.gates {
        gate.reaches.fill(true);
    }
}

fn restart(world: &mut World, index: usize) {
    world.note(|| format!("node {index} begins anew"));
    let (holder, life) = (world.new_holder(), world.nodes[index].life + 1);
    let offset = world.between(0, HOUR);
    let reaches_store = world.nodes[index].reaches_store;
    let forgets = node::draw_forgets(world);
    let mut node = Node::new(holder, offset, life, forgets);
    node.reaches_store = reaches_store;
    world.nodes[index] = node;
    node::start(world, index);
}

fn fail(world: &mut World) {
    match world.between(0, 11) {
        0 => {
            let gate = world.any_gate();
            verifier::crash(world, gate);
            admin::revoke_in_use_within(world, SECOND);
        }
        1 => {
            let gate = world.any_gate();
            fall_asleep(world, gate);
        }
        2 => {
            let index = world.any_node();
            die(world, index);
        }
        3 => cut(world, cut_off_from_store),
        4 | 5 => cut(world, |world| {
            let (gate, index) = (world.any_gate(), world.any_node());
            world.note(|| format!("verifier {gate} is cut off from node {index}"));
            world.gates[gate].reaches[index] = false;
            Box::new(move |world| world.gates[gate].reaches[index] = true)
        }),
        6 => cut(world, |world| {
            let gate = world.any_gate();
            world.note(|| format!("verifier {gate} is cut off"));
            world.gates[gate].reaches.fill(false);
            let pause = world.between(SECOND, 2 * MINUTE);
            world.after(pause, admin::revoke_in_use);
            Box::new(move |world| world.gates[gate].reaches.fill(true))
        }),
        7 => cut(world, |world| {
            world.note(|| "the store is away".into());
            world.store_up = false;
            Box::new(|world| world.store_up = true)
        }),
        8 => {
            let ahead = world.between(-2 * HOUR, 2 * HOUR);
            world.note(|| format!("the store's clock is set by {ahead} µs"));
            world.store.skew = if world.chance(500) { 0 } else { ahead };
            world.clock_set = world.now;
        }
        9 => cut(world, |world| {
            let slow = world.between(SECOND, 5 * SECOND);
            world.note(|| format!("messages take up to {slow} µs"));
            world.slow = slow;
            Box::new(|world| world.slow = 0)
        }),
        10 => {
            // Units are at hand, and a change comes with it.
            admin::revoke_in_use(world);
            let pause = world.between(0, 4 * SECOND);
            world.after(pause, |world| {
                world.note(|| "the store begins a new epoch".into());
                world.store.epoch = Epoch::new(Timestamp(world.now.0), &mut world.rng);
            });
        }
        _ => world.trouble = u32::try_from(world.between(0, 150)).unwrap_or(0),
    }
}

/// A node can't reach the store, while a key in use is revoked; and maybe there are more changes meanwhile than
/// the store keeps.
fn cut_off_from_store(world: &mut World) -> Mend {
    let index = world.any_node();
    world.note(|| format!("node {index} is cut off from the store"));
    world.nodes[index].reaches_store = false;
    let pause = world.between(SECOND, MINUTE);
    world.after(pause, admin::revoke_in_use);
    Box::new(move |world| {
        world.nodes[index].reaches_store = true;
        if world.chance(500) {
            world.note(|| "the store keeps no change any longer".into());
            world.store.drop_changes();
        }
    })
}

fn die(world: &mut World, index: usize) {
    world.note(|| format!("node {index} dies"));
    world.nodes[index].up = false;
    world.nodes[index].life += 1;
    let down = world.between(SECOND, 5 * MINUTE);
    world.after(down, move |world| {
        if !world.nodes[index].up {
            restart(world, index);
        }
    });
}

fn fall_asleep(world: &mut World, gate: usize) {
    let sleep = world.between(SECOND, 10 * MINUTE);
    world.note(|| format!("verifier {gate} sleeps for {sleep} µs"));
    world.gates[gate].asleep_until = Instant(world.now.0 + sleep);
    world.after(sleep, admin::revoke_in_use);
}

type Mend = Box<dyn FnOnce(&mut World)>;

/// Breaks something for some time.
fn cut(world: &mut World, breaks: impl FnOnce(&mut World) -> Mend) {
    let mend = breaks(world);
    let time = world.between(SECOND, 8 * MINUTE);
    world.after(time, |world| {
        mend(world);
        if world.chance(300) {
            admin::revoke_in_use(world);
        }
    });
}

impl World {
    /// Whether an hour began after all mishaps, so that nothing in it is left of any.
    pub(crate) fn is_calm_hour(&self, hour: Hour) -> bool {
        self.calm_after.is_some_and(|last| hour > last)
    }
}
