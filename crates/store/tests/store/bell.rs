//! The bell: whoever follows the feed is woken by a change.

use std::time::Duration;

use hokusai_store::Bell;

use crate::facts::facts;
use crate::samples::new_key;
use crate::stores::TestStore;

const LONG: Duration = Duration::from_secs(30);

async fn rings(bell: &mut Bell) {
    tokio::time::timeout(LONG, bell.rung()).await.expect("the bell rings");
}

facts! {
    async fn a_bell_rings_for_a_change_made_before_it_is_listened_to(store: TestStore) {
        let mut bell = store.bell();
        store.add(new_key(1)).await;
        rings(&mut bell).await;
    }

    async fn every_bell_rings_for_every_change(store: TestStore) {
        let mut bells = [store.bell(), store.bell(), store.bell()];
        for number in 1..=5 {
            store.add(new_key(number)).await;
            for bell in &mut bells {
                rings(bell).await;
            }
        }
    }
}
