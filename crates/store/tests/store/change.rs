//! Changes: each is one step that nobody sees half of, and their revisions have no gap.

use std::sync::Arc;
use std::time::Duration;

use hokusai_core::id::AccountId;
use hokusai_core::token::Role;
use hokusai_store::{About, AccountAsk, NewKey, Store, StoreError, Writes};
use tokio::task::JoinSet;

use crate::acts::{Holder, edit_key};
use crate::facts::facts;
use crate::samples::{ALL_KEYS, START, digest, id, key, new_key, new_token, rights, successor, writes};
use crate::stores::{Place, TestStore};

fn adding(new_keys: Vec<NewKey>) -> Writes {
    Writes { new_keys, ..writes() }
}

async fn add_key(store: &Store, number: u32) {
    store.change(About::Nothing, |_| (Some(adding(vec![new_key(number)])), ())).await.unwrap();
}

/// Whether the revisions, the feed and the audit log agree that there were `changes` changes.
async fn assert_changes(store: &TestStore, changes: i64) {
    assert_eq!(store.head().await, changes, "the feed's head");
    assert_eq!(store.changed_after(0).await.len() as i64, changes, "the feed");
    assert_eq!(store.number("select count(*) from audit").await, changes, "the audit log");
}

facts! {
    async fn each_new_or_changed_thing_takes_the_next_revision(store: TestStore) {
        assert_eq!(store.head().await, 0);
        store.add(new_key(1)).await;
        assert_eq!(store.head().await, 1);
        store.write(adding(vec![new_key(2), new_key(3)])).await;
        assert_eq!(store.head().await, 3);
        store.edit(2, |_| ()).await;
        assert_eq!(store.head().await, 4);
        store.add_token(new_token(1, Role::Member)).await;
        assert_eq!(store.head().await, 5);
        store.revoke_token(1).await;
        assert_eq!(store.head().await, 6);
        let key = |number| Some(id(number));
        assert_eq!(store.changed_after(0).await, [key(1), key(2), key(3), key(2), None, None]);
    }

    async fn a_change_that_decides_on_nothing_writes_nothing(store: TestStore) {
        store.add(new_key(1)).await;
        let told = store.change(About::Key(id(1)), |_| (None, "told")).await.unwrap();
        assert_eq!(told, "told");
        assert_changes(&store, 1).await;
    }

    async fn a_change_finds_the_time_of_the_store(store: TestStore) {
        store.clock().pass(-12_345);
        assert_eq!(store.standing(About::Nothing).await.now, START.plus(-12_345));
    }

    async fn a_change_finds_what_the_changes_before_it_wrote(store: TestStore) {
        store.add(new_key(1)).await;
        let mut tasks = JoinSet::new();
        for node in store.nodes(4).await {
            for _ in 0..8 {
                let node = node.clone();
                tasks.spawn(async move {
                    edit_key(&node, 1, |key| rights(key).rate_limit_per_hour += 1).await;
                });
            }
        }
        tasks.join_all().await;
        assert_eq!(store.key(1).await.facts.rights.rate_limit_per_hour, 132);
    }

    async fn fifty_changes_at_once_take_fifty_revisions_in_a_row(store: TestStore) {
        let nodes = store.nodes(4).await;
        let mut tasks = JoinSet::new();
        for number in 1..=50 {
            let node = nodes[number as usize % nodes.len()].clone();
            tasks.spawn(async move { add_key(&node, number).await });
        }
        tasks.join_all().await;
        let listed = store.list_keys(&ALL_KEYS, id(1)).await.unwrap();
        let places: Vec<_> = listed.iter().rev().map(|listed| listed.place).collect();
        assert_eq!(places, (1..=50).collect::<Vec<_>>());
        assert_changes(&store, 50).await;
    }

    async fn a_reader_sees_the_changes_in_order_while_they_are_made(store: TestStore) {
        let nodes = store.nodes(4).await;
        let mut tasks = JoinSet::new();
        for (turn, node) in (0..).zip(nodes.iter().cloned()) {
            tasks.spawn(async move {
                for number in 0..25 {
                    add_key(&node, 100 * turn + number).await;
                }
            });
        }
        for node in nodes {
            tasks.spawn(async move {
                let mut seen = 0;
                while seen < 100 {
                    let page = node.read_feed(seen).await.unwrap();
                    let revisions: Vec<_> = page.changes.iter().map(|(change, _)| change.revision).collect();
                    assert_eq!(revisions, (seen + 1..=page.head.revision).collect::<Vec<_>>());
                    seen = page.head.revision;
                }
            });
        }
        tasks.join_all().await;
    }

    async fn a_changed_key_touches_all_keys_of_its_account_that_are_not_revoked(store: TestStore) {
        store.write(adding(vec![new_key(1), successor(2, 1), successor(3, 1), new_key(4)])).await;
        store.revoke(2).await;
        let before = store.head().await;
        store.edit(1, |key| key.name = "new".to_owned()).await;
        let touched = store.changed_after(before).await;
        assert_eq!(touched, [Some(id(1)), Some(id(3))]);
    }

    async fn a_revoked_key_touches_itself_and_the_others_of_its_account(store: TestStore) {
        store.write(adding(vec![new_key(1), successor(2, 1), new_key(3)])).await;
        let before = store.head().await;
        store.revoke(2).await;
        assert_eq!(store.changed_after(before).await, [Some(id(1)), Some(id(2))]);
    }

    async fn a_rotation_is_one_change(store: TestStore) {
        store.add(new_key(1)).await;
        store
            .change(About::Key(id(1)), |standing| {
                let mut old = standing.key.clone().unwrap();
                (old.facts.lifetime.grace_until, old.rotated_to) = (START.plus(9), Some(id(2)));
                (Some(Writes { changed_keys: vec![old], ..adding(vec![successor(2, 1)]) }), ())
            })
            .await
            .unwrap();
        let (old, new) = (store.key(1).await, store.key(2).await);
        assert_eq!((old.rotated_to, old.facts.lifetime.grace_until), (Some(id(2)), START.plus(9)));
        assert_eq!((new.rotated_from, new.facts.account), (Some(id(1)), id(1)));
        assert_eq!(store.number("select count(*) from audit").await, 2);
        let touched = store.changed_after(1).await;
        assert!(touched.contains(&Some(id(1))) && touched.contains(&Some(id(2))));
    }

    async fn a_change_that_fails_leaves_nothing_behind(store: TestStore) {
        store.add(new_key(1)).await;
        let mut doubled = new_key(3);
        doubled.digest = digest(1);
        let failing = Writes {
            changed_keys: vec![key(1)],
            new_tokens: vec![new_token(1, Role::Operator)],
            ..adding(vec![new_key(2), doubled])
        };
        let refused = store.change(About::Nothing, |_| (Some(failing), ())).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert_changes(&store, 1).await;
        assert_eq!(store.number("select count(*) from accounts").await, 1);
        assert_eq!(store.number("select count(*) from keys").await, 1);
        assert!(!store.standing(About::Nothing).await.had_operator);
        store.add(new_key(2)).await;
        assert_changes(&store, 2).await;
    }

    async fn a_change_that_its_caller_gives_up_happens_wholly_or_not_at_all(store: TestStore) {
        let node = store.nodes(1).await.remove(0);
        for number in 1..=60 {
            let node = node.clone();
            let task = tokio::spawn(async move { add_key(&node, number).await });
            for _ in 0..number {
                tokio::task::yield_now().await;
            }
            task.abort();
            let _ = task.await;
        }
        // This one waits for all that is still under way.
        add_key(&node, 61).await;
        let written = store.list_keys(&ALL_KEYS, id(1)).await.unwrap().len();
        assert_changes(&store, written as i64).await;
    }

    async fn a_change_that_must_wait_too_long_is_refused_and_the_next_is_not(place: Place) {
        let mut options = place.options();
        options.timeout = Duration::from_secs(1);
        let hurried = Arc::new(Store::open(&options).await.unwrap());
        let mut other = place.connect().await;
        other.stop_changes().await;
        let refused = hurried.change(About::Nothing, |_| (Some(adding(vec![new_key(1)])), ())).await;
        assert!(matches!(refused, Err(StoreError::TimedOut)), "{refused:?}");
        assert!(hurried.find_key(&digest(1)).await.unwrap().is_none(), "reading goes on");
        other.let_changes_pass().await;
        let mut attempts = 0..10;
        while hurried.change(About::Nothing, |_| (Some(adding(vec![new_key(2)])), ())).await.is_err() {
            attempts.next().expect("the store goes on");
        }
        assert_eq!(hurried.read_feed(0).await.unwrap().head.revision, 1);
        assert_eq!(other.number("select count(*) from keys").await, 1);
    }

    async fn changes_and_allotments_of_the_same_accounts_do_not_block_each_other(store: TestStore) {
        let (low, high) = (successor(3, 2), successor(4, 1));
        store.write(adding(vec![new_key(1), new_key(2), low.clone(), high.clone()])).await;
        let nodes = store.nodes(4).await;
        let mut tasks = JoinSet::new();
        for (turn, node) in (0..).zip(nodes) {
            let changed = [low.key.clone(), high.key.clone()];
            tasks.spawn(async move {
                let (mut one, mut two) = (Holder::new(turn, 1), Holder::new(turn, 2));
                for round in 0..15 {
                    if turn % 2 == 0 {
                        let new_keys = vec![successor(1000 + 100 * turn + round, 1 + round % 2)];
                        let writes = Writes { changed_keys: changed.to_vec(), ..adding(new_keys) };
                        node.change(About::Nothing, |_| (Some(writes), ())).await.unwrap();
                    } else {
                        let messages: [AccountAsk; 2] = [two.message(1), one.message(1)];
                        node.allot(id(turn), &messages).await.unwrap();
                    }
                }
            });
        }
        tasks.join_all().await;
        assert_eq!(store.number("select count(*) from keys").await, 34);
    }

    async fn a_key_counts_against_the_account_that_it_names(store: TestStore) {
        let mut new = new_key(2);
        new.key.facts.account = id::<AccountId>(77);
        store.add(new).await;
        let page = store.read_feed(0).await.unwrap();
        assert_eq!(page.changes[0].0.key, Some((id(2), id(77))));
    }
}
