//! A process that verifies: the real state machine, driven over a network that fails.

mod calls;
mod outside;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use hokusai_core::allotment::Answer;
use hokusai_core::debt::{Debt, DebtId};
use hokusai_core::feed::Position;
use hokusai_core::id::{AccountId, HolderId};
use hokusai_core::key::KeyDigest;
use hokusai_core::policy::{Attempt, ClientAddress, Demand};
use hokusai_core::time::{Elapsed, HOUR, Hour, SECOND};
use hokusai_core::verifier::{
    FeedPage, KeyAnswer, LookUp, Message, News, OutagePolicy, Request, Step, Taken, Verdict, Verifier,
    VerifierOptions, Woken,
};
use rand::RngExt as _;

use crate::checks::Admitted;
use crate::node::{self, Answers, Page, Told};
use crate::world::{Instant, World};

use calls::{Question, Then, call};
pub(crate) use outside::check_idle;
use outside::{brief, facts};

/// How long a request waits at the most.
const PATIENCE: i64 = 7 * SECOND;
/// How often the feed is asked for when nothing rings.
const POLL: i64 = 2 * SECOND;
/// How often a key is asked about again that changed while it was asked about.
const ROUNDS: u32 = 5;

/// One process.
pub(crate) struct Gate {
    pub(crate) holder: HolderId,
    pub(crate) life: u32,
    pub(crate) up: bool,
    pub(crate) asleep_until: Instant,
    /// Which nodes it reaches.
    pub(crate) reaches: Vec<bool>,
    clock_offset: i64,
    verifier: Verifier<u64>,
    requests: HashMap<u64, Waiting>,
    next_request: u64,
    speaking: bool,
    polling: bool,
    /// Whether there was a bell while the feed was being asked for.
    poll_again: bool,
    /// The node that answered last.
    node: usize,
    /// What outlives the process: its debts, written down before the request went on.
    journal: BTreeMap<DebtId, u32>,
    /// When the service last answered anything.
    heard: Instant,
    /// Until when the latest word on a key may be used, as seen from outside.
    words: HashMap<KeyDigest, Instant>,
    /// Until when units of an account in an hour may be spent, as seen from outside.
    units: HashMap<(AccountId, Hour), Instant>,
    /// When a unit of an account was last spent.
    spent: HashMap<AccountId, Instant>,
    validation_ttl: Duration,
}

#[derive(Clone, Copy)]
struct Waiting {
    digest: KeyDigest,
    deadline: Instant,
    in_vain: bool,
}

/// A new process; `journal` is what one before it left.
pub(crate) fn new(world: &mut World, life: u32, journal: BTreeMap<DebtId, u32>) -> Gate {
    let clock_offset = world.between(-1_000_000, 1_000_000);
    let (holder, debtor) = (world.new_holder(), world.new_holder());
    // Some ask often, so that a key is often asked about while much else is said.
    let validation_ttl = Duration::from_secs(if world.chance(300) { 3 } else { 300 });
    let options = VerifierOptions {
        cached_keys: 1000,
        validation_ttl,
        outage: OutagePolicy::Allow,
        lookups_per_second: 1000,
        seed: world.rng.random(),
    };
    let now = world.elapsed(clock_offset);
    let verifier = Verifier::new(options, debtor, now.0, now);
    verifier.inherit(journal.iter().map(|(id, units)| Debt { id: *id, units: *units }));
    Gate {
        holder,
        life,
        up: true,
        asleep_until: Instant(0),
        reaches: vec![true; world.nodes.len()],
        clock_offset,
        verifier,
        requests: HashMap::new(),
        next_request: 0,
        speaking: false,
        polling: false,
        poll_again: false,
        node: 0,
        journal,
        heard: world.now,
        words: HashMap::new(),
        units: HashMap::new(),
        spent: HashMap::new(),
        validation_ttl,
    }
}

/// Begins a process's life.
pub(crate) fn start(world: &mut World, gate: usize) {
    let life = world.gates[gate].life;
    // Some are asked for something before they follow the feed.
    let pause = if world.chance(300) { world.between(0, 2 * SECOND) } else { 0 };
    world.after(pause, move |world| inside(world, gate, life, move |world| keep_polling(world, gate, life)));
    keep_sweeping(world, gate, life);
}

