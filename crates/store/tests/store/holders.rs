//! Holders: who admits requests from memory, as far as anybody has told.

use hokusai_core::time::SECOND;

use crate::acts::Holder;
use crate::facts::facts;
use crate::samples::{START, id, new_key};
use crate::stores::TestStore;

facts! {
    async fn a_holder_is_registered_once_and_brought_up_to_date(store: TestStore) {
        store.register_holder(id(1), "node", 3).await.unwrap();
        store.clock().pass(5);
        store.register_holder(id(1), "node", 8).await.unwrap();
        store.register_holder(id(2), "verifier", 1).await.unwrap();
        assert_eq!(store.number("select count(*) from holders").await, 2);
        assert_eq!(store.number("select revision from holders where kind = 'node'").await, 8);
        assert_eq!(store.number("select seen_at from holders where kind = 'node'").await, START.plus(5).0);
    }

    async fn a_holder_that_says_goodbye_is_forgotten(store: TestStore) {
        store.register_holder(id(1), "node", 0).await.unwrap();
        store.register_holder(id(2), "verifier", 0).await.unwrap();
        store.forget_holder(id(2)).await.unwrap();
        store.forget_holder(id(9)).await.unwrap();
        assert_eq!(store.number("select count(*) from holders where kind = 'node'").await, 1);
        assert_eq!(store.number("select count(*) from holders").await, 1);
    }

    async fn holders_last_seen_before_an_instant_are_dropped(store: TestStore) {
        store.register_holder(id(1), "old", 0).await.unwrap();
        store.clock().pass(10);
        store.register_holder(id(2), "new", 0).await.unwrap();
        store.prune_holders(START.0).await.unwrap();
        assert_eq!(store.number("select count(*) from holders").await, 2);
        store.prune_holders(START.plus(10).0).await.unwrap();
        assert_eq!(store.number("select count(*) from holders where kind = 'new'").await, 1);
        assert_eq!(store.number("select count(*) from holders").await, 1);
    }

    async fn a_forgotten_holder_has_nothing_to_reclaim(store: TestStore) {
        store.add(new_key(1)).await;
        let (mut one, mut two) = (Holder::new(1, 1), Holder::new(2, 1));
        one.register(&store).await;
        one.ask(&store, 60).await;
        assert!(two.ask(&store, 1).await.reclaimable);
        one.forget(&store).await;
        assert!(!two.ask(&store, 1).await.reclaimable);
        one.register(&store).await;
        assert!(two.ask(&store, 1).await.reclaimable);
        store.clock().pass(20 * SECOND);
        assert!(!two.ask(&store, 1).await.reclaimable);
    }
}
