//! Alerts: each kind from its threshold on, of keys that somebody may still do something about.

use hokusai_core::time::{HOUR, Timestamp};
use hokusai_store::{AlertFilter, AlertKind, HourOfKey, KeyCounts, NewKey};

use crate::facts::facts;
use crate::samples::{START, id, new_key, new_key_with, rights, successor};
use crate::stores::TestStore;

const FILTER: AlertFilter =
    AlertFilter { user_id: None, expire_within: 1000, refusals: 10, limit_hits: 20, limit: 100 };

fn expiring(number: u32, at: Timestamp) -> NewKey {
    new_key_with(number, |key| key.facts.lifetime.expires_at = at)
}

/// What was found, and of which key: the number at the end of its name.
async fn found(store: &TestStore, filter: &AlertFilter) -> Vec<(AlertKind, u32)> {
    let alerts = store.alerts(filter).await.unwrap();
    alerts.iter().map(|alert| (alert.kind, alert.name["key ".len()..].parse().unwrap())).collect()
}

async fn kinds(store: &TestStore) -> Vec<AlertKind> {
    found(store, &FILTER).await.into_iter().map(|(kind, _)| kind).collect()
}

/// Counts of one key in the hour so many hours before that of the start.
async fn count(store: &TestStore, key: u32, hours_ago: i64, counts: KeyCounts) {
    let at = START.plus(-hours_ago * HOUR);
    let of = HourOfKey { key: id(key), hour: at.hour(), last_used_at: None, counts };
    let holder = id(1000 + key * 10 + u32::try_from(hours_ago).unwrap());
    let seq = store.number("select coalesce(max(seq), 0) from validation_counters").await + 1;
    store.add_validations(holder, seq, &[of]).await.unwrap();
}

async fn used(store: &TestStore, key: u32, at: Timestamp) {
    let counts = KeyCounts { valid: 1, ..KeyCounts::default() };
    let of = HourOfKey { key: id(key), hour: at.hour(), last_used_at: Some(at), counts };
    let seq = store.number("select coalesce(max(seq), 0) from validation_counters").await + 1;
    store.add_validations(id(1), seq, &[of]).await.unwrap();
}

fn revoked(times: i64) -> KeyCounts {
    KeyCounts { revoked: times, ..KeyCounts::default() }
}

fn limited(times: i64) -> KeyCounts {
    KeyCounts { limited: times, ..KeyCounts::default() }
}

/// Key 1, rotated at the start: its successor is key 2, and it works until `grace_until`.
async fn rotate(store: &TestStore, grace_until: Timestamp) {
    store.add(new_key(1)).await;
    store.add(successor(2, 1)).await;
    store
        .edit(1, |key| {
            key.facts.lifetime.grace_until = grace_until;
            key.rotated_to = Some(id(2));
        })
        .await;
}

