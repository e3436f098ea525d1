//! Holders whose messages are lost, doubled and late, and that crash: nothing is admitted past the limit.

use std::collections::{BTreeMap, VecDeque};

use hokusai_core::allotment::{Allotment, Answer, Ask, Spend};
use hokusai_core::id::HolderId;
use hokusai_core::time::{Elapsed, HOUR, Hour, SECOND};
use hokusai_store::AccountAsk;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::acts::edit_key;
use crate::facts::facts;
use crate::samples::{START, id, new_key_with, rights};
use crate::stores::TestStore;

const LIMIT: u32 = 40;

/// A holder as the service has it, behind a network that can't be relied on.
struct Member {
    id: HolderId,
    allotment: Allotment,
    seq: i64,
    on_the_way: VecDeque<Ask>,
    answers: VecDeque<Answer>,
}

impl Member {
    fn new(number: u32, now: Elapsed) -> Self {
        let (on_the_way, answers) = (VecDeque::new(), VecDeque::new());
        Self { id: id(number), allotment: Allotment::new(now), seq: 0, on_the_way, answers }
    }

    fn send(&mut self, chance: &mut StdRng, now: Elapsed) {
        self.seq += 1;
        let waiting = chance.random_range(1..=4);
        let ask = match chance.random_range(0..4) {
            0 => self.allotment.give_back(self.seq, now),
            _ => self.allotment.ask(self.seq, waiting, now),
        };
        self.on_the_way.extend(std::iter::repeat_n(ask, chance.random_range(0..=2)));
    }

    /// Some message that is on its way arrives, and some answer comes back.
    async fn deliver(&mut self, store: &TestStore, chance: &mut StdRng) {
        if !self.on_the_way.is_empty() {
            let which = chance.random_range(0..self.on_the_way.len());
            let ask = self.on_the_way.remove(which).expect("it is one of them");
            let answers = store.allot(self.id, &[AccountAsk { account: id(1), ask }]).await.unwrap();
            self.answers.extend(answers[0]);
        }
        if chance.random_bool(0.7) && !self.answers.is_empty() {
            let which = chance.random_range(0..self.answers.len());
            self.allotment.take(&self.answers.remove(which).expect("it is one of them"));
        }
    }
}

fn elapsed(store: &TestStore) -> Elapsed {
    Elapsed(store.clock().now().0 - START.0)
}

async fn live_through(store: &TestStore, seed: u64) -> BTreeMap<Hour, u32> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut members: Vec<Member> = (1..=4).map(|number| Member::new(number, elapsed(store))).collect();
    let mut admitted = BTreeMap::new();
    for step in 0..400 {
        store.clock().pass(chance.random_range(0..40 * SECOND));
        let now = elapsed(store);
        let which = chance.random_range(0..members.len());
        let member = &mut members[which];
        match chance.random_range(0..100) {
            0..2 => *member = Member::new(1000 + step, now),
            2..4 => member.allotment.lost(),
            4..30 => member.send(&mut chance, now),
            30..70 => member.deliver(store, &mut chance).await,
            _ => {
                while chance.random_bool(0.8) && member.allotment.spend(now) == Spend::Admitted {
                    let (hour, _) = member.allotment.used().expect("it spent a unit of some hour");
                    *admitted.entry(hour).or_default() += 1;
                }
            }
        }
    }
    admitted
}

facts! {
    async fn no_hour_admits_more_than_the_limit_whatever_becomes_of_the_messages(store: TestStore) {
        store.add(new_key_with(1, |key| rights(key).rate_limit_per_hour = LIMIT)).await;
        let mut most = 0;
        for seed in 0..3 {
            edit_key(&store, 1, |_| ()).await;
            let next_hour = store.clock().now().hour().end();
            store.clock().set(next_hour.plus(HOUR));
            store.execute("delete from allotments").await;
            for (hour, count) in live_through(&store, seed).await {
                assert!(count <= LIMIT, "{count} requests in {hour:?}, seed {seed}");
                most = most.max(count);
            }
        }
        assert!(most > LIMIT / 2, "the limit was hardly tried: {most}");
    }
}
