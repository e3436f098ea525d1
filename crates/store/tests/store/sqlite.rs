//! The SQLite file: private, used by one process, and not lost unnoticed.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hokusai_core::billing::Plans;
use hokusai_core::id::KeyId;
use hokusai_store::{About, OpenError, Store, StoreError, StoreOptions};

use crate::acts::Holder;
use crate::facts::alone;
use crate::samples::{ALL_KEYS, ALL_TOKENS, START, digest, id, month, new_key, writes};
use crate::stores::{Place, TestStore};

fn beside(place: &Place, suffix: &str) -> PathBuf {
    let mut path = place.file().as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn is_unavailable<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Unavailable(_)))
}

async fn assert_all_unavailable(store: &TestStore) {
    let answers = [
        ("ping", is_unavailable(&store.ping().await)),
        ("find_key", is_unavailable(&store.find_key(&digest(1)).await)),
        ("list_keys", is_unavailable(&store.list_keys(&ALL_KEYS, id(1)).await)),
        ("add_validations", is_unavailable(&store.add_validations(id(1), 1, &[]).await)),
        ("record_usage", is_unavailable(&store.record_usage(&[], &Plans::default(), 35).await)),
        ("drop_usage_records", is_unavailable(&store.drop_usage_records(START, 9).await)),
        ("find_living_token", is_unavailable(&store.find_living_token(&digest(1)).await)),
        ("list_tokens", is_unavailable(&store.list_tokens(&ALL_TOKENS).await)),
        ("change", is_unavailable(&store.change(About::Nothing, |_| (Some(writes()), ())).await)),
        ("allot", is_unavailable(&store.allot(id(1), &[Holder::new(1, 1).message(1)]).await)),
        ("prune_allotments", is_unavailable(&store.prune_allotments(START.hour(), 9).await)),
        ("read_feed", is_unavailable(&store.read_feed(0).await)),
        ("prune_feed", is_unavailable(&store.prune_feed(0, 9).await)),
        ("register_holder", is_unavailable(&store.register_holder(id(1), "node", 0).await)),
        ("forget_holder", is_unavailable(&store.forget_holder(id(1)).await)),
        ("reconcile_usage", is_unavailable(&store.reconcile_usage(month("2025-11")).await)),
        ("enter_verifier", is_unavailable(&store.enter_verifier(id(1), id(1), 0, Duration::ZERO).await)),
        ("renew_verifier", is_unavailable(&store.renew_verifier(id(1), id(1)).await)),
        ("pending_holders", is_unavailable(&store.pending_holders(1, id(1)).await)),
        ("seen_holders", is_unavailable(&store.seen_holders().await)),
        ("checkpoint", is_unavailable(&store.checkpoint().await)),
    ];
    for (operation, unavailable) in answers {
        assert!(unavailable, "{operation} did not notice");
    }
}

