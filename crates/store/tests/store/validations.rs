//! Counts of validations: added once, kept as long as they are wanted, and a key's latest use for ever.

use hokusai_core::id::KeyId;
use hokusai_core::time::{DAY, HOUR, Hour, Timestamp};
use hokusai_store::{HourOfKey, KeyCounts, Writes};
use tokio::task::JoinSet;

use crate::facts::facts;
use crate::samples::{START, id, new_key, writes};
use crate::stores::TestStore;

const ALL: KeyCounts = KeyCounts {
    valid: 1,
    limited: 2,
    expired: 3,
    revoked: 4,
    service_mismatch: 5,
    insufficient_scope: 6,
    ip_not_allowed: 7,
};

/// One good validation of a key.
fn use_of(key: KeyId, at: Timestamp) -> HourOfKey {
    let counts = KeyCounts { valid: 1, ..KeyCounts::default() };
    HourOfKey { key, hour: at.hour(), last_used_at: Some(at), counts }
}

/// One refusal of it.
fn refusal_of(key: KeyId, at: Timestamp) -> HourOfKey {
    let counts = KeyCounts { revoked: 1, ..KeyCounts::default() };
    HourOfKey { key, hour: at.hour(), last_used_at: None, counts }
}

async fn hours_of(store: &TestStore, number: u32) -> Vec<(i64, i64, i64)> {
    let hours = store.validations_of(id(number), Hour(0), 100).await.unwrap();
    hours.iter().map(|of| (of.hour.0 - START.hour().0, of.counts.valid, of.counts.revoked)).collect()
}

async fn prune(store: &TestStore, hour: Hour, most: i64) {
    let mut place = Some(Default::default());
    while let Some(from) = place {
        place = store.prune_validations(&from, hour, most).await.unwrap();
    }
}

facts! {
    async fn each_outcome_is_added_to_its_hour(store: TestStore) {
        let of = HourOfKey { key: id(1), hour: START.hour(), last_used_at: Some(START), counts: ALL };
        for seq in 1..=2 {
            store.add_validations(id(1), seq, &[of]).await.unwrap();
        }
        let found = store.validations_of(id(1), START.hour(), 10).await.unwrap();
        let KeyCounts { valid, limited, expired, revoked, service_mismatch, insufficient_scope, ip_not_allowed } =
            found[0].counts;
        let counts = [valid, limited, expired, revoked, service_mismatch, insufficient_scope, ip_not_allowed];
        assert_eq!((found.len(), counts), (1, [2, 4, 6, 8, 10, 12, 14]));
    }

    async fn what_is_handed_in_again_is_not_added_again(store: TestStore) {
        for (holder, seq) in [(1, 5), (1, 5), (1, 4), (2, 4), (1, 6)] {
            store.add_validations(id(holder), seq, &[use_of(id(1), START)]).await.unwrap();
        }
        assert_eq!(hours_of(&store, 1).await, [(0, 3, 0)]);
    }

    async fn what_is_handed_in_again_after_a_long_outage_is_not_added_again(store: TestStore) {
        store.register_holder(id(1), "node", 0).await.unwrap();
        for seq in [1, 1, 2] {
            store.add_validations(id(1), seq, &[use_of(id(1), START)]).await.unwrap();
            store.forget_holder(id(1)).await.unwrap();
            store.prune_validation_counters(START).await.unwrap();
        }
        assert_eq!(hours_of(&store, 1).await, [(0, 2, 0)]);
        store.clock().pass(DAY);
        store.add_validations(id(2), 1, &[]).await.unwrap();
        store.prune_validation_counters(START.plus(1)).await.unwrap();
        assert_eq!(store.number("select count(*) from validation_counters").await, 1);
    }

    async fn the_latest_use_never_moves_back(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(new_key(2)).await;
        for (seq, (noted, latest)) in (1..).zip([(50, 50), (40, 50), (HOUR, HOUR), (51, HOUR)]) {
            store.add_validations(id(1), seq, &[use_of(id(1), START.plus(noted))]).await.unwrap();
            assert_eq!(store.last_use(1).await, Some(START.plus(latest)));
        }
        store.add_validations(id(1), 9, &[refusal_of(id(1), START.plus(2 * HOUR))]).await.unwrap();
        assert_eq!((store.last_use(1).await, store.last_use(2).await), (Some(START.plus(HOUR)), None));
    }

    async fn a_change_does_not_take_a_noted_use_back(store: TestStore) {
        store.add(new_key(1)).await;
        let before = store.key(1).await;
        store.add_validations(id(1), 1, &[use_of(id(1), START.plus(5))]).await.unwrap();
        store.write(Writes { changed_keys: vec![before], ..writes() }).await;
        assert_eq!(store.last_use(1).await, Some(START.plus(5)));
    }

    async fn nodes_count_the_same_keys_in_any_order_at_once(store: TestStore) {
        let new_keys: Vec<_> = (1..=40).map(new_key).collect();
        store.write(Writes { new_keys, ..writes() }).await;
        let mut tasks = JoinSet::new();
        for (turn, node) in (1..).zip(store.nodes(4).await) {
            tasks.spawn(async move {
                for round in 0..10 {
                    let at = START.plus(round);
                    let mut uses: Vec<_> = (1..=40).map(|number| use_of(id(number), at)).collect();
                    if turn % 2 == 0 {
                        uses.reverse();
                    }
                    node.add_validations(id(turn), round + 1, &uses).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        assert_eq!((store.last_use(17).await, hours_of(&store, 17).await), (Some(START.plus(9)), vec![(0, 40, 0)]));
    }

    async fn old_hours_are_dropped_but_for_the_latest_use(store: TestStore) {
        store.add(new_key(1)).await;
        let at = |hour: i64| START.plus(hour * HOUR);
        let counts = [
            use_of(id(1), at(0)), use_of(id(1), at(1)), refusal_of(id(1), at(2)), refusal_of(id(1), at(9)),
            use_of(id(2), at(1)), use_of(id(2), at(8)), refusal_of(id(3), at(1)),
        ];
        store.add_validations(id(1), 1, &counts).await.unwrap();
        for most in [1, 100] {
            prune(&store, at(5).hour(), most).await;
            assert_eq!(hours_of(&store, 1).await, [(9, 0, 1), (1, 1, 0)]);
            assert_eq!(hours_of(&store, 2).await, [(8, 1, 0)]);
            assert_eq!(hours_of(&store, 3).await, []);
        }
        assert_eq!(store.last_use(1).await, Some(at(1)));
    }
}
