//! Allotments: all holders together never get more than the limit, and a living key gets all of it.

use std::time::Duration;

use hokusai_core::allotment::{Answer, Ask};
use hokusai_core::time::SECOND;
use hokusai_store::{AccountAsk, NewKey, Store, Writes};
use tokio::task::JoinSet;

use crate::acts::{Holder, edit_key};
use crate::facts::facts;
use crate::samples::{ALL_KEYS, START, id, new_key, new_key_with, rights, successor, writes};
use crate::stores::TestStore;

const ALLOTTED: &str = "select cast(coalesce(sum(allotted), 0) as bigint) from allotments";

fn limited(number: u32, limit: u32) -> NewKey {
    new_key_with(number, |key| rights(key).rate_limit_per_hour = limit)
}

async fn set_limit(store: &Store, number: u32, limit: u32) {
    edit_key(store, number, |key| rights(key).rate_limit_per_hour = limit).await;
}

/// A message about the account of key `account`, in the hour of the start.
fn message(account: u32, seq: i64, used: u32, want: u32) -> AccountAsk {
    let ask = Ask { hour: Some(START.hour()), seq, used, want, waiting: 0 };
    AccountAsk { account: id(account), ask }
}

facts! {
    async fn an_answer_tells_how_the_account_stands(store: TestStore) {
        store.add(limited(1, 100)).await;
        store.clock().pass(1_234_567);
        let answer = Holder::new(1, 1).ask(&store, 30).await;
        let whole = Answer {
            seq: 1,
            hour: START.hour(),
            allotted: 30,
            used: 0,
            awaited: 0,
            expires_in: Duration::from_micros(3_600_000_000 - 1_234_567),
            limit: 100,
            left: 70,
            holders: 1,
            reclaimable: false,
            living: true,
        };
        assert_eq!(answer, whole);
    }

    async fn a_holder_that_remembers_nothing_goes_on_where_it_was(store: TestStore) {
        store.add(limited(1, 10)).await;
        let mut before = Holder::new(1, 1);
        before.ask(&store, 8).await;
        before.used = 8;
        before.ask(&store, 0).await;
        let ask = Ask { hour: None, seq: 9, used: 0, want: 5, waiting: 0 };
        let afresh = AccountAsk { account: id(1), ask };
        let answer = store.allot(id(1), &[afresh]).await.unwrap()[0].unwrap();
        assert_eq!((answer.used, answer.allotted, answer.left), (8, 10, 0));
    }

    async fn units_for_waiting_requests_count_as_spent(store: TestStore) {
        store.add(limited(1, 10)).await;
        let ask = |seq, hour, used, waiting| {
            AccountAsk { account: id(1), ask: Ask { hour, seq, used, want: 6, waiting } }
        };
        let answer = store.allot(id(1), &[ask(1, None, 0, 4)]).await.unwrap()[0].unwrap();
        assert_eq!((answer.allotted, answer.used, answer.awaited), (6, 0, 4));
        assert_eq!(store.list_keys(&ALL_KEYS, id(1)).await.unwrap()[0].used_here, 4);
        assert_eq!(store.list_keys(&ALL_KEYS, id(2)).await.unwrap()[0].used_elsewhere, 4);
        // One of the four was gone, and the holder says so.
        let answer = store.allot(id(1), &[ask(2, Some(answer.hour), 3, 0)]).await.unwrap()[0].unwrap();
        assert_eq!((answer.allotted, answer.used, answer.awaited), (9, 3, 0));
        let answer = store.allot(id(1), &[ask(3, Some(answer.hour), 8, 5)]).await.unwrap()[0].unwrap();
        assert_eq!((answer.allotted, answer.used, answer.awaited), (10, 8, 2));
        let answer = store.allot(id(1), &[ask(4, None, 0, 1)]).await.unwrap()[0].unwrap();
        assert_eq!((answer.allotted, answer.used, answer.awaited), (10, 10, 0));
    }

    async fn holders_share_the_limit_and_no_more(store: TestStore) {
        store.add(limited(1, 100)).await;
        let (mut one, mut two, mut three) = (Holder::new(1, 1), Holder::new(2, 1), Holder::new(3, 1));
        let first = one.ask(&store, 60).await;
        let second = two.ask(&store, 60).await;
        let third = three.ask(&store, 60).await;
        assert_eq!((first.allotted, second.allotted, third.allotted), (60, 40, 0));
        assert_eq!((first.left, second.left, third.left), (40, 0, 0));
        assert_eq!(store.number(ALLOTTED).await, 100);
    }

    async fn accounts_do_not_share(store: TestStore) {
        store.add(limited(1, 10)).await;
        store.add(limited(2, 10)).await;
        assert_eq!(Holder::new(1, 1).ask(&store, 10).await.allotted, 10);
        assert_eq!(Holder::new(1, 2).ask(&store, 10).await.allotted, 10);
    }

    async fn a_holder_keeps_what_it_used_and_gets_what_it_wants_beyond(store: TestStore) {
        store.add(limited(1, 100)).await;
        let mut holder = Holder::new(1, 1);
        for (used, want, allotted) in [(0, 10, 10), (4, 10, 14), (14, 0, 14), (14, 500, 100), (100, 1, 100)] {
            holder.used = used;
            let answer = holder.ask(&store, want).await;
            assert_eq!((answer.allotted, answer.left), (allotted, 100 - allotted), "{used} {want}");
        }
    }

    async fn a_holder_that_says_it_used_too_much_gets_nothing_more(store: TestStore) {
        store.add(limited(1, 100)).await;
        let mut holder = Holder::new(1, 1);
        holder.ask(&store, 10).await;
        holder.used = u32::MAX;
        let answer = holder.ask(&store, u32::MAX).await;
        assert_eq!((answer.allotted, answer.left), (u32::MAX, 0));
        assert_eq!(Holder::new(2, 1).ask(&store, 1).await.allotted, 0);
    }

    async fn what_is_given_back_is_free_for_others(store: TestStore) {
        store.add(limited(1, 100)).await;
        let (mut one, mut two) = (Holder::new(1, 1), Holder::new(2, 1));
        one.ask(&store, 100).await;
        assert_eq!(two.ask(&store, 50).await.allotted, 0);
        one.used = 30;
        assert_eq!(one.ask(&store, 0).await.allotted, 30);
        assert_eq!(two.ask(&store, 500).await.allotted, 70);
    }

    async fn a_message_that_is_not_new_changes_nothing_and_is_not_answered(store: TestStore) {
        store.add(limited(1, 100)).await;
        assert!(store.allot(id(1), &[message(1, 5, 0, 20)]).await.unwrap()[0].is_some());
        for late in [message(1, 5, 0, 20), message(1, 5, 0, 90), message(1, 4, 0, 0), message(1, -1, 3, 7)] {
            assert_eq!(store.allot(id(1), &[late]).await.unwrap(), [None]);
            assert_eq!(store.number(ALLOTTED).await, 20);
        }
        let next = store.allot(id(1), &[message(1, 6, 20, 1)]).await.unwrap()[0].unwrap();
        assert_eq!((next.seq, next.allotted), (6, 21));
    }

    async fn the_same_number_from_another_holder_or_for_another_account_is_new(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(new_key(2)).await;
        for (holder, account) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
            let answers = store.allot(id(holder), &[message(account, 1, 0, 3)]).await.unwrap();
            assert_eq!(answers[0].unwrap().allotted, 3);
        }
    }

    async fn many_accounts_are_answered_in_the_order_of_the_messages(store: TestStore) {
        for number in 1..=5 {
            store.add(limited(number, 10 * number)).await;
        }
        store.allot(id(1), &[message(4, 9, 0, 1)]).await.unwrap();
        let order = [3, 99, 1, 5, 4, 2];
        let messages = order.map(|account| message(account, 9, 0, 1000));
        let answers = store.allot(id(1), &messages).await.unwrap();
        let allotted: Vec<_> = answers.iter().map(|answer| answer.map(|answer| answer.allotted)).collect();
        assert_eq!(allotted, [Some(30), None, Some(10), Some(50), None, Some(20)]);
    }

    async fn unknown_accounts_are_not_answered(store: TestStore) {
        store.add(new_key(1)).await;
        assert_eq!(
            store.allot(id(1), &[message(8, 1, 0, 1), message(9, 1, 0, 1)]).await.unwrap(),
            [None, None]
        );
        assert_eq!(store.allot(id(1), &[]).await.unwrap(), []);
        assert_eq!(store.number("select count(*) from allotments").await, 0);
    }

    async fn a_thousand_accounts_are_answered_at_once(store: TestStore) {
        let new_keys = (1..=1000).map(new_key).collect();
        store.write(Writes { new_keys, ..writes() }).await;
        let messages: Vec<_> = (1..=1000).rev().map(|account| message(account, 1, 0, account % 90)).collect();
        let answers = store.allot(id(1), &messages).await.unwrap();
        for (message, answer) in messages.iter().zip(answers) {
            assert_eq!(answer.unwrap().allotted, message.ask.want);
        }
    }

    async fn a_dead_account_gets_nothing_and_keeps_what_it_used(store: TestStore) {
        for number in 1..=3 {
            store.add(new_key(number)).await;
        }
        let mut holders = [Holder::new(1, 1), Holder::new(1, 2), Holder::new(1, 3)];
        for holder in &mut holders {
            assert!(holder.ask(&store, 5).await.living);
            holder.used = 3;
        }
        store.revoke(1).await;
        store.edit(2, |key| key.facts.lifetime.expires_at = START.plus(10)).await;
        store.edit(3, |key| key.facts.lifetime.grace_until = START.plus(10)).await;
        store.clock().set(START.plus(9));
        assert!(!holders[0].ask(&store, 5).await.living);
        for holder in &mut holders[1..] {
            let answer = holder.ask(&store, 5).await;
            assert_eq!((answer.allotted, answer.living), (8, true), "a microsecond before its end");
        }
        store.clock().set(START.plus(10));
        for holder in &mut holders {
            let answer = holder.ask(&store, 5).await;
            assert_eq!((answer.allotted, answer.living, answer.left), (3, false, 97));
        }
    }

    async fn an_account_lives_as_long_as_one_of_its_keys(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(successor(2, 1)).await;
        let mut holder = Holder::new(1, 1);
        store.edit(1, |key| key.facts.lifetime.grace_until = START.plus(10)).await;
        store.clock().pass(10);
        assert!(holder.ask(&store, 5).await.living);
        store.revoke(2).await;
        assert!(!holder.ask(&store, 5).await.living);
    }

    async fn an_expired_account_that_is_renewed_gets_the_rest_of_its_hour(store: TestStore) {
        store.add(limited(1, 10)).await;
        let mut holder = Holder::new(1, 1);
        assert_eq!(holder.spend(&store, 7).await, 7);
        store.edit(1, |key| key.facts.lifetime.expires_at = START).await;
        assert_eq!(holder.spend(&store, 7).await, 0);
        store.edit(1, |key| key.facts.lifetime.expires_at = START.plus(1)).await;
        assert_eq!(holder.spend(&store, 7).await, 3);
    }

    async fn a_rotation_gives_no_second_allowance(store: TestStore) {
        store.add(limited(1, 10)).await;
        assert_eq!(Holder::new(1, 1).spend(&store, 8).await, 8);
        store.add(successor(2, 1)).await;
        assert_eq!(Holder::new(2, 1).spend(&store, 8).await, 2);
    }

    async fn a_raised_limit_is_there_at_once(store: TestStore) {
        store.add(limited(1, 10)).await;
        let mut holder = Holder::new(1, 1);
        assert_eq!(holder.spend(&store, 50).await, 10);
        set_limit(&store, 1, 25).await;
        assert_eq!(holder.spend(&store, 50).await, 15);
    }

    async fn after_a_lowered_limit_nothing_is_given_past_it(store: TestStore) {
        store.add(limited(1, 100)).await;
        let (mut one, mut two) = (Holder::new(1, 1), Holder::new(2, 1));
        one.ask(&store, 80).await;
        set_limit(&store, 1, 50).await;
        let answer = two.ask(&store, 10).await;
        assert_eq!((answer.allotted, answer.left, answer.limit), (0, 0, 50));
        one.used = 20;
        assert_eq!(one.ask(&store, 80).await.allotted, 50);
        assert_eq!(one.ask(&store, 0).await.allotted, 20);
        assert_eq!(two.ask(&store, 80).await.allotted, 30);
        set_limit(&store, 1, 10).await;
        two.used = 30;
        assert_eq!(two.ask(&store, 5).await.allotted, 30, "what was used stays used");
        assert_eq!(one.ask(&store, 5).await.allotted, 20);
    }

    async fn holders_count_for_twenty_seconds_after_they_asked(store: TestStore) {
        store.add(new_key(1)).await;
        let (mut one, mut two, mut three) = (Holder::new(1, 1), Holder::new(2, 1), Holder::new(3, 1));
        assert_eq!(one.ask(&store, 1).await.holders, 1);
        assert_eq!(two.ask(&store, 0).await.holders, 2);
        store.clock().pass(20 * SECOND - 1);
        assert_eq!(three.ask(&store, 1).await.holders, 3);
        store.clock().pass(1);
        assert_eq!(three.ask(&store, 1).await.holders, 1);
        assert_eq!(one.ask(&store, 1).await.holders, 2);
    }

    async fn units_are_reclaimable_if_another_holder_that_lives_has_some_unspent(store: TestStore) {
        store.add(new_key(1)).await;
        let (mut one, mut two) = (Holder::new(1, 1), Holder::new(2, 1));
        two.register(&store).await;
        assert!(!two.ask(&store, 10).await.reclaimable, "its own are not");
        one.ask(&store, 5).await;
        assert!(!two.ask(&store, 1).await.reclaimable, "the other is not registered");
        one.register(&store).await;
        assert!(two.ask(&store, 1).await.reclaimable);
        one.used = 5;
        one.ask(&store, 0).await;
        assert!(!two.ask(&store, 1).await.reclaimable, "the other has spent all");
        one.ask(&store, 1).await;
        store.clock().pass(20 * SECOND - 1);
        assert!(two.ask(&store, 1).await.reclaimable);
        store.clock().pass(1);
        assert!(!two.ask(&store, 1).await.reclaimable, "the other has not been heard of lately");
    }

    async fn forty_asks_at_once_get_ten_units_of_a_limit_of_ten(store: TestStore) {
        store.add(limited(1, 10)).await;
        let nodes = store.nodes(4).await;
        let mut tasks = JoinSet::new();
        for number in 1..=8 {
            let (node, mut holder) = (nodes[number as usize % 4].clone(), Holder::new(number, 1));
            tasks.spawn(async move {
                let mut spent = 0;
                for _ in 0..5 {
                    spent += holder.spend(&node, 1).await;
                }
                spent
            });
        }
        assert_eq!(tasks.join_all().await.iter().sum::<u32>(), 10);
        assert_eq!(store.number(ALLOTTED).await, 10);
    }

    async fn holders_that_ask_for_many_accounts_in_any_order_do_not_block_each_other(store: TestStore) {
        for number in 1..=20 {
            store.add(limited(number, 10)).await;
        }
        let mut tasks = JoinSet::new();
        for (turn, node) in (1..).zip(store.nodes(4).await) {
            tasks.spawn(async move {
                let mut spent = 0;
                let mut used = [0; 21];
                for seq in 1..=10 {
                    let mut messages: Vec<_> =
                        (1..=20).map(|account| message(account, seq, used[account as usize], 1)).collect();
                    messages.rotate_left(turn as usize * 5);
                    for (message, answer) in
                        messages.iter().zip(node.allot(id(turn), &messages).await.unwrap())
                    {
                        let now_used = answer.unwrap().allotted;
                        spent += now_used - message.ask.used;
                        let account = message.account.to_string()[24..].parse::<usize>().unwrap();
                        used[account] = now_used;
                    }
                }
                spent
            });
        }
        assert_eq!(tasks.join_all().await.iter().sum::<u32>(), 200);
    }

    async fn a_limit_lowered_while_holders_ask_is_not_passed(store: TestStore) {
        store.add(limited(1, 1000)).await;
        let nodes = store.nodes(4).await;
        let mut tasks = JoinSet::new();
        for (number, node) in (1..).zip(nodes.clone()) {
            tasks.spawn(async move {
                let mut holder = Holder::new(number, 1);
                for _ in 0..20 {
                    holder.spend(&node, 1).await;
                }
            });
        }
        set_limit(&nodes[0], 1, 30).await;
        let before = store.number(ALLOTTED).await;
        tasks.join_all().await;
        assert_eq!(store.number(ALLOTTED).await, before.max(30));
    }
}
