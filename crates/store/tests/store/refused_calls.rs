//! Sums of refused calls: added up by all nodes, listed newest first, dropped in small steps.

use hokusai_core::refused_calls::{Refused, RefusedSum};
use hokusai_core::time::MINUTE;
use hokusai_store::RefusedFilter;
use tokio::task::JoinSet;

use crate::facts::facts;
use crate::samples::START;
use crate::stores::TestStore;

const ALL: RefusedFilter =
    RefusedFilter { address: None, since: None, until: None, after: None, limit: 1000 };

fn sum(minute: i64, address: &str, count: i64) -> RefusedSum {
    let (minute, address) = (START.plus(minute * MINUTE), address.to_owned());
    RefusedSum { refused: Refused { minute, address, code: "forbidden".to_owned() }, count }
}

async fn listed(store: &TestStore, filter: &RefusedFilter) -> Vec<RefusedSum> {
    store.list_refused_calls(filter).await.unwrap()
}

facts! {
    async fn sums_are_added_up(store: TestStore) {
        store.note_refused_calls(&[sum(0, "a", 1), sum(0, "b", 2), sum(1, "a", 3)]).await.unwrap();
        store.note_refused_calls(&[sum(0, "a", 10)]).await.unwrap();
        store.note_refused_calls(&[]).await.unwrap();
        assert_eq!(listed(&store, &ALL).await, [sum(1, "a", 3), sum(0, "b", 2), sum(0, "a", 11)]);
    }

    async fn nodes_that_write_at_once_lose_nothing(store: TestStore) {
        let addresses: Vec<String> = (100..160).map(|number| format!("192.0.2.{number}")).collect();
        let mut tasks = JoinSet::new();
        for (node, is_backwards) in store.nodes(4).await.into_iter().zip([false, true, false, true]) {
            let mut sums: Vec<_> = addresses.iter().map(|address| sum(0, address, 1)).collect();
            if is_backwards {
                sums.reverse();
            }
            tasks.spawn(async move {
                for _ in 0..5 {
                    node.note_refused_calls(&sums).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        let sums = listed(&store, &ALL).await;
        assert_eq!(sums.len(), 60);
        assert!(sums.iter().all(|sum| sum.count == 20), "{sums:?}");
    }

    async fn sums_are_listed_by_address_time_and_page(store: TestStore) {
        let sums = [sum(0, "a", 1), sum(0, "b", 2), sum(1, "a", 3), sum(2, "b", 4)];
        store.note_refused_calls(&sums).await.unwrap();
        let of_a = RefusedFilter { address: Some("a".to_owned()), ..ALL };
        assert_eq!(listed(&store, &of_a).await, [sum(1, "a", 3), sum(0, "a", 1)]);
        let (since, until) = (Some(START.plus(MINUTE)), Some(START.plus(2 * MINUTE)));
        assert_eq!(listed(&store, &RefusedFilter { since, until, ..ALL }).await, [sum(1, "a", 3)]);
        let mut page = RefusedFilter { limit: 1, ..ALL };
        for expected in [sum(2, "b", 4), sum(1, "a", 3), sum(0, "b", 2), sum(0, "a", 1)] {
            let found = listed(&store, &page).await;
            assert_eq!(found, [expected]);
            page.after = Some(found[0].refused.clone());
        }
        assert_eq!(listed(&store, &page).await, []);
    }

    async fn old_sums_are_dropped_a_few_at_a_time(store: TestStore) {
        store.note_refused_calls(&[sum(0, "a", 1), sum(0, "b", 1), sum(1, "a", 1)]).await.unwrap();
        let before = START.plus(MINUTE);
        for dropped in [1, 1, 0] {
            assert_eq!(store.prune_refused_calls(before, 1).await.unwrap(), dropped);
        }
        assert_eq!(listed(&store, &ALL).await, [sum(1, "a", 1)]);
    }

    async fn a_text_of_any_form_is_kept_as_a_text(store: TestStore) {
        let odd = sum(0, r#"a"],["\ é"#, 1);
        store.note_refused_calls(std::slice::from_ref(&odd)).await.unwrap();
        assert_eq!(listed(&store, &ALL).await, [odd]);
    }
}
