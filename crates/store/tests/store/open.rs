//! Opening: what is kept over a restart, and what is refused.

use hokusai_store::{OpenError, Store, StoreOptions};

use crate::acts::Holder;
use crate::facts::{Subject as _, facts};
use crate::samples::{ALL_KEYS, START, digest, id, new_key};
use crate::stores::{Place, TestStore, audit_key};

pub(crate) async fn open_url(place: &Place, url: &str) -> Result<Store, OpenError> {
    Store::open(&StoreOptions { url: url.to_owned(), ..place.options() }).await
}

facts! {
    async fn everything_is_there_when_a_store_is_opened_again(store: TestStore) {
        store.add(new_key(1)).await;
        store.revoke(1).await;
        store.add(new_key(2)).await;
        let mut holder = Holder::new(1, 2);
        holder.ask(&store, 60).await;
        let store = store.reopen().await;
        assert_eq!(store.names(&ALL_KEYS).await, ["key 2", "key 1"]);
        let revoked = store.find_key(&digest(1)).await.unwrap().unwrap().facts.lifetime.revoked_at;
        assert_eq!(revoked, START);
        assert_eq!(store.head().await, 3);
        assert_eq!(Holder::new(2, 2).ask(&store, 60).await.allotted, 40);
        assert_eq!(holder.ask(&store, 0).await.allotted, 0);
    }

    async fn a_store_keeps_the_epoch_that_it_began_with(store: TestStore) {
        store.add(new_key(1)).await;
        let place = store.shut().await;
        let later = StoreOptions { epoch: id(2), ..place.options() };
        let store = Store::open(&later).await.unwrap();
        assert_eq!(store.read_feed(0).await.unwrap().head.epoch, id(1));
    }

    async fn a_wrong_audit_key_is_refused_and_the_right_one_is_not(store: TestStore) {
        store.add(new_key(1)).await;
        let place = store.shut().await;
        let wrong = StoreOptions { audit_key: audit_key("another key"), ..place.options() };
        for _ in 0..2 {
            let refused = Store::open(&wrong).await;
            assert!(matches!(refused, Err(OpenError::AuditKey)), "{refused:?}");
        }
        let store = TestStore::begin(place).await;
        assert_eq!(store.head().await, 1);
    }

    async fn a_newer_schema_is_refused_and_left_alone(store: TestStore) {
        store
            .execute(
                "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                    select 9999, 'to come', true, checksum, 0 from _sqlx_migrations where version = 1",
            )
            .await;
        let place = store.shut().await;
        let refused = Store::open(&place.options()).await;
        assert!(matches!(refused, Err(OpenError::NewerSchema { found: 9999, known: 10 })), "{refused:?}");
        let mut connection = place.connect().await;
        assert_eq!(connection.number("select count(*) from _sqlx_migrations").await, 11);
    }

    async fn a_schema_whose_history_was_rewritten_is_refused(store: TestStore) {
        store
            .execute(
                "update _sqlx_migrations set checksum =
                    (select checksum from _sqlx_migrations where version = 2) where version = 1",
            )
            .await;
        let place = store.shut().await;
        let refused = Store::open(&place.options()).await;
        assert!(matches!(refused, Err(OpenError::Migration(_))), "{refused:?}");
    }

    async fn a_url_that_names_no_database_is_refused(place: Place) {
        for url in ["", "hokusai.db", "mysql://root@localhost/keys", "sqlite://", "sqlite:", "postgres:/x"] {
            let refused = open_url(&place, url).await;
            assert!(matches!(refused, Err(OpenError::Url)), "{url}: {refused:?}");
        }
    }

    async fn a_store_that_answers_says_so(store: TestStore) {
        store.ping().await.unwrap();
        store.checkpoint().await.unwrap();
        assert_eq!(store.read_connections(), 4);
    }

    async fn a_closed_store_answers_nothing(store: TestStore) {
        store.close().await;
        assert!(store.ping().await.is_err());
        assert!(store.find_key(&digest(1)).await.is_err());
        assert!(store.allot(id(1), &[Holder::new(1, 1).message(1)]).await.is_err());
    }
}
