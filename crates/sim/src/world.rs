//! The world that the protocols live in: one true time, events in its order, chance from one seed, and a
//! network that loses, delays and doubles what it carries.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use hokusai_core::id::{AccountId, Epoch, HolderId};
use hokusai_core::time::{Elapsed, Hour, SECOND, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::checks::Checks;
use crate::node::Node;
use crate::store::{Store, StoredKey};
use crate::verifier::Gate;

/// An instant of the true time, which nobody in the world can read: microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(pub(crate) i64);

/// Something that happens.
pub(crate) type Event = Box<dyn FnOnce(&mut World)>;

struct Scheduled {
    at: Instant,
    /// Events of one instant happen in the order in which they were scheduled.
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The most lines of history that are kept.
const HISTORY: usize = 200;

/// Everything there is.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) rng: StdRng,
    events: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    pub(crate) store: Store,
    /// Whether the store answers.
    pub(crate) store_up: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) checks: Checks,
    history: VecDeque<String>,
    /// How likely a message is lost, doubled or very late, in thousandths.
    pub(crate) trouble: u32,
    /// How long a message takes at the most while the network is slow; 0 while it is not.
    pub(crate) slow: i64,
    /// When the store's clock was last set.
    pub(crate) clock_set: Instant,
    /// The key that was used last.
    pub(crate) in_use: Option<StoredKey>,
    /// When the limit of an account was last changed.
    pub(crate) limit_changed: HashMap<AccountId, Instant>,
    /// When mishaps end, so that all comes to rest.
    pub(crate) calm_from: Instant,
    /// The last hour that had been named when all was calm.
    pub(crate) calm_after: Option<Hour>,
}

impl World {
    pub(crate) fn new(seed: u64, start: Instant) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let epoch = Epoch::new(Timestamp(start.0), &mut rng);
        Self {
            now: start,
            rng,
            events: BinaryHeap::new(),
            order: 0,
            store: Store::new(epoch),
            store_up: true,
            nodes: Vec::new(),
            gates: Vec::new(),
            checks: Checks::default(),
            history: VecDeque::new(),
            trouble: 0,
            slow: 0,
            clock_set: start,
            in_use: None,
            limit_changed: HashMap::new(),
            calm_from: start,
            calm_after: None,
        }
    }

    /// Lets `event` happen in `delay` microseconds.
    pub(crate) fn after(&mut self, delay: i64, event: impl FnOnce(&mut Self) + 'static) {
        self.order += 1;
        let at = Instant(self.now.0 + delay.max(0));
        self.events.push(Reverse(Scheduled { at, order: self.order, event: Box::new(event) }));
    }

    /// Lets everything happen until `end`, or until a promise is broken.
    pub(crate) fn run_until(&mut self, end: Instant) {
        while self.checks.violation.is_none() {
            if self.events.peek().is_none_or(|Reverse(next)| next.at > end) {
                break;
            }
            let Some(Reverse(next)) = self.events.pop() else { break };
            self.now = next.at;
            self.checks.events += 1;
            (next.event)(self);
        }
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        self.rng.random_range(low..=high)
    }

    /// Whether something happens that has so many chances in a thousand.
    pub(crate) fn chance(&mut self, thousandths: u32) -> bool {
        self.rng.random_range(0..1000) < thousandths
    }

    /// One of the verifiers.
    pub(crate) fn any_gate(&mut self) -> usize {
        self.rng.random_range(0..self.gates.len())
    }

    /// One of the nodes.
    pub(crate) fn any_node(&mut self) -> usize {
        self.rng.random_range(0..self.nodes.len())
    }

    /// Carries a message that may be lost, late or doubled. `event` happens for each copy that arrives.
    pub(crate) fn carry(&mut self, event: impl Fn(&mut Self) + Clone + 'static) {
        let trouble = self.trouble;
        if self.chance(trouble) {
            return;
        }
        let copies = if self.chance(trouble) { 2 } else { 1 };
        for _ in 0..copies {
            let late = self.chance(trouble);
            let most = if late { 8 * SECOND } else { self.slow.max(3000) };
            let delay = self.between(100, most);
            self.after(delay, event.clone());
        }
    }

    /// An id for a new process.
    pub(crate) fn new_holder(&mut self) -> HolderId {
        HolderId::new(Timestamp(self.now.0), &mut self.rng)
    }

    /// Remembers what happened, for the report of a violation.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        let seconds = self.now.0 / SECOND % 86_400;
        let micros = self.now.0 % SECOND;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        let line = format!("{hours:02}:{minutes:02}:{:02}.{micros:06} {}", seconds % 60, line());
        self.history.push_back(line);
    }

    /// The latest of what happened.
    pub(crate) fn history(&self) -> impl Iterator<Item = &String> {
        self.history.iter()
    }

    /// What a process reads from its clock that runs on while it sleeps.
    pub(crate) fn elapsed(&self, clock_offset: i64) -> Elapsed {
        Elapsed(self.now.0 + clock_offset)
    }
}