/// Ends a process without warning, and begins another.
pub(crate) fn crash(world: &mut World, gate: usize) {
    let (life, journal) = (world.gates[gate].life + 1, world.gates[gate].journal.clone());
    let reaches = world.gates[gate].reaches.clone();
    world.note(|| format!("verifier {gate} dies, and a new process begins"));
    let new = Gate { reaches, ..new(world, life, journal) };
    world.gates[gate] = new;
    start(world, gate);
}

/// Runs `then` in the process if it still lives, and not before it wakes up.
fn inside(world: &mut World, gate: usize, life: u32, then: impl FnOnce(&mut World) + 'static) {
    let process = &world.gates[gate];
    if !process.up || process.life != life {
        return;
    }
    let sleep = process.asleep_until.0 - world.now.0;
    if sleep > 0 {
        let more = world.between(0, 20_000);
        return world.after(sleep + more, move |world| inside(world, gate, life, then));
    }
    then(world);
}

fn now(world: &World, gate: usize) -> Elapsed {
    world.elapsed(world.gates[gate].clock_offset)
}

/// A request with a key arrives.
pub(crate) fn request(world: &mut World, gate: usize, digest: KeyDigest) {
    let life = world.gates[gate].life;
    inside(world, gate, life, move |world| {
        let deadline = Instant(world.now.0 + PATIENCE);
        let process = &mut world.gates[gate];
        process.next_request += 1;
        let id = process.next_request;
        process.requests.insert(id, Waiting { digest, deadline, in_vain: false });
        attempt(world, gate, id);
    });
}

fn attempt(world: &mut World, gate: usize, id: u64) {
    let at = now(world, gate);
    let Some(waiting) = world.gates[gate].requests.get(&id).copied() else { return };
    if world.now >= waiting.deadline {
        return unreachable(world, gate, id);
    }
    let attempt =
        Attempt { service_id: None, demand: Demand::Nothing, client: ClientAddress::Told("unknown") };
    let request =
        Request { digest: waiting.digest, attempt, stranger: None, in_vain: waiting.in_vain, now: at };
    match world.gates[gate].verifier.admit(&request, || id) {
        Step::Done(verdict) => {
            world.gates[gate].requests.remove(&id);
            decided(world, gate, waiting, verdict);
        }
        Step::Wait(None) => speak(world, gate),
        Step::Wait(Some(look_up_)) => look_up(world, gate, look_up_, 0),
        Step::Unreachable | Step::Busy => unreachable(world, gate, id),
    }
    // What runs low is asked for ahead.
    speak(world, gate);
}

fn unreachable(world: &mut World, gate: usize, id: u64) {
    world.gates[gate].requests.remove(&id);
    world.checks.counts.unreachable += 1;
}

fn refused(world: &mut World, digest: KeyDigest) {
    world.checks.counts.refused += 1;
    // Nobody asks for a key before it is made.
    let lives = world.store.keys.values().find(|key| key.digest == digest && world.now < key.ends);
    if let Some(key) = lives {
        world.checks.refused_alive(key.id);
    }
}

fn decided(world: &mut World, gate: usize, waiting: Waiting, verdict: Verdict) {
    let (at, digest) = (world.now, waiting.digest);
    match verdict {
        Verdict::Refused(_) => refused(world, digest),
        Verdict::Limited(quota) => {
            world.checks.counts.limited += 1;
            let account = world.store.keys.values().find(|key| key.digest == digest).map(|key| key.account);
            // A new limit takes a moment to be known to all.
            let is_known = |account: &AccountId| {
                world.limit_changed.get(account).is_none_or(|changed| at.0 - changed.0 > 3 * SECOND)
            };
            if let Some(account) = account {
                let process = (gate, world.gates[gate].life);
                world.checks.used_up(process, account, quota.hour);
            }
            if let Some(account) = account.filter(is_known).filter(|_| world.is_calm_hour(quota.hour)) {
                let limit = world.store.limits[&account];
                world.note(|| format!("verifier {gate} is out of units of {account}, {quota:?}"));
                world.checks.refused_in_calm(account, quota.hour, limit);
            }
        }
        Verdict::Admitted(admission) => {
            let process = &mut world.gates[gate];
            process.spent.insert(admission.key.account, at);
            if let Some(debt) = admission.debt {
                *process.journal.entry(debt).or_insert(0) += 1;
            }
            let word_until = process.words.get(&digest).copied().unwrap_or(Instant(0));
            let unit = (admission.key.account, admission.quota.hour);
            let unit_until = process.units.get(&unit).copied().unwrap_or(Instant(0));
            let admitted = Admitted {
                process: (gate, process.life),
                key: admission.key.id,
                account: admission.key.account,
                family: world.store.keys[&admission.key.id].family,
                silence: at.0 - process.heard.0,
                in_vain: waiting.in_vain,
                hour: admission.quota.hour,
                debt: admission.debt,
                word_until,
                unit_until,
            };
            world.note(|| {
                let how = if admitted.debt.is_some() { "lends to" } else { "admits" };
                format!("verifier {gate} {how} {} in {:?}", admitted.key, admitted.hour)
            });
            world.checks.admitted(&admitted, at);
            // A clock that was set lately makes hours longer or shorter.
            let is_steady = world.store.skew == 0 && at.0 - world.clock_set.0 > 2 * HOUR;
            if is_steady && admitted.debt.is_none() && at.0 >= admitted.hour.end().0 {
                world.checks.fail(format!("a unit of {:?} was spent after it", admitted.hour));
            }
        }
    }
}

