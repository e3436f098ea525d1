//! What the service does for verifiers: it vouches for keys for a while, hands on units, tells changes, and
//! knows who may still act on an older word.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use hokusai_core::allotment::{Answer, Ask};
use hokusai_core::debt::Debt;
use hokusai_core::feed::Position;
use hokusai_core::id::{AccountId, HolderId, TokenId};
use hokusai_core::key::PresentedKey;
use hokusai_core::policy::{KeyFacts, Refusal, judge_life};
use hokusai_core::time::{Elapsed, Timestamp, micros};
use hokusai_store::{AccountAsk, FeedPage, MOST_PENDING, PendingHolder, SeenHolder, StoreError};
use tokio::sync::{Notify, oneshot};

use crate::clock::lock;
use crate::engine::Engine;
use crate::feed::CONFIRMED_FOR;
use crate::refusal::Declined;
use crate::validate::ended;

/// The longest that a verifier may use what it was told: the seeds' five minutes.
pub const LONGEST_VALIDITY: Duration = Duration::from_secs(300);
/// How long it is remembered that a verifier is in the register.
const REGISTERED_FOR: Duration = Duration::from_secs(10);
/// The most verifiers that this is remembered of.
const MOST_REGISTERED: usize = 10_000;
/// A verifier leaves the register when it was not seen for this long: no answer that it got before may be
/// used any longer. An answer may come [`REGISTERED_FOR`] after its holder was last noted as seen.
const VERIFIER_KEPT: Duration = Duration::from_secs(320);
/// A node does when it was not: by then it does not believe its memory any longer.
const NODE_KEPT: Duration = Duration::from_secs(20);
/// How often it is looked whether everybody knows of a change.
const LOOK: Duration = Duration::from_millis(20);
/// The most accounts in one statement.
const AT_ONCE: usize = 512;

/// Who asks on behalf of its own requests: a process, and the token that it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerifierId {
    /// The process.
    pub holder: HolderId,
    /// Its service token.
    pub token: TokenId,
}

/// What a verifier is told of a key.
#[derive(Clone, Debug)]
pub struct Vouched {
    /// Up to where whoever judged had applied the feed.
    pub position: Position,
    /// The key, or why it is refused.
    pub verdict: Result<GoodKey, Refusal>,
}

/// A key that a verifier may admit by itself.
#[derive(Clone, Debug)]
pub struct GoodKey {
    /// The key.
    pub key: KeyFacts,
    /// How long, from when it asked; zero if it is not in the register.
    pub valid_for: Duration,
    /// The first units of its account, unless it has or had some in this hour.
    pub allotment: Option<Answer>,
}

/// What a verifier is told of the feed.
#[derive(Clone, Debug)]
pub struct Changes {
    /// What came after the place that it asked from.
    pub page: FeedPage,
    /// Whether that place is not known, or not any longer.
    pub reset: bool,
}

/// Whether everybody who admits requests knows of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Everybody does, since before this instant of the store's clock.
    Everywhere(Timestamp),
    /// Not everybody does.
    Pending {
        /// Who does not.
        holders: Vec<HolderId>,
        /// From this instant of the store's clock on they don't act on what was before, either.
        at_latest: Timestamp,
    },
}

/// What is remembered of verifiers and other nodes.
#[derive(Debug, Default)]
pub(crate) struct Verifiers {
    registered: Mutex<HashMap<VerifierId, Registered>>,
    /// When each holder was last noted as seen, and since when that has not changed here.
    seen: Mutex<HashMap<HolderId, (Timestamp, Elapsed)>>,
    first_units: Mutex<Vec<FirstUnits>>,
    bell: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Registered {
    at: Elapsed,
    revision: i64,
    /// The longest that it may use what it is told: what the register says, or less.
    valid_for: Duration,
}

#[derive(Debug)]
struct FirstUnits {
    holder: HolderId,
    ask: AccountAsk,
    answer: oneshot::Sender<Result<Option<Answer>, StoreError>>,
}

impl Verifiers {
    /// How long a verifier may use what it is told, if it is known to be in the register.
    fn knows(&self, verifier: VerifierId, revision: i64, now: Elapsed) -> Option<Duration> {
        let registered = lock(&self.registered);
        let known = registered.get(&verifier)?;
        let is_fresh = known.revision >= revision && now.since(known.at) < REGISTERED_FOR;
        is_fresh.then_some(known.valid_for)
    }

