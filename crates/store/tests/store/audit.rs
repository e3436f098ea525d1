//! The audit log: one sealed entry for each change, in a chain that has no fork.

use hokusai_core::audit::{FIRST, Seal};
use hokusai_store::{About, Note, Writes};
use tokio::task::JoinSet;

use crate::facts::facts;
use crate::samples::{START, new_key, note, writes};
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

facts! {
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
