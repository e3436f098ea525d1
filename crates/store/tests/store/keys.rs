//! Keys: what is written is found and listed, and limits belong to the account.

use hokusai_core::address::parse_block;
use hokusai_core::key::Environment;
use hokusai_core::scope::Scope;
use hokusai_core::time::{HOUR, SECOND};
use hokusai_store::{About, Key, KeyFilter, NewKey};

use crate::acts::{Holder, edit_key};
use crate::facts::facts;
use crate::samples::{ALL_KEYS, START, digest, id, key, new_key, new_key_with, rights, successor};
use crate::stores::TestStore;

/// Every fact that a new key can have, of the kinds that are easily lost on the way.
fn full_key(number: u32) -> NewKey {
    new_key_with(number, |key| {
        let blocks = ["10.1.2.3/8", "192.0.2.7", "2001:db8::/32", "::1", "::ffff:198.51.100.0/120", "::/0"];
        let rights = rights(key);
        rights.user_id = "o'hara; drop table keys; --".into();
        rights.service_id = "prediction".into();
        rights.scopes = ["model:read", "mlflow:*", "*"].map(|text| Scope::parse(text).unwrap()).into();
        rights.environment = Environment::Development;
        rights.allowlist = blocks.map(|text| parse_block(text).unwrap()).into();
        rights.rate_limit_per_hour = 100_000;
        rights.monthly_prediction_limit = Some(i64::MAX);
        rights.billing_plan = "größter Plan".into();
        key.facts.account = id(900);
        key.facts.lifetime.expires_at = START.plus(1);
        key.name = "\u{1f511} \"'%_\\$1 ?".to_owned();
        key.metadata = r#"{"a":"\u0000 b","ö":""}"#.to_owned();
        key.rotated_from = Some(id(800));
    })
}

#[track_caller]
fn assert_same(read: &Key, written: &Key) {
    let told = |key: &Key| format!("{key:#?}");
    assert_eq!(told(read), told(written));
}