    fn note(&self, verifier: VerifierId, revision: i64, valid_for: Duration, at: Elapsed) {
        let mut registered = lock(&self.registered);
        if registered.len() >= MOST_REGISTERED {
            registered.retain(|_, known| at.since(known.at) < REGISTERED_FOR);
        }
        let known = registered.entry(verifier).or_insert(Registered { at, revision, valid_for });
        (known.at, known.revision, known.valid_for) = (at, known.revision.max(revision), valid_for);
    }

    /// Another life of the store may have another register.
    pub(crate) fn forget_all(&self) {
        lock(&self.registered).clear();
    }
}

impl Engine {
    /// Vouches for a key, so that a verifier may admit it by itself. Only its life is judged: what is
    /// attempted with it is the verifier's to judge, each time. With `seq`, the first unit of its account
    /// comes along.
    ///
    /// # Errors
    /// [`Declined::Store`] if an answer can't be vouched for, [`Declined::HolderTaken`] if the process is
    /// bound to another token.
    pub async fn vouch(
        &self,
        verifier: VerifierId,
        text: &str,
        valid_for: Duration,
        seq: Option<i64>,
    ) -> Result<Vouched, Declined> {
        // Before the key: what changes after this is not in the answer, for all that is known.
        let position = self.position()?;
        let refused = |refusal| Ok(Vouched { position, verdict: Err(refusal) });
        let Some(presented) = PresentedKey::parse(text) else { return refused(Refusal::InvalidKey) };
        let Some(key) = self.find(&presented.digest(), None).await? else {
            return refused(Refusal::InvalidKey);
        };
        let now = self.clock.now();
        if let Err(refusal) = judge_life(&key.lifetime, now) {
            return refused(refusal);
        }
        let registered_for = self.renew(verifier).await?;
        let allotment = match seq.filter(|_| registered_for.is_some()) {
            None => None,
            Some(seq) => self.first_unit(verifier.holder, key.account, seq).await?,
        };
        if allotment.is_some_and(|answer| !answer.living) {
            return refused(ended(&key));
        }
        // Somebody shows it there. What is admitted by it from now on is heard of by reports of usage alone.
        self.validations.note_use(key.id, now);
        let ends = key.lifetime.expires_at.min(key.lifetime.revoked_from());
        let left = Duration::from_micros(u64::try_from(ends.0.saturating_sub(now.0)).unwrap_or(0));
        // Never longer than whoever waits for a change to hold reckons with.
        let most = registered_for.map_or(Duration::ZERO, |registered| registered.min(valid_for));
        Ok(Vouched { position, verdict: Ok(GoodKey { key, valid_for: most.min(left), allotment }) })
    }

    /// Where this process has applied the feed to.
    fn position(&self) -> Result<Position, Declined> {
        lock(&self.feed).position().ok_or(Declined::Store(StoreError::TimedOut))
    }

    /// How long a verifier may use what it is told, if it is in the register. It enters that by asking for
    /// changes.
    async fn renew(&self, verifier: VerifierId) -> Result<Option<Duration>, Declined> {
        let sent = self.clock.elapsed();
        if let Some(valid_for) = self.verifiers.knows(verifier, i64::MIN, sent) {
            return Ok(Some(valid_for));
        }
        match self.store.renew_verifier(verifier.holder, verifier.token).await? {
            None => Ok(None),
            Some((token, _)) if token != verifier.token.to_string() => Err(Declined::HolderTaken),
            Some((_, valid_for)) => {
                if let Some(valid_for) = valid_for {
                    self.verifiers.note(verifier, i64::MIN, valid_for, sent);
                }
                Ok(valid_for)
            }
        }
    }

