//! What a verifier does beside its requests: it looks keys up, speaks of limits, follows changes, and gives
//! back what nobody uses.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hokusai_api::verifiers::{Allotments, VouchForKey};
use hokusai_core::account::ASK_AGAIN;
use hokusai_core::id::{AccountId, HolderId};
use hokusai_core::secret::Secret;
use hokusai_core::time::HOUR;
use hokusai_core::time::Hour;
use hokusai_core::verifier::{KeyAnswer, LookUp, Message, News, Taken, Woken};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

use super::origin::BEAT;
use super::{Desk, sending, words};
use crate::client::Client;
use crate::clock;
use crate::error::Error;

/// How often a key is asked about that changed while it was asked about.
const ROUNDS: u32 = 5;
/// How long to wait before that, so that the change is known here.
const ROUND: Duration = Duration::from_millis(50);
/// How long to wait after no node could be asked.
const AFTER_FAILURE: Duration = Duration::from_millis(250);
/// How long the service may hold a question about changes.
const WAIT_MS: u64 = 1000;
/// How often unused units are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// Settled debts are kept this long after their hour, in hours.
const DEBT_HOURS: i64 = 3;

/// Starts all of it. The second is what follows changes.
pub(super) fn start(desk: &Arc<Desk>) -> (JoinSet<()>, AbortHandle) {
    let mut tasks = JoinSet::new();
    tasks.spawn(keep_speaking(desk.clone()));
    let following = tasks.spawn(keep_following(desk.clone()));
    tasks.spawn(keep_sweeping(desk.clone()));
    tasks.spawn(keep_beating(desk.clone()));
    tasks.spawn(say_who_is_gone(desk.clone()));
    sending::start(desk, &mut tasks);
    (tasks, following)
}

fn wake(woken: Woken<oneshot::Sender<News>>) {
    for (waiter, news) in woken {
        // Whoever has gone misses nothing.
        let _ = waiter.send(news);
    }
}

/// Asks the nodes one and the same thing.
async fn ask<Q: Clone, T, F: Future<Output = Result<T, Error>>>(
    desk: &Desk,
    question: &Q,
    put: impl Fn(Client, Q) -> F,
) -> Option<T> {
    desk.nodes.ask(desk.clock.read(), |node| put(node, question.clone())).await
}

/// Looks a key up for all who wait for it. Who asked first may go: the others still get their answer.
pub(super) async fn look_up(desk: Arc<Desk>, asked: LookUp, key: Secret) {
    let question = VouchForKey {
        api_key: key.expose().to_owned(),
        holder: desk.holder.to_string(),
        seq: Some(asked.seq),
        validation_ttl_ms: Some(millis(desk.validation_ttl)),
    };
    for _ in 0..ROUNDS {
        let sent = desk.clock.read();
        let vouched =
            ask(&desk, &question, |node, question| async move { node.vouch(&question).await }).await;
        let answer = vouched.as_ref().and_then(words::key_answer).unwrap_or(KeyAnswer::InVain);
        let taken = desk.state.take_key(&asked, answer, sent, desk.clock.read());
        if desk.state.rings() {
            desk.to_say.notify_one();
        }
        match taken {
            Taken::Wake(woken) => return wake(woken),
            Taken::AskAgain | Taken::Follow => {
                desk.to_follow.notify_one();
                clock::pass(ROUND).await;
            }
        }
    }
    wake(desk.state.give_up(&asked));
}

async fn keep_speaking(desk: Arc<Desk>) {
    loop {
        desk.to_say.notified().await;
        while desk.state.has_message() {
            let message = desk.state.next_message(desk.clock.read(), |waiter| !waiter.is_closed());
            if message.is_empty() {
                break;
            }
            if !say(&desk, &message).await {
                clock::pass(AFTER_FAILURE).await;
            }
        }
    }
}

