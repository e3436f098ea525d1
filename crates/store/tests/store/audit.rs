//! The audit log: one sealed entry for each change, in a chain that has no fork.

use hokusai_core::audit::{Entry, FIRST, Seal, SealedEntry, Walker};
use hokusai_store::{About, AuditFilter, AuditStretch, Note, Writes};
use tokio::task::JoinSet;

use crate::facts::facts;
use crate::samples::{ALL_ENTRIES, START, new_key, note, writes};
use crate::stores::{TestStore, audit_key};

/// Recomputes the chain from what was written, and gives its length and last seal.
async fn verify(store: &TestStore) -> (i64, Seal) {
    let key = audit_key("the key of the facts");
    let (mut number, mut seal) = (0, FIRST);
    for (entry, written) in store.place.connect().await.audit_log().await {
        number += 1;
        assert_eq!(entry.number, number);
        seal = key.seal(&seal, &entry);
        assert_eq!(seal, written, "the seal of entry {number}");
    }
    (number, seal)
}

fn numbers(entries: &[SealedEntry]) -> Vec<i64> {
    entries.iter().map(|sealed| sealed.entry.number).collect()
}

async fn listed(store: &TestStore, filter: AuditFilter) -> Vec<i64> {
    numbers(&store.list_audit(&filter).await.unwrap())
}

async fn read(store: &TestStore, from: i64, limit: i64) -> Vec<i64> {
    let stretch = AuditStretch { since: None, until: None, from, limit };
    numbers(&store.read_audit(&stretch).await.unwrap())
}

/// Three entries, a microsecond apart, that differ in everything that can be asked for.
async fn three_entries(store: &TestStore) {
    for (number, action) in [(1, "key.create"), (2, "key.revoke"), (3, "key.rotate")] {
        let note = Note {
            user_id: format!("user {number}"),
            address: format!("192.0.2.{number}"),
            action,
            ..note(&format!("target {number}"))
        };
        store.write(Writes { note, ..writes() }).await;
        store.clock().pass(1);
    }
}