    /// The first unit of an account: many verifiers' in one statement.
    async fn first_unit(
        &self,
        holder: HolderId,
        account: AccountId,
        seq: i64,
    ) -> Result<Option<Answer>, Declined> {
        let (sender, receiver) = oneshot::channel();
        let ask = AccountAsk { account, ask: Ask { hour: None, seq, used: 0, want: 1, waiting: 0 } };
        lock(&self.verifiers.first_units).push(FirstUnits { holder, ask, answer: sender });
        self.verifiers.bell.notify_one();
        Ok(receiver.await.unwrap_or(Err(StoreError::TimedOut))?)
    }

    /// Asks for first units, one statement after the other, for as long as the engine lives.
    pub(crate) async fn keep_asking_for_first_units(&self) {
        loop {
            let some = self.take_first_units();
            let Some(first) = some.first() else {
                self.verifiers.bell.notified().await;
                continue;
            };
            let asks: Vec<AccountAsk> = some.iter().map(|one| one.ask).collect();
            let answers = self.store.allot_first(first.holder, &asks).await;
            let answers = match answers {
                Ok(answers) => answers.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error); some.len()],
            };
            for (one, answer) in some.into_iter().zip(answers) {
                // Whoever has gone misses nothing.
                let _ = one.answer.send(answer);
            }
        }
    }

    /// The next of one holder, each account once.
    fn take_first_units(&self) -> Vec<FirstUnits> {
        let mut waiting = lock(&self.verifiers.first_units);
        let Some(holder) = waiting.first().map(|one| one.holder) else { return Vec::new() };
        let mut accounts = std::collections::HashSet::new();
        waiting
            .extract_if(.., |one| {
                one.holder == holder && accounts.len() < AT_ONCE && accounts.insert(one.ask.account)
            })
            .collect()
    }

    /// Carries out what a verifier says of limits: first its debts, then its asking and giving back.
    ///
    /// # Errors
    /// [`Declined::Store`], [`Declined::HolderTaken`].
    pub async fn allot_for(
        &self,
        verifier: VerifierId,
        asks: &[AccountAsk],
        debts: &[Debt],
    ) -> Result<Vec<Option<Answer>>, Declined> {
        self.renew(verifier).await?;
        self.store.settle_debts(debts).await?;
        if asks.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.store.allot(verifier.holder, asks).await?)
    }

    /// A verifier admits nothing any longer. It may be said by another process with the same token that holds
    /// what only one living process can hold.
    ///
    /// # Errors
    /// [`Declined::Store`], [`Declined::HolderTaken`].
    pub async fn say_goodbye(&self, verifier: VerifierId) -> Result<(), Declined> {
        if self.renew(verifier).await?.is_some() {
            self.store.forget_holder(verifier.holder).await?;
        }
        lock(&self.verifiers.registered).remove(&verifier);
        Ok(())
    }

    /// What changed after `position`, which is acknowledged by asking; waits for something up to `wait`. The
    /// first question of a verifier enters it in the register.
    ///
    /// # Errors
    /// [`Declined::Store`], [`Declined::HolderTaken`].
    pub async fn changes(
        &self,
        verifier: VerifierId,
        position: Option<Position>,
        valid_for: Duration,
        wait: Duration,
    ) -> Result<Changes, Declined> {
        let mut moved = self.moved.subscribe();
        if !self.is_up_to_date() {
            self.follow().await?;
        }
        let mut head = self.position()?;
        let is_known =
            |head: Position, asked: Position| asked.epoch == head.epoch && asked.revision <= head.revision;
        if position.is_some_and(|asked| !is_known(head, asked)) {
            // Another node may be ahead of this one.
            self.follow().await?;
            head = self.position()?;
        }
        let known = position.filter(|asked| is_known(head, *asked));
        if known.is_none() && position.is_some() {
            // It remembers things from before, and drops them when it hears this: only its next question
            // acknowledges anything.
            self.renew(verifier).await?;
        } else {
            self.enter(verifier, known, head, valid_for).await?;
        }
        let Some(known) = known else {
            // Read after the register was written: whoever changed something before did not wait for it.
            let page = self.store.read_feed(i64::MAX).await?;
            return Ok(Changes { page, reset: true });
        };
        let has_news = |engine: &Self| engine.position().is_ok_and(|head| head != known);
        let _ = tokio::time::timeout(wait, async {
            while !has_news(self) && moved.changed().await.is_ok() {
                if self.has_hints() {
                    break;
                }
            }
        })
        .await;
        let page = self.store.read_feed(known.revision).await?;
        // Revisions have no gaps: what is missing is not kept any longer, or is more than is told at once.
        let is_whole = usize::try_from(page.head.revision - known.revision) == Ok(page.changes.len());
        let reset = page.head.epoch != known.epoch || !is_whole;
        Ok(Changes { page, reset })
    }

    /// Writes down what a verifier knows, if that is new.
    async fn enter(
        &self,
        verifier: VerifierId,
        known: Option<Position>,
        head: Position,
        valid_for: Duration,
    ) -> Result<(), Declined> {
        let sent = self.clock.elapsed();
        // A first question acknowledges nothing but is as good as one: nothing is remembered yet.
        let revision = known.unwrap_or(head).revision;
        let valid_for = valid_for.min(LONGEST_VALIDITY);
        if known.is_some()
            && self.verifiers.knows(verifier, revision, sent).is_some_and(|known| known >= valid_for)
        {
            return Ok(());
        }
        if !self.store.enter_verifier(verifier.holder, verifier.token, revision, valid_for).await? {
            return Err(Declined::HolderTaken);
        }
        self.verifiers.note(verifier, revision, valid_for, sent);
        Ok(())
    }

    /// Waits until everybody knows of what was changed before, but not longer than `wait`.
    ///
    /// # Errors
    /// [`StoreError`]: then it is not known who knows.
    pub async fn await_effect(&self, wait: Duration) -> Result<Effect, StoreError> {
        self.follow().await?;
        let revision = lock(&self.feed).revision();
        let (committed, mut pending) = self.store.pending_holders(revision, self.holder).await?;
        let mut now = committed;
        let looking = async {
            while !pending.is_empty() {
                tokio::time::sleep(LOOK).await;
                (now, pending) = self.store.pending_holders(revision, self.holder).await?;
            }
            Ok::<(), StoreError>(())
        };
        if let Ok(outcome) = tokio::time::timeout(wait, looking).await {
            outcome?;
        }
        Ok(if pending.is_empty() { Effect::Everywhere(now) } else { still_pending(committed, &pending) })
    }

    /// Drops those from the register who act on nothing any longer. How long ago that was is measured here:
    /// the store's clock may be set.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub(crate) async fn tidy_register(&self) -> Result<(), StoreError> {
        let now = self.clock.elapsed();
        let everybody = self.store.seen_holders().await?;
        let gone: Vec<SeenHolder> = {
            let mut seen = lock(&self.verifiers.seen);
            seen.retain(|holder, _| everybody.iter().any(|known| known.holder == *holder));
            let mut is_gone = |known: &SeenHolder| {
                let (seen_at, since) = seen.entry(known.holder).or_insert((known.seen_at, now));
                if *seen_at != known.seen_at {
                    (*seen_at, *since) = (known.seen_at, now);
                }
                now.since(*since) >= if known.is_node { NODE_KEPT } else { VERIFIER_KEPT }
            };
            everybody.into_iter().filter(|known| known.holder != self.holder && is_gone(known)).collect()
        };
        for holder in gone {
            self.store.drop_holder(&holder).await?;
        }
        Ok(())
    }
}

fn still_pending(committed: Timestamp, pending: &[PendingHolder]) -> Effect {
    // Of more than are told of, any may use what it was told for the longest time.
    let is_whole = pending.len() < MOST_PENDING;
    let longest = pending.iter().map(|one| one.valid_for).max().filter(|_| is_whole);
    let longest = longest.unwrap_or(LONGEST_VALIDITY);
    Effect::Pending {
        holders: pending.iter().map(|one| one.holder).collect(),
        at_latest: committed.plus(micros(CONFIRMED_FOR + longest)),
    }
}
