//! The PostgreSQL server: any number of nodes share it, and it may be set up as somebody else likes.

use hokusai_core::time::Timestamp;
use hokusai_store::{About, OpenError, Store, StoreOptions};
use tokio::task::JoinSet;

use crate::acts::Holder;
use crate::facts::{Subject as _, alone};
use crate::open::open_url;
use crate::samples::{ALL_KEYS, START, id, new_key, new_key_with, rights};
use crate::stores::{Place, TestStore};

alone! {
    on_postgres:

    async fn eight_nodes_open_a_new_database_at_once(place: Place) {
        let mut tasks = JoinSet::new();
        for number in 1..=8 {
            let options = StoreOptions { epoch: id(number), ..place.options() };
            tasks.spawn(async move { Store::open(&options).await.unwrap() });
        }
        let nodes = tasks.join_all().await;
        let first = nodes[0].read_feed(0).await.unwrap().head;
        for node in &nodes {
            assert_eq!(node.read_feed(0).await.unwrap().head, first, "all are of one epoch");
        }
    }

    async fn a_server_that_is_not_there_is_told_from_a_bad_url(place: Place) {
        for scheme in ["postgres", "postgresql"] {
            let refused = open_url(&place, &format!("{scheme}://postgres@127.0.0.1:9/postgres")).await;
            assert!(matches!(refused, Err(OpenError::Database(_))), "{refused:?}");
        }
    }

    async fn by_itself_a_server_goes_by_its_own_clock(place: Place) {
        place.clock.set(Timestamp(0));
        let options = StoreOptions { inject_now_into_postgres: false, ..place.options() };
        let store = Store::open(&options).await.unwrap();
        let now = store.change(About::Nothing, |standing| (None, standing.now)).await.unwrap();
        assert!(now > START, "{now:?}");
    }

    async fn a_change_of_one_node_is_seen_by_all_others_at_once(store: TestStore) {
        let nodes = store.nodes(3).await;
        for number in 1..=5 {
            store.add(new_key(number)).await;
            for node in &nodes {
                assert_eq!(node.list_keys(&ALL_KEYS, id(1)).await.unwrap().len(), number as usize);
            }
        }
    }

    async fn limits_hold_whatever_isolation_the_database_prefers(place: Place) {
        for level in ["repeatable read", "serializable"] {
            place.prefer_isolation(level).await;
            let store = TestStore::begin(place.clone()).await;
            let number = level.len() as u32;
            store.add(new_key_with(number, |key| rights(key).rate_limit_per_hour = 10)).await;
            let mut tasks = JoinSet::new();
            for (holder, node) in (1..).zip(store.nodes(4).await) {
                tasks.spawn(async move {
                    let mut holder = Holder::new(holder, number);
                    let mut spent = 0;
                    for _ in 0..10 {
                        spent += holder.spend(&node, 1).await;
                    }
                    spent
                });
            }
            assert_eq!(tasks.join_all().await.iter().sum::<u32>(), 10, "{level}");
        }
    }

    async fn models_are_ordered_by_the_bytes_of_their_names_whatever_language_the_server_speaks(store: TestStore) {
        let by_bytes = "select count(*) from pg_attribute where attcollation = '\"C\"'::regcollation
            and (attrelid = 'models'::regclass and attname = 'name'
                or attrelid = 'model_tags'::regclass and attname in ('key', 'value', 'model'))";
        assert_eq!(store.number(by_bytes).await, 4);
    }

    async fn a_store_goes_on_after_all_its_connections_were_cut(store: TestStore) {
        store.add(new_key(1)).await;
        let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()";
        assert!(store.number(cut).await > 0);
        store.add(new_key(2)).await;
        assert_eq!(store.names(&ALL_KEYS).await, ["key 2", "key 1"]);
        assert_eq!(store.head().await, 2);
    }
}