facts! {
    async fn entries_are_listed_newest_first_and_in_pages(store: TestStore) {
        three_entries(&store).await;
        assert_eq!(listed(&store, ALL_ENTRIES).await, [3, 2, 1]);
        assert_eq!(listed(&store, AuditFilter { limit: 2, ..ALL_ENTRIES }).await, [3, 2]);
        assert_eq!(listed(&store, AuditFilter { before: Some(2), ..ALL_ENTRIES }).await, [1]);
        let entries = store.list_audit(&ALL_ENTRIES).await.unwrap();
        let mut written = store.place.connect().await.audit_log().await;
        written.reverse();
        let shown: Vec<(Entry, Vec<u8>)> =
            entries.into_iter().map(|sealed| (sealed.entry, sealed.seal)).collect();
        let written: Vec<(Entry, Vec<u8>)> =
            written.into_iter().map(|(entry, seal)| (entry, seal.to_vec())).collect();
        assert_eq!(shown, written);
    }

    async fn entries_are_listed_by_what_they_are_about(store: TestStore) {
        three_entries(&store).await;
        let some = |text: &str| Some(text.to_owned());
        for (filter, expected) in [
            (AuditFilter { target: some("target 2"), ..ALL_ENTRIES }, vec![2]),
            (AuditFilter { user_id: some("user 2"), ..ALL_ENTRIES }, vec![2]),
            (AuditFilter { address: some("192.0.2.2"), ..ALL_ENTRIES }, vec![2]),
            (AuditFilter { action: some("key.revoke"), ..ALL_ENTRIES }, vec![2]),
            (AuditFilter { action: some("key"), ..ALL_ENTRIES }, vec![]),
            (AuditFilter { target: some("target 2"), user_id: some("user 1"), ..ALL_ENTRIES }, vec![]),
            (AuditFilter { user_id: some("user 2"), action: some("key.create"), ..ALL_ENTRIES }, vec![]),
            (AuditFilter { address: some("192.0.2.2"), before: Some(2), ..ALL_ENTRIES }, vec![]),
            (AuditFilter { since: Some(START.plus(1)), ..ALL_ENTRIES }, vec![3, 2]),
            (AuditFilter { until: Some(START.plus(1)), ..ALL_ENTRIES }, vec![1]),
            (AuditFilter { target: some("target 1"), since: Some(START.plus(1)), ..ALL_ENTRIES }, vec![]),
        ] {
            let shown = format!("{filter:?}");
            assert_eq!(listed(&store, filter).await, expected, "{shown}");
        }
    }

    async fn a_stretch_is_read_oldest_first_and_in_pieces(store: TestStore) {
        three_entries(&store).await;
        assert_eq!(read(&store, 0, 2).await, [1, 2]);
        assert_eq!(read(&store, 3, 2).await, [3]);
        assert_eq!(read(&store, i64::MIN, 3).await, [1, 2, 3]);
        let (since, until) = (Some(START.plus(1)), Some(START.plus(2)));
        let stretch = AuditStretch { since, until, from: 0, limit: 9 };
        assert_eq!(numbers(&store.read_audit(&stretch).await.unwrap()), [2]);
    }

    async fn no_number_is_too_low_or_too_high_to_be_read(store: TestStore) {
        three_entries(&store).await;
        store
            .execute(
                "update audit set number = -9223372036854775807 - 1 where number = 1;
                 update audit set number = 9223372036854775807 where number = 3",
            )
            .await;
        let (mut stretch, mut found) = (AuditStretch { since: None, until: None, from: i64::MIN, limit: 1 }, vec![]);
        while let Some(last) = store.read_audit(&stretch).await.unwrap().pop() {
            found.push(last.entry.number);
            let Some(rest) = stretch.behind(&last) else { break };
            stretch = rest;
        }
        assert_eq!(found, [i64::MIN, 2, i64::MAX]);
        found.reverse();
        assert_eq!(listed(&store, ALL_ENTRIES).await, found);
    }

    async fn the_head_is_that_of_the_last_change(store: TestStore) {
        let empty = store.audit_head().await.unwrap().unwrap();
        assert_eq!((empty.number, empty.highest, &empty.seal[..]), (0, 0, &FIRST[..]));
        three_entries(&store).await;
        let (number, seal) = verify(&store).await;
        let head = store.audit_head().await.unwrap().unwrap();
        assert_eq!((head.number, head.highest, &head.seal[..]), (number, 3, &seal[..]));
        assert_eq!(head.fingerprint, audit_key("the key of the facts").fingerprint());
        store.execute("update authority set audit_number = 1").await;
        let head = store.audit_head().await.unwrap().unwrap();
        assert_eq!((head.number, head.highest), (1, 3));
    }

    async fn what_is_read_can_be_verified(store: TestStore) {
        three_entries(&store).await;
        let head = store.audit_head().await.unwrap();
        let mut walker = Walker::new(audit_key("the key of the facts"), head, Vec::new());
        let stretch = AuditStretch { since: None, until: None, from: i64::MIN, limit: 1000 };
        for sealed in store.read_audit(&stretch).await.unwrap() {
            assert!(walker.feed(sealed).is_continue());
        }
        assert_eq!(walker.reached().number, 3);
        assert_eq!(walker.finish(), None);
    }

    async fn a_change_is_logged_as_it_was_noted(store: TestStore) {
        let note = Note {
            action: "key.rotate",
            user_id: "o'hara".to_owned(),
            token_id: String::new(),
            detail: r#"{"größe":"\u0000 \n"}"#.to_owned(),
            ..note("a key")
        };
        store.clock().pass(3);
        store.write(Writes { note: note.clone(), ..writes() }).await;
        let (entry, _) = store.place.connect().await.audit_log().await.remove(0);
        assert_eq!((entry.number, entry.at), (1, START.plus(3)));
        assert_eq!((entry.user_id, entry.token_id), (note.user_id, note.token_id));
        assert_eq!((entry.action.as_str(), entry.target), (note.action, note.target));
        assert_eq!((entry.address, entry.request_id), (note.address, note.request_id));
        assert_eq!(entry.detail, note.detail);
    }

    async fn each_change_has_one_entry_however_much_it_writes(store: TestStore) {
        store.write(writes()).await;
        store.write(Writes { new_keys: vec![new_key(1), new_key(2)], ..writes() }).await;
        store.edit(1, |_| ()).await;
        store.revoke(2).await;
        assert_eq!(verify(&store).await.0, 4);
    }

    async fn a_change_that_writes_only_its_note_takes_no_revision(store: TestStore) {
        store.write(writes()).await;
        assert_eq!(store.head().await, 0);
        assert_eq!(verify(&store).await.0, 1);
    }

    async fn the_chain_has_no_fork_though_changes_are_made_at_once(store: TestStore) {
        let mut tasks = JoinSet::new();
        for node in store.nodes(4).await {
            for number in 0..10 {
                let node = node.clone();
                let writes = Writes { note: note(&format!("{number}")), ..writes() };
                tasks.spawn(async move {
                    node.change(About::Nothing, |_| (Some(writes), ())).await.unwrap();
                });
            }
        }
        tasks.join_all().await;
        assert_eq!(verify(&store).await.0, 40);
    }

    async fn the_chain_goes_on_where_it_ended_when_the_store_is_opened_again(store: TestStore) {
        store.write(writes()).await;
        let store = store.reopen().await;
        store.write(writes()).await;
        assert_eq!(verify(&store).await.0, 2);
    }

    async fn a_cut_tail_is_seen_by_the_next_entry(store: TestStore) {
        for _ in 0..3 {
            store.write(writes()).await;
        }
        store.execute("delete from audit where number = 3").await;
        store.write(writes()).await;
        let numbers: Vec<_> =
            store.place.connect().await.audit_log().await.iter().map(|(entry, _)| entry.number).collect();
        assert_eq!(numbers, [1, 2, 4]);
    }
}