fn wake(world: &mut World, gate: usize, woken: Woken<u64>) {
    for (id, news) in woken {
        match news {
            News::TryAgain => attempt(world, gate, id),
            News::Gone => {
                if let Some(waiting) = world.gates[gate].requests.get(&id) {
                    let digest = waiting.digest;
                    world.gates[gate].verifier.forget(&digest);
                }
                attempt(world, gate, id);
            }
            News::Refused(_) => {
                if let Some(waiting) = world.gates[gate].requests.remove(&id) {
                    refused(world, waiting.digest);
                }
            }
            News::InVain => {
                if let Some(waiting) = world.gates[gate].requests.get_mut(&id) {
                    waiting.in_vain = true;
                }
                let life = world.gates[gate].life;
                world.after(100_000, move |world| {
                    inside(world, gate, life, move |world| attempt(world, gate, id));
                });
            }
        }
    }
}

fn look_up(world: &mut World, gate: usize, asked: LookUp, round: u32) {
    let sent = now(world, gate);
    let sent_at = world.now;
    call(
        world,
        gate,
        Question {
            what: (asked.digest, asked.seq),
            ask: |world, index, holder, (digest, seq), then: Then<Told>| {
                node::validate(world, index, holder, digest, seq, move |world, told| {
                    let said = (!matches!(told, Told::Unavailable)).then_some(told);
                    then(world, said);
                });
            },
            late: |_, _, _, _| {},
        },
        move |world, told| {
            let at = now(world, gate);
            if let Some(Told::Good { valid_for, key, allotment, .. }) = &told {
                if let Some(answer) = allotment {
                    outside::told_of_units(world, gate, key.account, 1, answer, sent_at);
                }
                outside::told_of_key(world, gate, asked.digest, *valid_for, sent_at);
            }
            let answer = answer(told);
            match world.gates[gate].verifier.take_key(&asked, answer, sent, at) {
                Taken::Wake(woken) => wake(world, gate, woken),
                Taken::AskAgain | Taken::Follow if round < ROUNDS => {
                    poll(world, gate);
                    let life = world.gates[gate].life;
                    world.after(100_000, move |world| {
                        inside(world, gate, life, move |world| look_up(world, gate, asked, round + 1));
                    });
                }
                Taken::AskAgain | Taken::Follow => {
                    let woken = world.gates[gate].verifier.give_up(&asked);
                    wake(world, gate, woken);
                }
            }
        },
    );
}

fn answer(told: Option<Told>) -> KeyAnswer {
    match told {
        None | Some(Told::Unavailable) => KeyAnswer::InVain,
        Some(Told::Refused { refusal, position }) => KeyAnswer::Refused { refusal, position },
        Some(Told::Good { key, limit, valid_for, position, allotment }) => {
            let key = facts(key.id, key.account, limit);
            KeyAnswer::Good { key, valid_for, position, allotment }
        }
    }
}

/// Says what there is to say about limits, one message after the other.
fn speak(world: &mut World, gate: usize) {
    if world.gates[gate].speaking || !world.gates[gate].verifier.has_message() {
        return;
    }
    let at = now(world, gate);
    let message = world.gates[gate].verifier.next_message(at, |_| true);
    if message.is_empty() {
        return;
    }
    world.gates[gate].speaking = true;
    let sent_at = world.now;
    call(
        world,
        gate,
        Question {
            what: (message.clone(), sent_at),
            ask: |world, index, holder, (message, _), then| {
                node::allot(world, index, holder, message.items, message.debts, then);
            },
            late: |world, gate, (message, sent_at): (Message, Instant), answers: Vec<Option<Answer>>| {
                let at = now(world, gate);
                for ((account, ask), answer) in message.items.iter().zip(answers) {
                    if let Some(answer) = answer {
                        world.gates[gate].heard = world.now;
                        outside::told_of_units(world, gate, *account, ask.want, &answer, sent_at);
                        hear(world, gate, *account, Some(&answer), at);
                    }
                }
            },
        },
        move |world, answers| {
            world.gates[gate].speaking = false;
            spoken(world, gate, &message, answers, sent_at);
        },
    );
}