/// Says one thing, and takes the answer. Says whether there was one.
async fn say(desk: &Arc<Desk>, message: &Message) -> bool {
    let words = words::allotments(desk.holder, message);
    desk.counters.messages.fetch_add(1, Ordering::Relaxed);
    desk.counters.items.fetch_add(message.items.len() as u64, Ordering::Relaxed);
    let answered = ask(desk, &words, |node, words| async move { node.allotments(&words).await }).await;
    let Some(answers) = answered.filter(|answers| answers.items.len() == message.items.len()) else {
        wake(desk.state.lost(&message.accounts()));
        return false;
    };
    let now = desk.clock.read();
    desk.state.settled(&message.debts, now);
    if !message.debts.is_empty() && desk.state.open_debt() == 0 {
        desk.forget_settled();
    }
    for ((account, _), answer) in message.items.iter().zip(&answers.items) {
        let answer = answer.as_ref().map(words::answer);
        let (woken, ask_again) = desk.state.hear(*account, answer.as_ref(), now);
        wake(woken);
        if ask_again {
            desk.runtime.spawn(ask_soon(desk.clone(), *account));
        }
    }
    true
}

async fn ask_soon(desk: Arc<Desk>, account: AccountId) {
    clock::pass(ASK_AGAIN).await;
    desk.state.ask_again(account);
    desk.to_say.notify_one();
}

async fn keep_following(desk: Arc<Desk>) {
    loop {
        if !follow(&desk, WAIT_MS).await {
            clock::pass(AFTER_FAILURE).await;
        }
    }
}

/// Asks for changes once, and applies them. A bell cuts the waiting short.
async fn follow(desk: &Arc<Desk>, wait_ms: u64) -> bool {
    let (sent, position) = (desk.clock.read(), desk.state.position().map(words::written));
    let ttl = millis(desk.validation_ttl);
    let asked = (desk.holder.to_string(), position);
    let asking = ask(desk, &asked, move |node, asked| async move {
        node.changes(&asked.0, asked.1.as_deref(), wait_ms, ttl).await
    });
    let page = tokio::select! {
        page = asking => page,
        () = desk.to_follow.notified() => return true,
    };
    let Some(page) = page.as_ref().and_then(words::feed_page) else { return false };
    desk.state.follow(&page, sent, desk.clock.read());
    desk.counters.followed.fetch_max(sent.0, Ordering::Relaxed);
    if desk.state.has_message() {
        desk.to_say.notify_one();
    }
    true
}

async fn keep_sweeping(desk: Arc<Desk>) {
    loop {
        clock::pass(SWEEP).await;
        desk.state.sweep(desk.clock.read());
        desk.state.forget_debts_before(Hour(clock::now().0 / HOUR - DEBT_HOURS));
        if desk.state.has_message() {
            desk.to_say.notify_one();
        }
    }
}

/// Shows that tasks run here.
async fn keep_beating(desk: Arc<Desk>) {
    loop {
        desk.origin.beat(desk.clock.read());
        clock::pass(BEAT).await;
    }
}

/// Says goodbye for the processes that had the journal's directory before and could not say it.
async fn say_who_is_gone(desk: Arc<Desk>) {
    let Some(predecessors) = &desk.predecessors else { return };
    for holder in predecessors.gone() {
        let goodbye = goodbye(holder);
        loop {
            let told = desk.reporters.tell(|node| {
                let goodbye = &goodbye;
                async move { node.allotments(goodbye).await }
            });
            match told.await {
                Ok(_) => break,
                // It was bound to another service token: nobody can speak for it any longer.
                Err(Error::Conflict(_)) => break,
                Err(_) => clock::pass(AFTER_FAILURE).await,
            }
        }
        predecessors.forget(holder);
    }
}

fn goodbye(holder: HolderId) -> Allotments {
    Allotments { holder: holder.to_string(), goodbye: true, ..Allotments::default() }
}

/// Says all that is still to be said, and goodbye.
pub(super) async fn leave(desk: &Arc<Desk>, following: &AbortHandle) {
    while desk.state.give_all_back() > 0 || desk.state.open_debt() > 0 {
        desk.to_say.notify_one();
        clock::pass(Duration::from_millis(10)).await;
    }
    // A question about changes would enter the register again.
    following.abort();
    while !following.is_finished() {
        tokio::task::yield_now().await;
    }
    let goodbye = goodbye(desk.holder);
    let said = ask(desk, &goodbye, |node, goodbye| async move { node.allotments(&goodbye).await }).await;
    if let Some(predecessors) = desk.predecessors.as_ref().filter(|_| said.is_some()) {
        predecessors.forget(desk.holder);
    }
}

impl Desk {
    /// Nothing is owed: what is written down of it may go.
    fn forget_settled(&self) {
        if let Some(journal) = &self.journal {
            journal.clear_if(|| self.state.open_debt() == 0);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