facts! {
    async fn a_key_that_expires_soon_alerts_until_it_has_expired(store: TestStore) {
        store.add(expiring(1, START.plus(2000))).await;
        store.add(new_key(2)).await;
        for (moment, alerts) in
            [(0, false), (999, false), (1000, true), (1999, true), (2000, false), (9000, false)]
        {
            store.clock().set(START.plus(moment));
            let expected: &[AlertKind] = if alerts { &[AlertKind::ExpiresSoon] } else { &[] };
            assert_eq!(kinds(&store).await, expected, "{moment}");
        }
        store.clock().set(START.plus(1500));
        let alert = store.alerts(&FILTER).await.unwrap().remove(0);
        assert_eq!((alert.key, &*alert.name, &*alert.user_id), (id(1), "key 1", "ada"));
        assert_eq!((alert.at, alert.count), (START.plus(2000), 0));
    }

    async fn a_key_that_was_revoked_or_rotated_does_not_alert_that_it_expires(store: TestStore) {
        for number in 1..=3 {
            store.add(expiring(number, START.plus(500))).await;
        }
        store.revoke(1).await;
        store.edit(2, |key| key.rotated_to = Some(id(3))).await;
        assert_eq!(found(&store, &FILTER).await, [(AlertKind::ExpiresSoon, 3)]);
    }

    async fn a_rotated_key_alerts_once_it_was_used_after_its_rotation(store: TestStore) {
        rotate(&store, START.plus(5000)).await;
        assert_eq!(kinds(&store).await, [], "it was never used");
        for (used_at, alerts) in [(-1, false), (0, false), (1, true)] {
            used(&store, 1, START.plus(used_at)).await;
            let expected: &[AlertKind] = if alerts { &[AlertKind::UsedInGrace] } else { &[] };
            assert_eq!(kinds(&store).await, expected, "{used_at}");
        }
        let alert = store.alerts(&FILTER).await.unwrap().remove(0);
        assert_eq!((alert.key, alert.at, alert.count), (id(1), START.plus(5000), 0));
        store.clock().set(START.plus(4999));
        assert_eq!(kinds(&store).await, [AlertKind::UsedInGrace]);
        store.clock().pass(1);
        assert_eq!(kinds(&store).await, [], "the grace is over");
    }

    async fn a_key_in_grace_that_was_used_by_its_successor_only_does_not_alert(store: TestStore) {
        rotate(&store, START.plus(5000)).await;
        used(&store, 2, START.plus(1)).await;
        used(&store, 1, START.plus(-HOUR)).await;
        assert_eq!(kinds(&store).await, []);
    }

    async fn a_key_in_grace_alerts_until_it_ends_by_whatever_is_first(store: TestStore) {
        rotate(&store, START.plus(5000)).await;
        used(&store, 1, START.plus(1)).await;
        store.edit(1, |key| key.facts.lifetime.expires_at = START.plus(300)).await;
        let alerts = store.alerts(&FILTER).await.unwrap();
        assert_eq!((alerts.len(), alerts[0].kind), (1, AlertKind::UsedInGrace));
        assert_eq!(alerts[0].at, START.plus(300));
        store.clock().set(START.plus(299));
        assert_eq!(kinds(&store).await, [AlertKind::UsedInGrace]);
        store.clock().pass(1);
        assert_eq!(kinds(&store).await, [], "it has expired");
        store.edit(1, |key| key.facts.lifetime.expires_at = START.plus(9000)).await;
        assert_eq!(store.alerts(&FILTER).await.unwrap()[0].at, START.plus(5000));
        store.revoke(1).await;
        assert_eq!(kinds(&store).await, [], "it is revoked");
    }

    async fn refusals_of_every_kind_alert_from_the_threshold_on(store: TestStore) {
        let of = KeyCounts { valid: 500, limited: 3, ..KeyCounts::default() };
        let refusals = [
            KeyCounts { expired: 5, ..of },
            KeyCounts { revoked: 1, ..of },
            KeyCounts { service_mismatch: 1, ..of },
            KeyCounts { insufficient_scope: 1, ..of },
            KeyCounts { ip_not_allowed: 1, ..of },
        ];
        store.add(new_key(1)).await;
        for counts in refusals {
            assert_eq!(kinds(&store).await, []);
            count(&store, 1, 0, counts).await;
        }
        assert_eq!(kinds(&store).await, [], "nine are not ten");
        count(&store, 1, 0, KeyCounts { ip_not_allowed: 1, ..KeyCounts::default() }).await;
        let alert = store.alerts(&FILTER).await.unwrap();
        assert_eq!((alert.len(), alert[0].kind), (1, AlertKind::ManyRefusals));
        assert_eq!((alert[0].key, alert[0].at, alert[0].count), (id(1), START, 10));
    }

    async fn limit_hits_alert_from_the_threshold_on(store: TestStore) {
        store.add(new_key(1)).await;
        count(&store, 1, 0, KeyCounts { limited: 19, valid: 100, revoked: 9, ..KeyCounts::default() }).await;
        assert_eq!(kinds(&store).await, []);
        count(&store, 1, 0, limited(1)).await;
        let alert = store.alerts(&FILTER).await.unwrap();
        assert_eq!((alert.len(), alert[0].kind), (1, AlertKind::ManyLimitHits));
        assert_eq!((alert[0].key, alert[0].at, alert[0].count), (id(1), START, 20));
    }

    async fn the_worse_of_this_hour_and_the_one_before_is_told_and_no_earlier_one(store: TestStore) {
        for number in 1..=4 {
            store.add(new_key(number)).await;
        }
        for (key, hours_ago, times) in
            [(1, 0, 11), (1, 1, 12), (2, 0, 13), (2, 1, 13), (3, 1, 9), (3, 0, 9), (4, 2, 99), (4, 0, 10)]
        {
            count(&store, key, hours_ago, revoked(times)).await;
            count(&store, key, hours_ago, limited(2 * times)).await;
        }
        store.clock().pass(HOUR - 1);
        for kind in [AlertKind::ManyRefusals, AlertKind::ManyLimitHits] {
            let alerts = store.alerts(&FILTER).await.unwrap();
            let times = if kind == AlertKind::ManyRefusals { 1 } else { 2 };
            let told: Vec<_> = alerts
                .iter()
                .filter(|alert| alert.kind == kind)
                .map(|alert| (alert.key, alert.at, alert.count / times))
                .collect();
            let whole = [(id(2), START, 13), (id(1), START.plus(-HOUR), 12), (id(4), START, 10)];
            assert_eq!(told, whole, "{kind:?}");
        }
        store.clock().pass(HOUR + 1);
        assert_eq!(kinds(&store).await, [], "the hours are over");
    }

    async fn a_key_that_is_revoked_alerts_where_it_is_still_tried(store: TestStore) {
        store.add(new_key(1)).await;
        store.revoke(1).await;
        count(&store, 1, 0, revoked(10)).await;
        assert_eq!(kinds(&store).await, [AlertKind::ManyRefusals]);
    }

    async fn counts_of_a_key_that_there_is_none_of_do_not_alert(store: TestStore) {
        count(&store, 1, 0, revoked(10)).await;
        assert_eq!(kinds(&store).await, []);
    }

    async fn alerts_are_found_by_user_and_the_most_urgent_of_each_kind_first(store: TestStore) {
        for number in 1..=6 {
            let mut new = expiring(number, START.plus(1000 - i64::from(number)));
            rights(&mut new.key).user_id = if number % 2 == 0 { "ada" } else { "bob" }.into();
            store.add(new).await;
            count(&store, number, 0, revoked(10 + i64::from(number % 3))).await;
        }
        use AlertKind::{ExpiresSoon, ManyRefusals};
        let whole = [6, 5, 4, 3, 2, 1].map(|number| (ExpiresSoon, number));
        let refused = [2, 5, 1, 4, 3, 6].map(|number| (ManyRefusals, number));
        assert_eq!(found(&store, &FILTER).await, [whole, refused].concat());
        let ada = AlertFilter { user_id: Some("ada".into()), limit: 2, ..FILTER };
        let of_ada = [(ExpiresSoon, 6), (ExpiresSoon, 4), (ManyRefusals, 2), (ManyRefusals, 4)];
        assert_eq!(found(&store, &ada).await, of_ada);
        assert_eq!(found(&store, &AlertFilter { user_id: Some("eve".into()), ..FILTER }).await, []);
        assert_eq!(found(&store, &AlertFilter { limit: 0, ..FILTER }).await, []);
    }
}
