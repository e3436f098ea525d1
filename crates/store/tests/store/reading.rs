//! Opening for reading only: beside a running service, and without a trace.

use std::fs;

use hokusai_core::audit::{Form, SealedEntry};
use hokusai_core::refused_calls::{Refused, RefusedSum};
use hokusai_store::{About, AuditStretch, OpenError, StoreError};

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
        assert_eq!(reader.audit_head().await.unwrap().unwrap().number, 2);
        reader.close().await;
        store.write(writes()).await;
        assert_eq!(store.audit_head().await.unwrap().unwrap().number, 3);
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
        assert!(matches!(error, OpenError::NewerSchema { found: 9999, known: 10 }), "{error:?}");
    }

    async fn an_older_schema_is_not_read_and_left_alone(store: TestStore) {
        store.execute("delete from _sqlx_migrations where version = 10").await;
        let error = refused(&store.place).await;
        assert!(matches!(error, OpenError::OlderSchema { known: 10, .. }), "{error:?}");
        assert_eq!(store.number("select count(*) from _sqlx_migrations where version = 10").await, 0);
    }

    async fn a_schema_that_lacks_a_step_is_not_read(store: TestStore) {
        store.execute("delete from _sqlx_migrations where version = 4").await;
        let error = refused(&store.place).await;
        assert!(matches!(error, OpenError::OlderSchema { found: 10, known: 10 }), "{error:?}");
    }
}

fn everything() -> AuditStretch {
    AuditStretch { since: None, until: None, from: i64::MIN, limit: 1000 }
}

async fn whole_log(store: &TestStore) -> Vec<SealedEntry> {
    store.read_audit(&everything()).await.unwrap()
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
        assert_eq!(place.open_to_read().await.unwrap().audit_head().await.unwrap().unwrap().number, 2);
    }

    async fn a_missing_file_is_told_and_not_made(place: Place) {
        let error = refused(&place).await;
        assert!(matches!(&error, OpenError::Absent { path } if path == place.file()), "{error:?}");
        assert!(folder(&place).is_empty());
    }

    async fn an_empty_file_has_no_schema(place: Place) {
        fs::write(place.file(), "").unwrap();
        let error = refused(&place).await;
        assert!(matches!(error, OpenError::OlderSchema { found: 0, known: 10 }), "{error:?}");
    }

    async fn a_file_that_is_no_database_is_not_read(place: Place) {
        fs::write(place.file(), "something else entirely, and long enough to be looked at as a header").unwrap();
        assert!(matches!(refused(&place).await, OpenError::Store(_)));
    }

    async fn entries_of_a_wrong_type_can_be_read_and_are_no_longer_whole(store: TestStore) {
        store.write(writes()).await;
        let written = whole_log(&store).await.remove(0);
        assert_eq!(written.form, Form::Whole);
        for (change, restore) in [
            ("update audit set at = at || 'x'", "update audit set at = cast(at as integer)"),
            ("update audit set user_id = cast(user_id as blob)", "update audit set user_id = cast(user_id as text)"),
            ("update audit set token_id = cast(token_id as blob)", "update audit set token_id = cast(token_id as text)"),
            ("update audit set action = cast(action as blob)", "update audit set action = cast(action as text)"),
            ("update audit set target = cast(target as blob)", "update audit set target = cast(target as text)"),
            ("update audit set address = cast(address as blob)", "update audit set address = cast(address as text)"),
            ("update audit set request_id = cast(request_id as blob)", "update audit set request_id = cast(request_id as text)"),
            ("update audit set detail = cast(detail as blob)", "update audit set detail = cast(detail as text)"),
            ("update audit set seal = cast(seal as text)", "update audit set seal = cast(seal as blob)"),
        ] {
            store.execute(change).await;
            let changed = SealedEntry { form: Form::Damaged, ..written.clone() };
            assert_eq!(whole_log(&store).await, std::slice::from_ref(&changed), "{change}");
            assert_eq!(store.list_audit(&ALL_ENTRIES).await.unwrap(), [changed], "{change}");
            store.execute(restore).await;
            assert_eq!(whole_log(&store).await, std::slice::from_ref(&written), "{restore}");
        }
    }

    async fn texts_that_are_none_can_be_read(store: TestStore) {
        store.write(writes()).await;
        store.execute("update audit set at = 'soon', detail = cast(x'61ff' as text), seal = 5").await;
        let found = whole_log(&store).await.remove(0);
        assert_eq!(found.form, Form::Damaged);
        assert_eq!((found.entry.at.0, found.entry.detail.as_str()), (0, "a\u{fffd}"));
        assert_eq!(found.seal, b"5");
    }

    async fn entries_without_a_number_stand_where_the_column_has_them(store: TestStore) {
        for _ in 0..5 {
            store.write(writes()).await;
        }
        store
            .execute(
                "update audit set number = 2.5 where number = 2; update audit set number = 'x' where number = 3;
                 update audit set number = x'00' where number = 4",
            )
            .await;
        let forms = |entries: Vec<SealedEntry>| -> Vec<(i64, Form)> {
            entries.iter().map(|sealed| (sealed.entry.number, sealed.form)).collect()
        };
        let expected =
            [(1, Form::Whole), (2, Form::Unnumbered), (5, Form::Whole), (0, Form::Unnumbered), (0, Form::Unnumbered)];
        let read = whole_log(&store).await;
        let rest = everything().behind(&read[2]).unwrap();
        assert_eq!(everything().behind(&read[1]).map(|rest| rest.from), None);
        assert_eq!(forms(read), expected);
        assert_eq!(forms(store.read_audit(&rest).await.unwrap()), expected[3..]);
        let head = store.audit_head().await.unwrap().unwrap();
        assert_eq!((head.highest, head.has_unnumbered), (5, true));
    }

    async fn a_record_of_the_end_that_can_t_be_read_is_none(store: TestStore) {
        store.write(writes()).await;
        assert!(!store.audit_head().await.unwrap().unwrap().has_unnumbered);
        for tampering in
            ["update authority set audit_number = 'x'", "update authority set audit_number = 0.5", "delete from authority"]
        {
            store.execute(tampering).await;
            assert_eq!(store.audit_head().await.unwrap(), None, "{tampering}");
        }
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
        let read = store.read_audit(&AuditStretch { limit: 2, ..everything() }).await.unwrap();
        assert_eq!(read.iter().map(|sealed| sealed.entry.number).collect::<Vec<_>>(), [1, 2, 2]);
    }
}

alone! { on_postgres:
    async fn a_record_of_the_end_that_was_deleted_is_none(store: TestStore) {
        store.execute("delete from authority").await;
        assert_eq!(store.audit_head().await.unwrap(), None);
    }

    async fn a_reader_of_postgres_can_write_nothing(store: TestStore) {
        let reader = store.place.open_to_read().await.unwrap();
        let forgotten = reader.forget_holder(crate::samples::id(1)).await;
        assert!(matches!(forgotten, Err(StoreError::Unavailable(_))), "{forgotten:?}");
    }
}
