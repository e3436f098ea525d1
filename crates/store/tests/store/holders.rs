//! Holders: who admits requests from memory, as far as anybody has told.

use std::time::Duration;

use hokusai_core::allotment::Ask;
use hokusai_core::debt::{Debt, DebtId};
use hokusai_core::id::{HolderId, TokenId};
use hokusai_core::time::{Hour, SECOND};
use hokusai_store::{AccountAsk, PendingHolder};

use crate::acts::Holder;
use crate::facts::facts;
use crate::samples::{START, id, new_key};
use crate::stores::TestStore;

async fn registered(store: &TestStore) -> Vec<HolderId> {
    store.seen_holders().await.unwrap().into_iter().map(|seen| seen.holder).collect()
}

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
        assert_eq!(registered(&store).await, [id(1)]);
        store.forget_holder(id(1)).await.unwrap();
        assert_eq!(registered(&store).await, []);
        assert_eq!(store.number("select count(*) from holders where kind = 'node'").await, 0);
    }

    async fn a_verifier_that_left_stays_bound_to_its_token_for_a_while(store: TestStore) {
        let (long, short) = (Duration::from_secs(300), Duration::from_secs(5));
        let bound = |valid_for| Some((id::<TokenId>(7).to_string(), valid_for));
        for leaves_by_itself in [true, false] {
            assert!(store.enter_verifier(id(1), id(7), 8, long).await.unwrap());
            if leaves_by_itself {
                store.forget_holder(id(1)).await.unwrap();
            } else {
                store.drop_holder(&store.seen_holders().await.unwrap()[0]).await.unwrap();
            }
            assert_eq!(registered(&store).await, []);
            assert_eq!(store.pending_holders(i64::MAX, id(5)).await.unwrap().1, []);
            for token in [7, 9] {
                assert_eq!(store.renew_verifier(id(1), id(token)).await.unwrap(), bound(None));
            }
            assert!(!store.enter_verifier(id(1), id(9), 99, long).await.unwrap(), "it is another's");
            // What it knew when it left counts for nothing.
            assert!(store.enter_verifier(id(1), id(7), 3, short).await.unwrap());
            assert_eq!(store.renew_verifier(id(1), id(7)).await.unwrap(), bound(Some(short)));
            assert_eq!(store.pending_holders(4, id(5)).await.unwrap().1.len(), 1);
        }
        store.prune_holders(START.plus(1)).await.unwrap();
        assert_eq!(registered(&store).await, [id(1)]);
        store.forget_holder(id(1)).await.unwrap();
        store.prune_holders(START).await.unwrap();
        assert_eq!(store.number("select count(*) from holders").await, 1);
        store.prune_holders(START.plus(1)).await.unwrap();
        assert_eq!(store.number("select count(*) from holders").await, 0);
    }

    async fn a_holder_is_dropped_unless_it_was_seen_again(store: TestStore) {
        store.register_holder(id(1), "old", 0).await.unwrap();
        store.clock().pass(10);
        store.register_holder(id(2), "new", 0).await.unwrap();
        let seen = store.seen_holders().await.unwrap();
        store.clock().pass(10);
        // Seen again, it stays.
        store.register_holder(id(2), "new", 0).await.unwrap();
        for holder in &seen {
            store.drop_holder(holder).await.unwrap();
        }
        assert_eq!(registered(&store).await, [id(2)]);
    }

    async fn a_verifier_is_bound_to_its_token_and_takes_nothing_back(store: TestStore) {
        let (long, short) = (Duration::from_secs(300), Duration::from_secs(5));
        assert_eq!(store.renew_verifier(id(1), id(7)).await.unwrap(), None, "it has to enter first");
        assert!(store.enter_verifier(id(1), id(7), 8, long).await.unwrap());
        assert!(store.enter_verifier(id(1), id(7), 3, short).await.unwrap());
        assert!(!store.enter_verifier(id(1), id(9), 99, long).await.unwrap(), "it is another's");
        assert_eq!(store.renew_verifier(id(1), id(9)).await.unwrap(), Some((id::<TokenId>(7).to_string(), Some(long))));
        let expected = PendingHolder { holder: id(1), is_node: false, valid_for: long };
        assert_eq!(store.pending_holders(9, id(5)).await.unwrap().1, [expected]);
        assert_eq!(store.pending_holders(8, id(5)).await.unwrap().1, []);
        assert_eq!(store.pending_holders(9, id(1)).await.unwrap().1, [], "whoever asks need not be told");
    }

    async fn nobody_takes_a_nodes_place_for_a_verifiers(store: TestStore) {
        store.register_holder(id(1), "node", 3).await.unwrap();
        assert!(!store.enter_verifier(id(1), id(7), 8, Duration::ZERO).await.unwrap());
        assert_eq!(store.number("select revision from holders").await, 3);
    }

    async fn the_first_unit_is_given_only_where_there_was_none(store: TestStore) {
        store.add(new_key(1)).await;
        let ask = |seq, want| AccountAsk { account: id(1), ask: Ask { hour: None, seq, used: 0, want, waiting: 0 } };
        let first = store.allot_first(id(5), &[ask(10, 1)]).await.unwrap()[0].unwrap();
        assert_eq!((first.seq, first.allotted, first.used), (10, 1, 0));
        assert_eq!(store.allot_first(id(5), &[ask(11, 1)]).await.unwrap(), [None]);
        assert_eq!(store.number("select allotted from allotments").await, 1);
        assert_eq!(store.number("select seq from allotments").await, 10);
        assert!(store.allot_first(id(6), &[ask(1, 1)]).await.unwrap()[0].is_some(), "another holder");
        let unknown = AccountAsk { account: id(99), ..ask(1, 1) };
        assert_eq!(store.allot_first(id(5), &[unknown]).await.unwrap(), [None]);
    }

    async fn a_debt_counts_once_and_lowers_what_is_left_of_its_hour(store: TestStore) {
        store.add(new_key(1)).await;
        let limit = 100;
        let hour = START.hour();
        let debt = |units| Debt { id: DebtId { debtor: id(70), account: id(1), hour }, units };
        for units in [3, 5, 5, 4] {
            store.settle_debts(&[debt(units)]).await.unwrap();
        }
        let unknown = Debt { id: DebtId { account: id(99), ..debt(1).id }, units: 1 };
        store.settle_debts(&[unknown]).await.unwrap();
        let mut holder = Holder::new(1, 1);
        holder.register(&store).await;
        let answer = holder.ask(&store, 1).await;
        assert_eq!(i64::from(answer.left), limit - 5 - 1);
        assert_eq!(answer.holders, 1, "a debtor is no holder");
        let before = Debt { id: DebtId { hour: Hour(hour.0 - 1), ..debt(1).id }, units: 9 };
        store.settle_debts(&[before]).await.unwrap();
        assert_eq!(i64::from(holder.ask(&store, 1).await.left), limit - 5 - 1, "another hour's");
    }

    async fn a_forgotten_holder_has_nothing_to_reclaim(store: TestStore) {
        store.add(new_key(1)).await;
        let (mut one, mut two) = (Holder::new(1, 1), Holder::new(2, 1));
        one.register(&store).await;
        one.ask(&store, 60).await;
        assert!(two.ask(&store, 1).await.reclaimable);
        one.forget(&store).await;
        assert!(!two.ask(&store, 1).await.reclaimable);
        store.enter_verifier(id(1), id(7), 0, Duration::ZERO).await.unwrap();
        assert!(two.ask(&store, 1).await.reclaimable);
        store.forget_holder(id(1)).await.unwrap();
        assert!(!two.ask(&store, 1).await.reclaimable);
        store.prune_holders(START.plus(1)).await.unwrap();
        one.register(&store).await;
        assert!(two.ask(&store, 1).await.reclaimable);
        store.clock().pass(20 * SECOND);
        assert!(!two.ask(&store, 1).await.reclaimable);
    }
}
