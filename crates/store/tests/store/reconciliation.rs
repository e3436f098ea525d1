//! Adding a month up once more, also where records were dropped: the hourly sums stand for these.

use hokusai_core::time::{HOUR, Timestamp};
use hokusai_core::usage::MAX_AHEAD;
use hokusai_store::{Reconciliation, Writes};

use crate::facts::facts;
use crate::samples::{START, month, new_key, record_at, successor, writes};
use crate::stores::TestStore;

/// Three keys of two accounts, with a record in each of ten hours: ten of each, the last in hour 9.
async fn ten_hours(store: &TestStore) {
    let new_keys = vec![new_key(1), successor(2, 1), new_key(3)];
    store.write(Writes { new_keys, ..writes() }).await;
    for hour in 0..10 {
        let at = START.plus(hour * HOUR);
        store.clock().set(at);
        store.report((1..=3).map(|key| record_at(key, &hour.to_string(), at)).collect()).await;
    }
}

async fn reconcile(store: &TestStore) -> Reconciliation {
    store.reconcile_usage(month("2025-11")).await.unwrap()
}

/// The tables that differ, in order.
fn tables(found: &Reconciliation) -> Vec<&'static str> {
    let mut tables: Vec<_> = found.differences.iter().map(|difference| difference.table).collect();
    tables.dedup();
    tables
}

fn since(hour: i64) -> Option<Timestamp> {
    Some(START.plus(hour * HOUR))
}

facts! {
    async fn a_month_comes_out_even_with_all_records_some_or_none(store: TestStore) {
        ten_hours(&store).await;
        // What arrived at a full hour may have happened up to five minutes after it.
        for (dropped, records, kept_since) in
            [(0, 30, None), (1, 27, since(1)), (4, 18, since(4)), (6, 12, since(6)), (10, 0, since(10))]
        {
            store.drop_usage_records(START.plus(dropped * HOUR), 100).await.unwrap();
            let found = reconcile(&store).await;
            assert_eq!((found.records, found.kept_since), (records, kept_since), "{dropped}");
            assert_eq!((found.difference_count, tables(&found)), (0, vec![]), "{dropped}");
            let accounts: Vec<_> = found
                .accounts
                .iter()
                .map(|account| (account.from_records.requests, account.billed.requests))
                .collect();
            assert_eq!(accounts, [(20, 20), (10, 10)], "{dropped}");
        }
    }

    async fn an_hour_in_which_any_record_may_have_been_dropped_is_told_by_its_sum(store: TestStore) {
        store.write(Writes { new_keys: vec![new_key(1)], ..writes() }).await;
        let arrival = START.plus(HOUR - MAX_AHEAD);
        for (name, arrival, at) in
            [("a", arrival, START.plus(HOUR)), ("b", arrival.plus(1), START.plus(HOUR + 1))]
        {
            store.clock().set(arrival);
            store.report(vec![record_at(1, name, at)]).await;
        }
        store.drop_usage_records(arrival.plus(1), 100).await.unwrap();
        let found = reconcile(&store).await;
        assert_eq!((found.records, found.kept_since, found.difference_count), (0, since(2), 0));
    }

    async fn what_differs_is_found_on_both_sides_of_what_was_dropped(store: TestStore) {
        ten_hours(&store).await;
        store.drop_usage_records(START.plus(4 * HOUR), 100).await.unwrap();
        // Where records are kept, each sum is held to them.
        store.execute("update usage_hours set requests = requests + 1 where hour = 490004").await;
        assert_eq!(tables(&reconcile(&store).await), ["usage_hours"]);
        store.execute("update usage_hours set requests = requests - 1 where hour = 490004").await;
        // Where they are not, the other sums are held to the hourly ones.
        store.execute("update usage_hours set requests = requests + 1 where hour = 490003").await;
        let others = ["usage_days", "usage_endpoints", "usage_months"];
        assert_eq!(tables(&reconcile(&store).await), others);
        store.execute("update usage_hours set requests = requests - 1 where hour = 490003").await;
        assert_eq!(tables(&reconcile(&store).await), [""; 0]);
    }
}