fn spoken(world: &mut World, gate: usize, message: &Message, answers: Answers, sent_at: Instant) {
    let (life, at) = (world.gates[gate].life, now(world, gate));
    let Some(answers) = answers else {
        let woken = world.gates[gate].verifier.lost(&message.accounts());
        wake(world, gate, woken);
        return world.after(200_000, move |world| inside(world, gate, life, move |world| speak(world, gate)));
    };
    world.gates[gate].verifier.settled(&message.debts, at);
    for ((account, ask), answer) in message.items.iter().zip(&answers) {
        if let Some(answer) = answer {
            outside::told_of_units(world, gate, *account, ask.want, answer, sent_at);
        }
        world.note(|| format!("verifier {gate} hears of {account}: {}", brief(answer.as_ref())));
        hear(world, gate, *account, answer.as_ref(), at);
    }
    speak(world, gate);
}

fn hear(world: &mut World, gate: usize, account: AccountId, answer: Option<&Answer>, at: Elapsed) {
    let (woken, again) = world.gates[gate].verifier.hear(account, answer, at);
    wake(world, gate, woken);
    if again {
        let life = world.gates[gate].life;
        world.after(50_000, move |world| {
            inside(world, gate, life, move |world| {
                world.gates[gate].verifier.ask_again(account);
                speak(world, gate);
            });
        });
    }
}

fn keep_polling(world: &mut World, gate: usize, life: u32) {
    poll(world, gate);
    world.after(POLL, move |world| {
        if world.gates[gate].life == life {
            inside(world, gate, life, move |world| keep_polling(world, gate, life));
        }
    });
}

/// Nodes see in a moment which accounts ran dry, and pass it on to everybody who waits for changes.
pub(crate) fn hint(world: &mut World) {
    for gate in 0..world.gates.len() {
        let (delay, life) = (world.between(1000, 250_000), world.gates[gate].life);
        world.after(delay, move |world| inside(world, gate, life, move |world| poll(world, gate)));
    }
}

/// Every process that waits for changes is told that there is one, most of the time.
pub(crate) fn ring(world: &mut World) {
    for gate in 0..world.gates.len() {
        if !world.chance(50) {
            let (delay, life) = (world.between(1000, 30_000), world.gates[gate].life);
            world.after(delay, move |world| inside(world, gate, life, move |world| poll(world, gate)));
        }
    }
}

fn poll(world: &mut World, gate: usize) {
    if world.gates[gate].polling {
        world.gates[gate].poll_again = true;
        return;
    }
    (world.gates[gate].polling, world.gates[gate].poll_again) = (true, false);
    let sent = now(world, gate);
    let position = world.gates[gate].verifier.position();
    call(
        world,
        gate,
        Question {
            what: position,
            ask: |world, index, holder, position: Option<Position>, then: Then<Page>| {
                node::changes(world, index, holder, position, then);
            },
            late: |_, _, _, _| {},
        },
        move |world, page| {
            world.gates[gate].polling = false;
            let Some(page) = page else { return };
            let at = now(world, gate);
            let has_news = page.reset || !page.items.is_empty();
            let page = FeedPage { head: page.head, reset: page.reset, items: page.items, dry: page.dry };
            world.gates[gate].verifier.follow(&page, sent, at);
            if has_news {
                world.note(|| format!("verifier {gate} has applied the feed up to {}", page.head.revision));
            }
            if has_news || world.gates[gate].poll_again {
                // To ask from the new place acknowledges it.
                poll(world, gate);
            }
            speak(world, gate);
        },
    );
}

fn keep_sweeping(world: &mut World, gate: usize, life: u32) {
    let at = now(world, gate);
    world.gates[gate].verifier.sweep(at);
    speak(world, gate);
    world.after(5 * SECOND, move |world| {
        if world.gates[gate].life == life {
            inside(world, gate, life, move |world| keep_sweeping(world, gate, life));
        }
    });
}