facts! {
    async fn a_key_is_found_by_its_digest_with_all_its_facts(store: TestStore) {
        let written = full_key(1);
        store.add(written.clone()).await;
        let found = store.find_key(&digest(1)).await.unwrap().unwrap();
        let (found, written) = (found.facts, written.key.facts);
        assert_eq!((found.id, found.account), (written.id, written.account));
        assert_eq!(found.lifetime, written.lifetime);
        assert_eq!(found.rights, written.rights);
    }

    async fn a_key_without_optional_facts_is_found_without_them(store: TestStore) {
        store.add(new_key(1)).await;
        let found = store.find_key(&digest(1)).await.unwrap().unwrap();
        assert_eq!(found.facts.lifetime, key(1).facts.lifetime);
        assert_eq!(found.facts.rights, key(1).facts.rights);
    }

    async fn an_unknown_digest_finds_nothing(store: TestStore) {
        store.add(new_key(1)).await;
        assert!(store.find_key(&digest(2)).await.unwrap().is_none());
    }

    async fn a_found_key_tells_where_the_feed_stood(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(new_key(2)).await;
        let found = store.find_key(&digest(1)).await.unwrap().unwrap();
        assert_eq!(found.read_at, store.read_feed(0).await.unwrap().head);
        assert_eq!(found.read_at.revision, 2);
    }

    async fn a_key_and_where_the_feed_stood_are_read_at_one_instant(store: TestStore) {
        store.add(new_key(1)).await;
        let nodes = store.nodes(2).await;
        let writer = tokio::spawn({
            let node = nodes[0].clone();
            async move {
                for _ in 0..60 {
                    edit_key(&node, 1, |key| rights(key).rate_limit_per_hour += 1).await;
                }
            }
        });
        while !writer.is_finished() {
            let found = nodes[1].find_key(&digest(1)).await.unwrap().unwrap();
            let limit = found.facts.rights.rate_limit_per_hour;
            assert_eq!(i64::from(limit), 99 + found.read_at.revision);
        }
        writer.await.unwrap();
        assert_eq!(store.head().await, 61);
    }

    async fn a_revoked_key_is_found_as_revoked_at_once(store: TestStore) {
        store.add(new_key(1)).await;
        store.clock().pass(7);
        store.revoke(1).await;
        let found = store.find_key(&digest(1)).await.unwrap().unwrap();
        assert_eq!(found.facts.lifetime.revoked_at, START.plus(7));
    }

    async fn a_key_is_listed_and_decided_over_as_it_was_written(store: TestStore) {
        let written = full_key(1);
        store.add(written.clone()).await;
        assert_same(&store.listed(1, 1).await.key, &written.key);
        assert_same(&store.key(1).await, &written.key);
    }

    async fn a_list_tells_the_time_of_the_store(store: TestStore) {
        store.add(new_key(1)).await;
        store.clock().pass(HOUR + 5);
        let listed = store.listed(1, 1).await;
        assert_eq!((listed.now, listed.hour), (START.plus(HOUR + 5), START.plus(HOUR).hour()));
    }

    async fn keys_are_listed_newest_first_and_in_pages(store: TestStore) {
        for number in [3, 1, 2] {
            store.add(new_key(number)).await;
        }
        assert_eq!(store.names(&ALL_KEYS).await, ["key 2", "key 1", "key 3"]);
        let page = KeyFilter { limit: 2, ..ALL_KEYS };
        let listed = store.list_keys(&page, id(1)).await.unwrap();
        assert_eq!(store.names(&page).await, ["key 2", "key 1"]);
        let next = KeyFilter { before: Some(listed[1].place), ..page };
        assert_eq!(store.names(&next).await, ["key 3"]);
        let last = store.list_keys(&next, id(1)).await.unwrap()[0].place;
        assert!(store.names(&KeyFilter { before: Some(last), ..ALL_KEYS }).await.is_empty());
    }

    async fn a_changed_key_keeps_its_place_in_lists(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(new_key(2)).await;
        store.edit(1, |_| ()).await;
        assert_eq!(store.names(&ALL_KEYS).await, ["key 2", "key 1"]);
    }

    async fn a_list_has_only_what_its_filters_let_through(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(new_key_with(2, |key| rights(key).user_id = "bob".into())).await;
        store.add(new_key_with(3, |key| rights(key).service_id = "prediction".into())).await;
        store.add(new_key_with(4, |key| rights(key).environment = Environment::Test)).await;
        let bob = KeyFilter { user_id: Some("bob".to_owned()), ..ALL_KEYS };
        let prediction = KeyFilter { service_id: Some("prediction".to_owned()), ..ALL_KEYS };
        let test = KeyFilter { environment: Some(Environment::Test), ..ALL_KEYS };
        let table = [
            (KeyFilter { key: Some(id(1)), ..ALL_KEYS }, vec!["key 1"]),
            (KeyFilter { key: Some(id(9)), ..ALL_KEYS }, vec![]),
            (bob.clone(), vec!["key 2"]),
            (KeyFilter { user_id: Some("Bob".to_owned()), ..ALL_KEYS }, vec![]),
            (prediction.clone(), vec!["key 3"]),
            (test.clone(), vec!["key 4"]),
            (KeyFilter { user_id: Some("ada".to_owned()), ..prediction }, vec!["key 3"]),
            (KeyFilter { key: Some(id(1)), ..bob }, vec![]),
            (KeyFilter { limit: 0, ..test }, vec![]),
        ];
        for (filter, names) in table {
            assert_eq!(store.names(&filter).await, names, "{filter:?}");
        }
    }

    async fn active_keys_are_those_neither_revoked_nor_expired_nor_past_their_grace(store: TestStore) {
        let active = KeyFilter { active_only: true, ..ALL_KEYS };
        for number in 1..=4 {
            store.add(new_key(number)).await;
        }
        store.edit(1, |key| key.facts.lifetime.expires_at = START.plus(10)).await;
        store.edit(2, |key| key.facts.lifetime.grace_until = START.plus(20)).await;
        store.revoke(3).await;
        for (now, names) in [
            (9, vec!["key 4", "key 2", "key 1"]),
            (10, vec!["key 4", "key 2"]),
            (19, vec!["key 4", "key 2"]),
            (20, vec!["key 4"]),
        ] {
            store.clock().set(START.plus(now));
            assert_eq!(store.names(&active).await, names, "{now} microseconds later");
        }
        assert_eq!(store.names(&ALL_KEYS).await.len(), 4);
    }

    async fn a_list_counts_what_this_holder_and_what_others_used(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(successor(2, 1)).await;
        store.add(new_key(3)).await;
        for (holder, used) in [(1, 3), (2, 10), (3, 20)] {
            let mut holder = Holder::new(holder, 1);
            holder.ask(&store, used + 5).await;
            holder.used = used;
            holder.ask(&store, 0).await;
        }
        for (key, holder, here, elsewhere) in
            [(1, 1, 3, 30), (1, 2, 10, 23), (2, 1, 3, 30), (1, 9, 0, 33), (3, 1, 0, 0)]
        {
            let listed = store.listed(key, holder).await;
            assert_eq!((listed.used_here, listed.used_elsewhere), (here, elsewhere), "{key} {holder}");
        }
        store.clock().pass(HOUR);
        let listed = store.listed(1, 1).await;
        assert_eq!((listed.used_here, listed.used_elsewhere), (0, 0), "a new hour");
    }

    async fn a_list_counts_in_the_hour_of_the_store_though_its_clock_goes_back(store: TestStore) {
        store.add(new_key(1)).await;
        let mut holder = Holder::new(1, 1);
        holder.spend(&store, 4).await;
        holder.ask(&store, 0).await;
        store.clock().pass(-SECOND);
        let listed = store.listed(1, 1).await;
        assert_eq!((listed.hour, listed.used_here), (START.hour(), 4));
    }

    async fn a_change_writes_everything_about_a_key_that_can_change(store: TestStore) {
        store.add(new_key(1)).await;
        let mut changed = full_key(1).key;
        (changed.facts.account, changed.rotated_from) = (id(1), None);
        changed.facts.lifetime.grace_until = START.plus(2);
        changed.facts.lifetime.revoked_at = START.plus(3);
        changed.rotated_to = Some(id(2));
        let new = rights(&mut changed);
        (new.user_id, new.service_id, new.environment) =
            ("ada".into(), "platform".into(), Environment::Production);
        store.edit(1, |key| *key = changed.clone()).await;
        assert_same(&store.key(1).await, &changed);
        store.edit(1, |written| *written = key(1)).await;
        assert_same(&store.key(1).await, &key(1));
    }

    async fn who_a_key_belongs_to_never_changes(store: TestStore) {
        store.add(new_key(1)).await;
        store
            .edit(1, |key| {
                rights(key).user_id = "eve".into();
                rights(key).service_id = "prediction".into();
                key.created_at = START.plus(1);
            })
            .await;
        assert_same(&store.key(1).await, &key(1));
    }

    async fn limits_belong_to_all_keys_of_an_account(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(successor(2, 1)).await;
        store.add(new_key(3)).await;
        store
            .edit(2, |key| {
                rights(key).rate_limit_per_hour = 777;
                rights(key).monthly_prediction_limit = Some(0);
            })
            .await;
        for (number, limit, monthly) in [(1, 777, Some(0)), (2, 777, Some(0)), (3, 100, None)] {
            let rights = store.find_key(&digest(number)).await.unwrap().unwrap().facts.rights;
            assert_eq!((rights.rate_limit_per_hour, rights.monthly_prediction_limit), (limit, monthly));
        }
    }

    async fn a_successor_takes_the_limits_that_its_account_has(store: TestStore) {
        store.add(new_key(1)).await;
        let mut new = successor(2, 1);
        rights(&mut new.key).rate_limit_per_hour = 5000;
        store.add(new).await;
        for number in [1, 2] {
            assert_eq!(store.key(number).await.facts.rights.rate_limit_per_hour, 100);
        }
    }

    async fn a_change_about_an_unknown_key_finds_none(store: TestStore) {
        store.add(new_key(1)).await;
        assert!(store.standing(About::Key(id(2))).await.key.is_none());
        assert!(store.standing(About::Nothing).await.key.is_none());
    }
}
