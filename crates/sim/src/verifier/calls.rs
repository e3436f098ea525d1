//! How a verifier calls nodes: one after the other, until one answers in time.

use std::cell::RefCell;
use std::rc::Rc;

use hokusai_core::id::HolderId;
use hokusai_core::time::SECOND;

use super::inside;
use crate::world::World;

/// How long a node is given to answer.
const TIMEOUT: i64 = 2 * SECOND;

pub(super) type Then<A> = Box<dyn FnOnce(&mut World, Option<A>)>;
pub(super) type Ask<Q, A> = fn(&mut World, usize, HolderId, Q, Then<A>);

/// A question to the service: how it is put, and what is done with an answer that comes when nobody waits
/// for it any longer.
pub(super) struct Question<Q, A> {
    pub(super) what: Q,
    pub(super) ask: Ask<Q, A>,
    pub(super) late: fn(&mut World, usize, Q, A),
}

impl<Q: Clone, A> Clone for Question<Q, A> {
    fn clone(&self) -> Self {
        Self { what: self.what.clone(), ask: self.ask, late: self.late }
    }
}

/// Calls a node, and another if that one does not answer in time. `then` is called once: with the answer,
/// or without one after all were tried.
pub(super) fn call<Q: Clone + 'static, A: Clone + 'static>(
    world: &mut World,
    gate: usize,
    question: Question<Q, A>,
    then: impl FnOnce(&mut World, Option<A>) + 'static,
) {
    let first = world.gates[gate].node;
    try_node(world, gate, first, 0, question, Box::new(then));
}

fn try_node<Q: Clone + 'static, A: Clone + 'static>(
    world: &mut World,
    gate: usize,
    index: usize,
    tried: usize,
    question: Question<Q, A>,
    then: Then<A>,
) {
    if tried == world.nodes.len() {
        return then(world, None);
    }
    let (life, holder) = (world.gates[gate].life, world.gates[gate].holder);
    // Whoever comes first takes it: the answer, or the end of patience.
    let slot = Rc::new(RefCell::new(Some(then)));
    let (on_answer, on_timeout) = (slot.clone(), slot);
    let asked = question.clone();
    if world.gates[gate].reaches[index] && world.nodes[index].up {
        world.carry(move |world| {
            if !world.nodes[index].up || !world.gates[gate].reaches[index] {
                return;
            }
            let (slot, question) = (on_answer.clone(), asked.clone());
            let (what, ask) = (asked.what.clone(), asked.ask);
            let reply = move |world: &mut World, answer: Option<A>| {
                let Some(answer) = answer.filter(|_| world.gates[gate].reaches[index]) else { return };
                world.carry(move |world| {
                    let (slot, answer, question) = (slot.clone(), answer.clone(), question.clone());
                    inside(world, gate, life, move |world| {
                        let waiting = slot.borrow_mut().take();
                        match waiting {
                            Some(then) => {
                                world.gates[gate].node = index;
                                world.gates[gate].heard = world.now;
                                then(world, Some(answer));
                            }
                            None => (question.late)(world, gate, question.what, answer),
                        }
                    });
                });
            };
            ask(world, index, holder, what, Box::new(reply));
        });
    }
    world.after(TIMEOUT, move |world| {
        inside(world, gate, life, move |world| {
            let waiting = on_timeout.borrow_mut().take();
            if let Some(then) = waiting {
                let next = (index + 1) % world.nodes.len();
                try_node(world, gate, next, tried + 1, question, then);
            }
        });
    });
}