alone! {
    on_sqlite:

    async fn a_file_is_used_by_one_store_at_a_time(store: TestStore) {
        let second = Store::open(&store.place.options()).await;
        assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
        store.add(new_key(1)).await;
        let store = store.reopen().await;
        assert_eq!(store.head().await, 1);
    }

    async fn a_file_is_in_use_under_every_name_that_it_has(store: TestStore) {
        let folder = store.place.file().parent().unwrap();
        let other = tempfile::tempdir().unwrap();
        symlink(folder, other.path().join("folder")).unwrap();
        symlink(store.place.file(), other.path().join("file.db")).unwrap();
        for name in ["folder/hokusai.db", "file.db", "folder/./hokusai.db"] {
            let url = format!("sqlite:{}", other.path().join(name).display());
            let second = Store::open(&StoreOptions { url, ..store.place.options() }).await;
            assert!(matches!(second, Err(OpenError::InUse { .. })), "{name}: {second:?}");
        }
    }

    async fn a_store_that_could_not_be_opened_does_not_keep_the_file(place: Place) {
        fs::write(place.file(), "This is not a database, but it is long enough to be taken for one.")
            .unwrap();
        for _ in 0..2 {
            let refused = Store::open(&place.options()).await;
            assert!(matches!(refused, Err(OpenError::Database(_))), "{refused:?}");
        }
        fs::remove_file(place.file()).unwrap();
        Store::open(&place.options()).await.unwrap();
    }

    async fn the_file_and_all_beside_it_are_its_owners_alone(store: TestStore) {
        store.add(new_key(1)).await;
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let file = beside(&store.place, suffix);
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    async fn a_folder_that_is_not_there_is_named(place: Place) {
        let file = place.file().parent().unwrap().join("missing").join("hokusai.db");
        let options = StoreOptions { url: format!("sqlite:{}", file.display()), ..place.options() };
        let refused = Store::open(&options).await.unwrap_err();
        assert!(
            matches!(&refused, OpenError::Unusable { path, .. } if path.starts_with(file.parent().unwrap()))
        );
        assert!(refused.to_string().contains("missing"));
    }

    async fn a_folder_is_no_database(place: Place) {
        fs::create_dir(place.file()).unwrap();
        let refused = Store::open(&place.options()).await;
        assert!(matches!(refused, Err(OpenError::Unusable { .. })), "{refused:?}");
    }

    async fn what_is_written_goes_into_a_log_first(store: TestStore) {
        store.add(new_key(1)).await;
        let header = fs::read(store.place.file()).unwrap();
        assert_eq!(header[18..20], [2, 2], "the file format that has a log");
    }

    async fn a_checkpoint_moves_what_was_written_into_the_file(store: TestStore) {
        store.add(new_key(1)).await;
        let key = id::<KeyId>(1).to_string();
        let sees_key = |store: &TestStore| {
            let file = fs::read(store.place.file()).unwrap();
            file.windows(key.len()).any(|text| text == key.as_bytes())
        };
        assert!(!sees_key(&store));
        store.checkpoint().await.unwrap();
        assert!(sees_key(&store));
    }

    async fn nobody_waits_for_a_long_log_that_somebody_reads(store: TestStore) {
        let mut reader = store.place.connect().await;
        reader.execute("begin").await;
        reader.number("select count(*) from keys").await;
        store.execute("create table filler (b blob); insert into filler values (zeroblob(80000000))").await;
        assert!(fs::metadata(beside(&store.place, "-wal")).unwrap().size() > 80_000_000);
        for number in 1..=3 {
            // Writers wait as long as this takes.
            let moved = tokio::time::timeout(Duration::from_millis(1500), store.checkpoint()).await;
            assert!(moved.is_ok_and(|moved| moved.is_ok()));
            store.add(new_key(number)).await;
        }
    }

    async fn a_closed_store_leaves_no_log(store: TestStore) {
        store.add(new_key(1)).await;
        let place = store.shut().await;
        assert_eq!(fs::metadata(beside(&place, "-wal")).map_or(0, |log| log.size()), 0);
    }

    async fn what_was_written_is_there_after_a_store_that_never_ended(store: TestStore) {
        store.add(new_key(1)).await;
        let elsewhere = tempfile::tempdir().unwrap();
        for suffix in ["", "-wal"] {
            fs::copy(beside(&store.place, suffix), elsewhere.path().join(format!("hokusai.db{suffix}")))
                .unwrap();
        }
        let survivor = Store::open(&Place::in_folder(elsewhere.path()).options()).await.unwrap();
        assert!(survivor.find_key(&digest(1)).await.unwrap().is_some());
    }

    async fn a_store_notices_that_its_file_is_gone_and_that_it_is_back(store: TestStore) {
        store.add(new_key(1)).await;
        let aside = beside(&store.place, ".aside");
        fs::rename(store.place.file(), &aside).unwrap();
        assert_all_unavailable(&store).await;
        fs::rename(&aside, store.place.file()).unwrap();
        store.ping().await.unwrap();
        store.add(new_key(2)).await;
        assert_eq!(store.names(&ALL_KEYS).await, ["key 2", "key 1"]);
    }

    async fn a_store_notices_that_its_file_was_replaced(store: TestStore) {
        let other = tempfile::tempdir().unwrap();
        let replacement = Place::in_folder(other.path());
        Store::open(&replacement.options()).await.unwrap().close().await;
        let aside = beside(&store.place, ".aside");
        fs::rename(store.place.file(), &aside).unwrap();
        fs::rename(replacement.file(), store.place.file()).unwrap();
        assert_all_unavailable(&store).await;
        fs::rename(&aside, store.place.file()).unwrap();
        store.add(new_key(1)).await;
        for _ in 0..20 {
            assert!(store.find_key(&digest(1)).await.unwrap().is_some(), "no reader has the other file");
        }
        store.checkpoint().await.unwrap();
    }
}
