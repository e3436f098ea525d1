//! How facts are run: each on a database of its own, on SQLite and on PostgreSQL.

use std::future::Future;

use crate::stores::Place;

/// Runs each fact on both databases, as `sqlite::fact` and `postgres::fact`.
macro_rules! facts {
    ($(async fn $fact:ident($subject:ident: $kind:ty) $body:block)*) => {
        $(async fn $fact($subject: $kind) $body)*

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $fact() {
                $crate::facts::on_sqlite(super::$fact).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $fact() {
                $crate::facts::on_postgres(super::$fact).await;
            })*
        }
    };
}
pub(crate) use facts;

/// Runs each fact on one database: what there is to say of it and not of the other.
macro_rules! alone {
    ($on:ident: $(async fn $fact:ident($subject:ident: $kind:ty) $body:block)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $fact() {
            async fn fact($subject: $kind) $body
            $crate::facts::$on(fact).await;
        })*
    };
}
pub(crate) use alone;

/// What a fact may be about: a [`Place`] where nothing is yet, or an open [`TestStore`].
pub(crate) trait Subject: Send + 'static {
    fn begin(place: Place) -> impl Future<Output = Self> + Send;
}

pub(crate) async fn on_sqlite<S: Subject, F: Future<Output = ()>>(fact: fn(S) -> F) {
    let folder = tempfile::tempdir().unwrap();
    fact(S::begin(Place::in_folder(folder.path())).await).await;
}

/// The database is dropped whether or not the fact holds.
pub(crate) async fn on_postgres<S, F>(fact: fn(S) -> F)
where
    S: Subject,
    F: Future<Output = ()> + Send + 'static,
{
    let place = Place::on_server().await;
    let outcome = tokio::spawn({
        let place = place.clone();
        async move { fact(S::begin(place).await).await }
    });
    let outcome = outcome.await;
    place.drop_database().await;
    if let Err(panicked) = outcome {
        std::panic::resume_unwind(panicked.into_panic());
    }
}
