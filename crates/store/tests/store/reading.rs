//! Opening for reading only: beside a running service, and without a trace.

use std::fs;

use hokusai_core::refused_calls::{Refused, RefusedSum};
use hokusai_store::{About, OpenError, StoreError};

use crate::facts::{Subject as _, alone, facts};
use crate::samples::{ALL_ENTRIES, START, writes};
use crate::stores::{Place, TestStore};

async fn refused(place: &Place) -> OpenError {
    place.open_to_read().await.map(|_| "a store").unwrap_err()
}

facts! {
    async fn a_store_is_read_while_another_process_writes(store: TestStore) {
        store.write(writes()).await;
        let reader = store.place.open_to_read().await.unwrap();
        assert_eq!(reader.list_audit(&ALL_ENTRIES).await.unwrap().len(), 1);
        store.write(writes()).await;
        assert_eq!(reader.list_audit(&ALL_ENTRIES).await.unwrap().len(), 2);
        assert_eq!(reader.audit_head().await.unwrap().number, 2);
        reader.close().await;
        store.write(writes()).await;
        assert_eq!(store.audit_head().await.unwrap().number, 3);
    }

    async fn what_would_write_is_refused(store: TestStore) {
        let reader = store.place.open_to_read().await.unwrap();
        let outcome = reader.change(About::Nothing, |_| (Some(writes()), ())).await;
        assert!(matches!(outcome, Err(StoreError::ReadOnly)), "{outcome:?}");
        let refused = Refused { minute: START, address: "a".to_owned(), code: "forbidden".to_owned() };
        let outcome = reader.note_refused_calls(&[RefusedSum { refused, count: 1 }]).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        assert_eq!(store.number("select count(*) from refused_calls").await, 0);
    }

    async fn a_newer_schema_is_not_read(store: TestStore) {
        store
            .execute(
                "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                    select 9999, 'to come', true, checksum, 0 from _sqlx_migrations where version = 1",
            )
            .await;
        let error = refused(&store.place).await;
        assert!(matches!(error, OpenError::NewerSchema { found: 9999, known: 7 }), "{error:?}");
    }

    async fn an_older_schema_is_not_read_and_left_alone(store: TestStore) {
        store.execute("delete from _sqlx_migrations where version = 7").await;
        let error = refused(&store.place).await;
        assert!(matches!(error, OpenError::OlderSchema { known: 7, .. }), "{error:?}");
        assert_eq!(store.number("select count(*) from _sqlx_migrations where version = 7").await, 0);
    }

    async fn a_schema_that_lacks_a_step_is_not_read(store: TestStore) {
        store.execute("delete from _sqlx_migrations where version = 4").await;
        let error = refused(&store.place).await;
        assert!(matches!(error, OpenError::OlderSchema { found: 7, known: 7 }), "{error:?}");
    }
}

/// The names in the folder of a file, and what is in each.
fn folder(place: &Place) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(place.file().parent().unwrap()).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort_unstable();
    files
}

alone! { on_sqlite:
    async fn reading_a_file_that_nobody_uses_leaves_no_trace(store: TestStore) {
        store.write(writes()).await;
        let place = store.shut().await;
        fs::remove_file(place.file().with_added_extension("lock")).unwrap();
        let before = folder(&place);
        let reader = place.open_to_read().await.unwrap();
        assert_eq!(reader.list_audit(&ALL_ENTRIES).await.unwrap().len(), 1);
        reader.close().await;
        assert!(folder(&place) == before, "the folder has changed");
    }

    async fn what_is_read_while_a_service_starts_is_not_believed(store: TestStore) {
        store.write(writes()).await;
        let place = store.shut().await;
        let reader = place.open_to_read().await.unwrap();
        let store = TestStore::begin(place).await;
        store.write(writes()).await;
        assert!(reader.list_audit(&ALL_ENTRIES).await.is_err());
        let place = store.shut().await;
        assert!(reader.list_audit(&ALL_ENTRIES).await.is_err());
        assert_eq!(place.open_to_read().await.unwrap().audit_head().await.unwrap().number, 2);
    }

    async fn a_missing_file_is_told_and_not_made(place: Place) {
        let error = refused(&place).await;
        assert!(matches!(&error, OpenError::Absent { path } if path == place.file()), "{error:?}");
        assert!(folder(&place).is_empty());
    }

    async fn an_empty_file_has_no_schema(place: Place) {
        fs::write(place.file(), "").unwrap();
        let error = refused(&place).await;
        assert!(matches!(error, OpenError::OlderSchema { found: 0, known: 7 }), "{error:?}");
    }

    async fn a_file_that_is_no_database_is_not_read(place: Place) {
        fs::write(place.file(), "something else entirely, and long enough to be looked at as a header").unwrap();
        assert!(matches!(refused(&place).await, OpenError::Store(_)));
    }

    async fn entries_of_a_wrong_type_can_be_read(store: TestStore) {
        store.write(writes()).await;
        store
            .execute("update audit set at = 'soon', user_id = x'61', seal = 5, detail = 7 where number = 1")
            .await;
        let stretch = hokusai_store::AuditStretch { since: None, until: None, after: i64::MIN, limit: 9 };
        let entry = store.read_audit(&stretch).await.unwrap().remove(0);
        assert_eq!(store.list_audit(&ALL_ENTRIES).await.unwrap(), std::slice::from_ref(&entry));
        assert_eq!((entry.entry.user_id.as_str(), entry.seal.as_slice()), ("a", &b"5"[..]));
    }

    async fn entries_that_share_a_number_are_not_parted(store: TestStore) {
        for _ in 0..3 {
            store.write(writes()).await;
        }
        store
            .execute(
                "create table copy as select * from audit;
                 insert into copy select * from audit where number = 2;
                 drop table audit; alter table copy rename to audit",
            )
            .await;
        let stretch = |after| hokusai_store::AuditStretch { since: None, until: None, after, limit: 2 };
        let read = store.read_audit(&stretch(0)).await.unwrap();
        assert_eq!(read.iter().map(|sealed| sealed.entry.number).collect::<Vec<_>>(), [1, 2, 2]);
    }
}

alone! { on_postgres:
    async fn a_reader_of_postgres_can_write_nothing(store: TestStore) {
        let reader = store.place.open_to_read().await.unwrap();
        let forgotten = reader.forget_holder(crate::samples::id(1)).await;
        assert!(matches!(forgotten, Err(StoreError::Unavailable(_))), "{forgotten:?}");
    }
}
