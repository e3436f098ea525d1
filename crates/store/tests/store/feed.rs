//! The feed: where it stands and what came after, of one instant; and accounts that ran dry.

use hokusai_core::feed::{Change, Follower, Position, RING, Step};
use hokusai_core::time::{Elapsed, SECOND};
use hokusai_core::token::Role;
use hokusai_store::{About, AccountAsk, FeedPage, Writes};

use crate::acts::Holder;
use crate::facts::facts;
use crate::samples::{START, digest, id, key, new_key, new_token, writes};
use crate::stores::TestStore;

/// More changes than a follower can take at once, written past the store.
const MANY_CHANGES: &str = "
    with recursive number (n) as (select 1 union all select n + 1 from number where n < 5000)
    insert into changes (revision, kind, key_id, account_id, at) select n, 'many', null, null, n from number;
    update authority set revision = 5000;";

fn follow(follower: &mut Follower, page: FeedPage) -> Step {
    let changes = page.changes.into_iter().map(|(change, _)| change).collect();
    follower.apply(page.head, changes, Elapsed(0))
}

/// A member of account 1 that holds 60 of its 100 units, and is known to live.
async fn rich_holder(store: &TestStore) -> Holder {
    let mut rich = Holder::new(1, 1);
    rich.register(store).await;
    rich.ask(store, 60).await;
    rich
}

