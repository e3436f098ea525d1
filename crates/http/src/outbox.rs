//! What the connections of a worker have to send, sent one right after the other.
//!
//! To send wakes whoever reads at the other end, if that sleeps. If each connection sent as soon as its turn came, the
//! other ends would fall asleep between any two of them, and would have to be woken for each.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use crate::gathered::{Socket, lock};

/// So many wait at the most. Further ones send at once.
const MOST: usize = 32;

thread_local! {
    /// Whether there is one shows whether this is a worker's thread.
    static OUTBOX: RefCell<Option<Outbox>> = const { RefCell::new(None) };
}

struct Outbox {
    waiting: Vec<Arc<Mutex<Socket>>>,
    sender: Waker,
}

/// Has what waits at a socket sent once all who have something to do now have had their turn; false if that is not done
/// here.
pub(crate) fn add(socket: &Arc<Mutex<Socket>>) -> bool {
    OUTBOX.with_borrow_mut(|outbox| {
        let Some(Outbox { waiting, sender }) = outbox.as_mut().filter(|outbox| outbox.waiting.len() < MOST)
        else {
            return false;
        };
        if waiting.is_empty() {
            sender.wake_by_ref();
        }
        waiting.push(socket.clone());
        true
    })
}

/// Sends what waits on this thread, for as long as it is polled.
pub(crate) async fn keep_sending() {
    poll_fn(|cx| {
        let mut waiting = OUTBOX.with_borrow_mut(|outbox| match outbox {
            Some(outbox) => std::mem::take(&mut outbox.waiting),
            None => {
                *outbox = Some(Outbox { waiting: Vec::new(), sender: cx.waker().clone() });
                Vec::new()
            }
        });
        waiting.drain(..).for_each(|socket| lock(&socket).send());
        // Nobody else had a turn meanwhile; the room is kept.
        OUTBOX.with_borrow_mut(|outbox| outbox.as_mut().map(|outbox| outbox.waiting = waiting));
        Poll::<()>::Pending
    })
    .await;
}
