//! Admin tokens: which of them live, and the last operator that may not go.

use hokusai_core::token::Role;
use hokusai_store::{About, Standing, TokenFilter, Writes};

use crate::facts::facts;
use crate::samples::{ALL_TOKENS, START, digest, id, new_key, new_token, writes};
use crate::stores::TestStore;

async fn lives(store: &TestStore, number: u32) -> bool {
    store.find_living_token(&digest(number)).await.unwrap().is_some()
}

/// Revokes an operator token as the service does: not the last one that stays.
fn unless_last(standing: &Standing) -> (Option<Writes>, bool) {
    let may = standing.other_lasting_operators > 0;
    let revoked_tokens = standing.token.iter().map(|token| token.id).collect();
    (may.then(|| Writes { revoked_tokens, ..writes() }), may)
}

facts! {
    async fn a_token_is_found_by_its_digest_with_all_its_facts(store: TestStore) {
        let mut written = new_token(1, Role::Verifier);
        written.token.lifetime.expires_at = START.plus(9);
        written.token.name = "o'hara \u{1f511}".to_owned();
        store.add(new_key(7)).await;
        store.add_token(written.clone()).await;
        written.token.place = 2;
        let found = store.find_living_token(&digest(1)).await.unwrap().unwrap();
        assert_eq!(format!("{found:?}"), format!("{:?}", written.token));
    }

    async fn an_unknown_digest_is_no_token(store: TestStore) {
        store.add_token(new_token(1, Role::Operator)).await;
        assert!(!lives(&store, 2).await);
    }

    async fn keys_and_tokens_are_not_taken_for_each_other(store: TestStore) {
        store.add(new_key(1)).await;
        store.add_token(new_token(2, Role::Operator)).await;
        assert!(!lives(&store, 1).await);
        assert!(store.find_key(&digest(2)).await.unwrap().is_none());
    }

    async fn a_token_lives_by_the_time_of_the_store_up_to_its_expiry(store: TestStore) {
        let mut new = new_token(1, Role::Member);
        new.token.lifetime.expires_at = START.plus(1000);
        store.add_token(new).await;
        for (now, alive) in [(0, true), (999, true), (1000, false), (1001, false)] {
            store.clock().set(START.plus(now));
            assert_eq!(lives(&store, 1).await, alive, "{now} microseconds later");
        }
    }

    async fn a_revoked_token_is_dead_for_good(store: TestStore) {
        store.add_token(new_token(1, Role::Member)).await;
        assert!(lives(&store, 1).await);
        store.revoke_token(1).await;
        assert!(!lives(&store, 1).await);
        store.clock().pass(1_000_000);
        store.revoke_token(1).await;
        assert!(!lives(&store, 1).await);
        let token = store.standing(About::Token(id(1))).await.token.unwrap();
        assert_eq!(token.lifetime.revoked_at, START, "a second revocation changes nothing");
    }

    async fn tokens_are_listed_newest_first_and_in_pages(store: TestStore) {
        for (number, role) in [(2, Role::Operator), (1, Role::Member), (3, Role::Verifier)] {
            store.add_token(new_token(number, role)).await;
        }
        store.revoke_token(1).await;
        let listed = store.list_tokens(&ALL_TOKENS).await.unwrap();
        let told: Vec<_> = listed.iter().map(|token| (token.name.as_str(), token.role)).collect();
        assert_eq!(
            told,
            [("token 3", Role::Verifier), ("token 1", Role::Member), ("token 2", Role::Operator)]
        );
        assert_eq!(listed[1].lifetime.revoked_at, START);
        let next = TokenFilter { before: Some(listed[0].place), limit: 1 };
        assert_eq!(store.list_tokens(&next).await.unwrap()[0].name, "token 1");
        let end = TokenFilter { before: Some(listed[2].place), limit: 1 };
        assert!(store.list_tokens(&end).await.unwrap().is_empty());
    }

    async fn only_operators_that_neither_expire_nor_are_revoked_last(store: TestStore) {
        for number in 1..=3 {
            store.add_token(new_token(number, Role::Operator)).await;
        }
        let mut expiring = new_token(4, Role::Operator);
        expiring.token.lifetime.expires_at = START.plus(i64::MAX / 2);
        store.add_token(expiring).await;
        store.add_token(new_token(5, Role::Member)).await;
        store.add_token(new_token(6, Role::Verifier)).await;
        store.revoke_token(3).await;
        for (number, others) in [(1, 1), (3, 2), (4, 2), (5, 2)] {
            assert_eq!(store.other_operators(number).await, others, "other than {number}");
        }
        assert_eq!(store.standing(About::Nothing).await.other_lasting_operators, 2);
    }

    async fn of_two_last_operators_revoked_at_once_one_stays(store: TestStore) {
        let nodes = store.nodes(2).await;
        for round in 0..10 {
            let pair = [2 * round + 1, 2 * round + 2];
            store
                .write(Writes {
                    new_tokens: pair.map(|number| new_token(number, Role::Operator)).into(),
                    revoked_tokens: (1..pair[0]).map(id).collect(),
                    ..writes()
                })
                .await;
            let (one, other) = tokio::join!(
                nodes[0].change(About::Token(id(pair[0])), unless_last),
                nodes[1].change(About::Token(id(pair[1])), unless_last),
            );
            assert_ne!(one.unwrap(), other.unwrap(), "exactly one is revoked");
        }
    }

    async fn a_store_remembers_that_it_had_an_operator(store: TestStore) {
        store.add_token(new_token(1, Role::Member)).await;
        store.add_token(new_token(2, Role::Verifier)).await;
        assert!(!store.standing(About::Nothing).await.had_operator);
        store.add_token(new_token(3, Role::Operator)).await;
        store.revoke_token(3).await;
        store.add_token(new_token(4, Role::Member)).await;
        assert!(store.standing(About::Nothing).await.had_operator);
        let store = store.reopen().await;
        assert!(store.standing(About::Nothing).await.had_operator);
    }

    async fn a_change_about_an_unknown_token_finds_none(store: TestStore) {
        store.add_token(new_token(1, Role::Operator)).await;
        let standing = store.standing(About::Token(id(2))).await;
        assert!(standing.token.is_none());
        assert_eq!(standing.other_lasting_operators, 1);
    }

    async fn a_token_text_is_taken_once(store: TestStore) {
        store.add_token(new_token(1, Role::Member)).await;
        let mut double = new_token(2, Role::Operator);
        double.digest = digest(1);
        let doubled = Writes { new_tokens: vec![double], ..writes() };
        assert!(store.change(About::Nothing, |_| (Some(doubled), ())).await.is_err());
        let found = store.find_living_token(&digest(1)).await.unwrap().unwrap();
        assert_eq!(found.role, Role::Member);
        assert!(!store.standing(About::Nothing).await.had_operator);
    }
}
