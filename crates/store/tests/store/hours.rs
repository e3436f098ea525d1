//! Hours: the store alone names them, each begins with the whole limit, and none comes twice.

use std::time::Duration;

use hokusai_core::allotment::Ask;
use hokusai_core::time::{HOUR, SECOND};
use hokusai_store::{AccountAsk, Store, Writes};
use tokio::task::JoinSet;

use crate::acts::Holder;
use crate::facts::facts;
use crate::samples::{START, id, new_key, writes};
use crate::stores::TestStore;

const USED: &str = "select cast(coalesce(sum(used), 0) as bigint) from allotments where hour = 490000";
const ALLOTTED: &str =
    "select cast(coalesce(sum(allotted), 0) as bigint) from allotments where hour = 490000";

facts! {
    async fn a_new_hour_begins_with_the_whole_limit(store: TestStore) {
        store.add(new_key(1)).await;
        let mut holder = Holder::new(1, 1);
        store.clock().set(START.plus(HOUR - 1));
        assert_eq!(holder.spend(&store, 100).await, 100);
        assert_eq!(holder.spend(&store, 1).await, 0);
        store.clock().pass(1);
        let answer = holder.ask(&store, 100).await;
        assert_eq!((answer.hour, answer.allotted), (START.plus(HOUR).hour(), 100));
    }

    async fn units_expire_with_the_hour_to_the_microsecond(store: TestStore) {
        store.add(new_key(1)).await;
        let mut holder = Holder::new(1, 1);
        for (now, expires_in) in [(0, HOUR), (1, HOUR - 1), (HOUR - 1, 1), (HOUR, HOUR)] {
            store.clock().set(START.plus(now));
            let answer = holder.ask(&store, 1).await;
            assert_eq!(answer.expires_in, Duration::from_micros(expires_in as u64), "{now}");
        }
    }

    async fn what_was_used_in_the_old_hour_is_settled_and_not_counted_in_the_new(store: TestStore) {
        store.add(new_key(1)).await;
        let mut holder = Holder::new(1, 1);
        holder.ask(&store, 50).await;
        holder.used = 20;
        store.clock().pass(HOUR);
        let answer = holder.ask(&store, 10).await;
        assert_eq!((answer.allotted, answer.left), (10, 90));
        assert_eq!((store.number(USED).await, store.number(ALLOTTED).await), (20, 20));
    }

    async fn a_late_message_does_not_unsettle_an_old_hour(store: TestStore) {
        store.add(new_key(1)).await;
        let mut holder = Holder::new(1, 1);
        holder.ask(&store, 50).await;
        let late = holder.message(5);
        holder.used = 20;
        store.clock().pass(HOUR);
        holder.ask(&store, 10).await;
        assert_eq!(store.allot(id(1), &[late]).await.unwrap(), [None]);
        assert_eq!((store.number(USED).await, store.number(ALLOTTED).await), (20, 20));
    }

    async fn an_hour_never_goes_back_though_the_clock_does(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(new_key(2)).await;
        let mut holder = Holder::new(1, 1);
        store.clock().set(START.plus(HOUR));
        let later = START.plus(HOUR).hour();
        assert_eq!(holder.spend(&store, 100).await, 100);
        store.clock().set(START.plus(HOUR - SECOND));
        for mut other in [Holder::new(1, 2), Holder::new(2, 2)] {
            let answer = other.ask(&store, 5).await;
            assert_eq!((answer.hour, answer.allotted), (later, 5), "for another account");
            assert_eq!(answer.expires_in, Duration::from_micros((HOUR + SECOND) as u64));
        }
        let answer = holder.ask(&store, 5).await;
        assert_eq!((answer.hour, answer.allotted), (later, 100));
        let store = store.reopen().await;
        assert_eq!(Holder::new(3, 1).ask(&store, 5).await.hour, later, "after a restart");
    }

    async fn nodes_whose_clocks_differ_name_one_hour_at_a_time(store: TestStore) {
        store.add(new_key(1)).await;
        let mut tasks = JoinSet::new();
        for (number, node) in (1..).zip(store.nodes(4).await) {
            let clock = store.clock().clone();
            tasks.spawn(async move {
                let mut holder = Holder::new(number, 1);
                for round in 0..15 {
                    clock.set(START.plus(HOUR - 5 + (i64::from(number) * 7 + round * 3) % 11));
                    holder.spend(&node, 4).await;
                }
            });
        }
        tasks.join_all().await;
        for hour in [ALLOTTED, "select cast(sum(allotted) as bigint) from allotments where hour = 490001"] {
            assert!(store.number(hour).await <= 100);
        }
    }

    async fn counts_of_old_hours_are_settled_and_dropped_at_once(store: TestStore) {
        let new_keys = (1..=30).map(new_key).collect();
        store.write(Writes { new_keys, ..writes() }).await;
        for round in 0..4 {
            let mut tasks = JoinSet::new();
            let (old, new) = (START.plus(2 * round * HOUR), START.plus((2 * round + 1) * HOUR));
            for (turn, node) in (1..).zip(store.nodes(4).await) {
                let message = move |account, seq| {
                    let ask = Ask { hour: Some(old.hour()), seq, used: 1, want: 1, waiting: 0 };
                    AccountAsk { account: id(account), ask }
                };
                store.clock().set(old);
                let messages: Vec<_> = (1..=30).map(|account| message(account, 1)).collect();
                node.allot(id(turn), &messages).await.unwrap();
                tasks.spawn(async move {
                    let mut messages: Vec<_> = (1..=30).map(|account| message(account, 2)).collect();
                    messages.reverse();
                    if turn % 2 == 0 {
                        node.prune_allotments(new.hour(), 1000).await.unwrap();
                    } else {
                        node.allot(id(turn), &messages).await.unwrap();
                    }
                });
                store.clock().set(new);
            }
            tasks.join_all().await;
        }
    }

    async fn counts_of_old_hours_are_dropped_a_few_at_a_time(store: TestStore) {
        for number in 1..=3 {
            store.add(new_key(number)).await;
            Holder::new(1, number).ask(&store, 1).await;
        }
        store.clock().pass(HOUR);
        Holder::new(1, 1).ask(&store, 1).await;
        let count = "select count(*) from allotments";
        let prune = async |store: &Store| store.prune_allotments(START.plus(HOUR).hour(), 2).await.unwrap();
        for left in [2, 1, 1] {
            prune(&store).await;
            assert_eq!(store.number(count).await, left);
        }
        assert_eq!(store.number("select hour from allotments").await, 490_001);
    }
}