facts! {
    async fn a_new_feed_stands_at_the_beginning_of_its_epoch(store: TestStore) {
        let page = store.read_feed(0).await.unwrap();
        assert_eq!(page.head, Position { epoch: id(1), revision: 0 });
        assert!(page.changes.is_empty() && page.dry.is_empty());
    }

    async fn a_page_has_the_changes_after_a_revision_each_with_the_digest_of_its_key(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(new_key(2)).await;
        store.add_token(new_token(3, Role::Member)).await;
        store.edit(1, |_| ()).await;
        let page = store.read_feed(1).await.unwrap();
        let change = |revision, number| Change { revision, key: Some((id(number), id(number))) };
        let told = [
            (change(2, 2), Some(digest(2))),
            (Change { revision: 3, key: None }, None),
            (change(4, 1), Some(digest(1))),
        ];
        assert_eq!(page.changes, told);
        assert_eq!(page.head, Position { epoch: id(1), revision: 4 });
    }

    async fn after_its_head_the_feed_has_nothing(store: TestStore) {
        store.add(new_key(1)).await;
        for revision in [1, 2, i64::MAX] {
            let page = store.read_feed(revision).await.unwrap();
            assert!(page.changes.is_empty());
            assert_eq!(page.head.revision, 1);
        }
    }

    async fn a_follower_that_is_too_far_behind_forgets_everything(store: TestStore) {
        let mut follower = Follower::new();
        follow(&mut follower, store.read_feed(0).await.unwrap());
        store.execute(MANY_CHANGES).await;
        let page = store.read_feed(0).await.unwrap();
        assert_eq!(page.head.revision, 5000);
        assert_eq!(page.changes.len(), RING);
        assert_eq!(page.changes.last().unwrap().0.revision, RING as i64, "the oldest are there");
        assert_eq!(follow(&mut follower, page), Step::ForgetAll);
        assert_eq!(store.read_feed(5000 - RING as i64).await.unwrap().changes.len(), RING);
    }

    async fn old_changes_are_dropped_the_oldest_first_and_a_few_at_a_time(store: TestStore) {
        for number in 1..=6 {
            store.add(new_key(number)).await;
            store.clock().pass(1);
        }
        let mut follower = Follower::new();
        follow(
            &mut follower,
            FeedPage { head: Position { epoch: id(1), revision: 2 }, changes: vec![], new_keys: vec![], dry: vec![] },
        );
        for (before, kept) in [(0, 6), (4, 4), (4, 2), (4, 2)] {
            store.prune_feed(START.plus(before).0, 2).await.unwrap();
            assert_eq!(store.changed_after(0).await.len(), kept);
        }
        let page = store.read_feed(2).await.unwrap();
        assert_eq!((page.head.revision, page.changes[0].0.revision), (6, 5));
        assert_eq!(follow(&mut follower, page), Step::ForgetAll, "changes are missing");
    }

    async fn a_follower_notices_that_all_it_missed_was_dropped(store: TestStore) {
        let mut follower = Follower::new();
        follow(&mut follower, store.read_feed(0).await.unwrap());
        store.add(new_key(1)).await;
        store.prune_feed(START.plus(1).0, 100).await.unwrap();
        assert_eq!(follow(&mut follower, store.read_feed(0).await.unwrap()), Step::ForgetAll);
        store.add(new_key(2)).await;
        let next = store.read_feed(1).await.unwrap();
        assert_eq!(next.changes[0].0.revision, 2, "no revision is given twice");
    }

    async fn an_account_that_runs_dry_while_others_have_units_is_told_for_two_seconds(store: TestStore) {
        store.add(new_key(1)).await;
        rich_holder(&store).await;
        let mut poor = Holder::new(2, 1);
        poor.ask(&store, 40).await;
        assert!(store.dry().await.is_empty(), "it got all that it wanted");
        poor.ask(&store, 41).await;
        assert_eq!(store.dry().await, [id(1)]);
        store.clock().pass(2 * SECOND - 1);
        assert_eq!(store.dry().await, [id(1)]);
        store.clock().pass(1);
        assert!(store.dry().await.is_empty());
    }

    async fn an_account_is_told_dry_four_times_a_second_at_most(store: TestStore) {
        store.add(new_key(1)).await;
        rich_holder(&store).await;
        let mut poor = Holder::new(2, 1);
        for (passed, told) in [(0, 0), (249_999, 0), (1, 250_000), (1, 250_000), (300_000, 550_001)] {
            store.clock().pass(passed);
            poor.ask(&store, 100).await;
            assert_eq!(store.number("select at from dry_accounts").await, START.plus(told).0);
        }
    }

    async fn an_account_whose_other_holders_have_nothing_is_not_told(store: TestStore) {
        store.add(new_key(1)).await;
        let mut rich = rich_holder(&store).await;
        rich.used = 60;
        rich.ask(&store, 0).await;
        let mut poor = Holder::new(2, 1);
        poor.ask(&store, 100).await;
        poor.ask(&store, 100).await;
        assert!(store.dry().await.is_empty());
    }

    async fn only_the_accounts_that_ran_dry_are_told(store: TestStore) {
        store.write(Writes { new_keys: vec![new_key(1), new_key(2)], ..writes() }).await;
        for account in [1, 2] {
            let mut rich = Holder::new(1, account);
            rich.register(&store).await;
            rich.ask(&store, 60).await;
        }
        let messages: [AccountAsk; 2] = [Holder::new(2, 1).message(10), Holder::new(2, 2).message(50)];
        store.allot(id(2), &messages).await.unwrap();
        assert_eq!(store.dry().await, [id(2)]);
    }

    async fn a_dead_account_is_not_told_dry(store: TestStore) {
        store.add(new_key(1)).await;
        rich_holder(&store).await;
        store.revoke(1).await;
        Holder::new(2, 1).ask(&store, 10).await;
        assert!(store.dry().await.is_empty());
    }

    async fn a_reading_is_of_one_instant(store: TestStore) {
        let new_keys = (1..=3).map(new_key).collect();
        store.write(Writes { new_keys, ..writes() }).await;
        let nodes = store.nodes(2).await;
        let writer = tokio::spawn({
            let node = nodes[0].clone();
            async move {
                for _ in 0..30 {
                    let changed = Writes { changed_keys: (1..=3).map(key).collect(), ..writes() };
                    node.change(About::Nothing, |_| (Some(changed), ())).await.unwrap();
                }
            }
        });
        while !writer.is_finished() {
            let page = nodes[1].read_feed(0).await.unwrap();
            let head = page.head.revision;
            assert_eq!(head % 3, 0, "a change is seen wholly or not at all");
            assert_eq!(page.changes.len() as i64, head);
        }
        writer.await.unwrap();
        assert_eq!(store.head().await, 93);
    }
}
