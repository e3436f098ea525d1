//! The bell that rings when the feed grows. A bell may stay silent: the feed itself is the truth.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::watch;

use crate::database::{Database, Store};
use crate::postgres::CHANNEL;

/// How long to wait before trying again to hear a lost bell.
const RETRY: Duration = Duration::from_secs(1);

/// Tells when to look at the feed.
#[derive(Debug)]
pub struct Bell(Ringer);

#[derive(Debug)]
enum Ringer {
    Here(watch::Receiver<()>),
    Postgres { pool: PgPool, listener: Option<PgListener> },
    Silent,
}

impl Store {
    /// A bell for this store's feed.
    #[must_use]
    pub fn bell(&self) -> Bell {
        Bell(match &self.database {
            Database::Sqlite(db) => Ringer::Here(db.changed.subscribe()),
            Database::Postgres(db) if db.listen => {
                Ringer::Postgres { pool: db.own().clone(), listener: None }
            }
            Database::Postgres(_) => Ringer::Silent,
        })
    }
}

impl Bell {
    /// Waits until the bell rings.
    pub async fn rung(&mut self) {
        match &mut self.0 {
            Ringer::Here(changed) => match changed.changed().await {
                Ok(()) => {}
                // The store is gone, and nothing will ever change again.
                Err(_) => std::future::pending().await,
            },
            Ringer::Postgres { pool, listener } => {
                while let Err(error) = heard(pool, listener).await {
                    tracing::debug!(%error, "the bell is silent; the feed is still read");
                    *listener = None;
                    tokio::time::sleep(RETRY).await;
                }
            }
            Ringer::Silent => std::future::pending().await,
        }
    }
}

async fn heard(pool: &PgPool, listener: &mut Option<PgListener>) -> Result<(), sqlx::Error> {
    if let Some(listener) = listener {
        listener.recv().await?;
    } else {
        let mut new = PgListener::connect_with(pool).await?;
        new.listen(CHANNEL).await?;
        *listener = Some(new);
    }
    Ok(())
}
