//! Bills and debits: debits never pass a limit that may not be passed, and a month keeps its terms.

use hokusai_core::billing::{MonthlyUsage, Plans, Terms};
use hokusai_core::calendar::Month;
use hokusai_core::usage::Record;
use hokusai_store::{Recorded, Report, Writes};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

use crate::acts::{edit_key, take, take_all};
use crate::facts::facts;
use crate::samples::{
    FOR_EVER, billed, debit, debit_of, id, month, new_key, record, record_at, report, rights, start_of,
    successor, writes,
};
use crate::stores::TestStore;

/// The month of every clock's start.
const NOW: &str = "2025-11";
const TAKEN: Recorded = Recorded::Taken { new: 1, known: 0 };
const KNOWN: Recorded = Recorded::Taken { new: 0, known: 1 };
const RECORDS: &str = "select count(*) from usage_records";

fn past(limit: i64, used: i64) -> Recorded {
    Recorded::PastMonthlyLimit { limit, used }
}

/// A debit in a month.
fn debit_in(month: Month, key: u32, name: &str, predictions: i64) -> Report {
    debit_of(Record { predictions, ..record_at(key, name, month.start()) })
}

fn plain(key: u32, name: &str, predictions: i64) -> Report {
    report(vec![Record { predictions, ..record(key, name) }])
}

async fn set_terms(store: &TestStore, number: u32, plan: &str, limit: impl Into<Option<i64>>) {
    edit_key(store, number, |key| {
        let rights = rights(key);
        rights.billing_plan = plan.into();
        rights.monthly_prediction_limit = limit.into();
    })
    .await;
}

async fn assert_terms(store: &TestStore, key: u32, expected: &[(&str, &str, i64)]) {
    for (text, plan, limit) in expected {
        let terms = Terms { plan: (*plan).to_owned(), monthly_prediction_limit: Some(*limit) };
        assert_eq!(store.bill(key, month(text)).await.terms, terms, "{text} of key {key}");
    }
}

facts! {
    async fn a_debit_passes_up_to_the_limit_and_not_past_it(store: TestStore) {
        store.add(billed(1, "fixed", 100)).await;
        for (name, predictions, outcome) in [
            ("a", 101, past(100, 0)), ("b", 60, TAKEN), ("c", 41, past(100, 60)), ("d", 39, TAKEN),
            ("e", 2, past(100, 99)), ("f", 1, TAKEN), ("g", 1, past(100, 100)), ("h", 0, TAKEN),
        ] {
            assert_eq!(store.take(&debit(1, name, predictions)).await, outcome, "{name}");
        }
        let usage = MonthlyUsage { requests: 4, predictions: 100, compute_ms: 40 };
        assert_eq!(store.bill(1, month(NOW)).await.usage, usage);
        store.assert_sums_are_of_the_records("").await;
    }

    async fn a_refused_debit_leaves_no_record_and_no_sum(store: TestStore) {
        store.add(billed(1, "fixed", 100)).await;
        let elsewhere = Record { endpoint: "/b".into(), service_id: "speech".into(), ..record(1, "a") };
        let large = Record { predictions: 101, ..elsewhere };
        assert_eq!(store.take(&debit_of(large)).await, past(100, 0));
        for table in [
            RECORDS,
            "select count(*) from usage_hours",
            "select count(*) from usage_days",
            "select count(*) from usage_endpoints",
            "select count(*) from usage_months where requests + predictions + compute_ms > 0",
        ] {
            assert_eq!(store.number(table).await, 0, "{table}");
        }
        assert_eq!(store.bill(1, month(NOW)).await.usage, MonthlyUsage::default());
    }

    async fn a_debit_that_was_refused_is_judged_anew_and_one_that_was_taken_is_known(store: TestStore) {
        store.add(billed(1, "fixed", 100)).await;
        let (first, second) = (debit(1, "first", 90), debit(1, "second", 20));
        assert_eq!(store.take(&first).await, TAKEN);
        for _ in 0..2 {
            assert_eq!(store.take(&second).await, past(100, 90));
            assert_eq!(store.take(&first).await, KNOWN);
        }
        // Along with others, and as a plain record.
        let third = debit(1, "third", 5);
        let together = [first.clone(), second.clone(), third];
        assert_eq!(store.take_all(&together).await, [KNOWN, past(100, 90), TAKEN]);
        set_terms(&store, 1, "fixed", 115).await;
        assert_eq!(store.take(&second).await, TAKEN);
        set_terms(&store, 1, "fixed", 5).await;
        for known in [first, second.clone(), Report { is_debit: false, ..second }] {
            assert_eq!(store.take(&known).await, KNOWN);
        }
        assert_eq!(store.predictions(1, month(NOW)).await, 115);
        store.assert_sums_are_of_the_records("").await;
    }

    async fn debits_of_one_transaction_are_judged_in_the_order_of_their_reports(store: TestStore) {
        store.add(billed(1, "fixed", 100)).await;
        store.add(billed(2, "fixed", 10)).await;
        let reports = [
            debit(1, "a", 60), debit(2, "a", 11), debit(1, "b", 41), debit(2, "b", 10), debit(1, "c", 40),
            debit_in(month("2025-10"), 1, "d", 100), debit(1, "e", 1), debit(9, "a", 1),
        ];
        let outcomes = store.take_all(&reports).await;
        let unknown = Recorded::UnknownKey { index: 0 };
        assert_eq!(
            outcomes,
            [TAKEN, past(10, 0), past(100, 60), TAKEN, TAKEN, TAKEN, past(100, 100), unknown]
        );
        store.assert_sums_are_of_the_records("").await;
    }

    async fn plain_records_pass_the_limit_and_count_against_debits(store: TestStore) {
        store.add(billed(1, "fixed", 100)).await;
        let together = [debit(1, "a", 50), plain(1, "b", 60)];
        assert_eq!(store.take_all(&together).await, [past(100, 60), TAKEN], "whatever their order");
        assert_eq!(store.take(&debit(1, "c", 40)).await, TAKEN);
        assert_eq!(store.take(&plain(1, "d", 500)).await, TAKEN);
        assert_eq!(store.take(&debit(1, "e", 1)).await, past(100, 600));
        assert_eq!(store.predictions(1, month(NOW)).await, 600);
        store.assert_sums_are_of_the_records("").await;
    }

    async fn a_limit_holds_unless_the_plan_names_a_price_for_what_is_past_it(store: TestStore) {
        for (key, plan, limit, outcome) in [
            (1, "fixed", Some(10), past(10, 0)), (2, "no such plan", Some(10), past(10, 0)),
            (3, "free", Some(10), TAKEN), (4, "fixed", None, TAKEN), (5, "no such plan", None, TAKEN),
            (6, "fixed", Some(0), past(0, 0)),
        ] {
            store.add(billed(key, plan, limit)).await;
            assert_eq!(store.take(&debit(key, "a", 11)).await, outcome, "{plan} {limit:?}");
        }
        // What counts is what the plans are now, as the caller knows them.
        let plans = Plans::parse(&["fixed=2".to_owned()]).unwrap();
        let outcomes = store.record_usage(&[&debit(1, "a", 11), &debit(3, "b", 1)], &plans, FOR_EVER).await.unwrap();
        assert_eq!(outcomes, [TAKEN, past(10, 11)]);
    }

    async fn debits_from_several_nodes_at_once_never_pass_the_limit(store: TestStore) {
        store.add(billed(1, "fixed", 1000)).await;
        store.add(successor(2, 1)).await;
        edit_key(&store, 2, |_| ()).await;
        set_terms(&store, 1, "fixed", 1000).await;
        let mut tasks = JoinSet::new();
        for (turn, node) in (0..).zip(store.nodes(4).await) {
            tasks.spawn(async move {
                let mut chance = StdRng::seed_from_u64(turn);
                let mut taken = 0;
                for round in 0..25 {
                    let mut reports = Vec::new();
                    for number in 0..chance.random_range(1..=4) {
                        let name = format!("{turn} {round} {number}");
                        reports.push(debit(chance.random_range(1..=2), &name, 7));
                    }
                    let outcomes = take_all(&node, &reports).await;
                    for outcome in outcomes {
                        match outcome {
                            TAKEN => taken += 1,
                            Recorded::PastMonthlyLimit { limit: 1000, used: 994.. } => {}
                            wrong => panic!("{wrong:?}"),
                        }
                    }
                }
                taken
            });
        }
        assert_eq!(tasks.join_all().await.iter().sum::<i64>(), 142, "as many as fit, and no more");
        assert_eq!((store.predictions(1, month(NOW)).await, store.number(RECORDS).await), (994, 142));
        store.assert_sums_are_of_the_records("").await;
    }

    async fn debits_and_plain_records_at_once_pass_the_limit_by_plain_ones_only(store: TestStore) {
        store.add(billed(1, "fixed", 200)).await;
        store.add(billed(2, "fixed", 200)).await;
        let mut tasks = JoinSet::new();
        for (turn, node) in (0..).zip(store.nodes(4).await) {
            tasks.spawn(async move {
                for round in 0..20 {
                    let name = format!("plain {turn} {round}");
                    // Two nodes each have the same debits, but for what they say of them.
                    let shared = format!("debit {} {round}", turn / 2);
                    let (first, second) = if turn % 2 == 0 { (1, 2) } else { (2, 1) };
                    let (one, other) = (debit(first, &shared, 9), debit(second, &shared, 3));
                    let reports = [one, plain(second, &name, 4), other];
                    for outcome in take_all(&node, &reports).await {
                        if let Recorded::PastMonthlyLimit { limit, used } = outcome {
                            assert!(used + 9 > limit, "{used} of {limit}");
                        }
                    }
                }
            });
        }
        tasks.join_all().await;
        let over = "select count(*) from (select account_id from usage_records join keys using (key_id)
            group by account_id
            having sum(case when predictions <> 4 then predictions else 0 end) > 200) as past";
        assert_eq!(store.number(over).await, 0);
        assert!(store.predictions(1, month(NOW)).await >= 192, "the limit was hardly tried");
        store.assert_sums_are_of_the_records("").await;
    }

    async fn the_same_debit_from_several_nodes_at_once_is_taken_once(store: TestStore) {
        store.add(billed(1, "fixed", 50)).await;
        let mut tasks = JoinSet::new();
        for node in store.nodes(4).await {
            tasks.spawn(async move {
                let mut taken = Vec::new();
                for round in 0..30 {
                    taken.push(take(&node, &debit(1, &round.to_string(), 3)).await);
                }
                taken
            });
        }
        let outcomes: Vec<Recorded> = tasks.join_all().await.into_iter().flatten().collect();
        let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        // Sixteen debits of three are 48.
        assert_eq!((count(TAKEN), count(KNOWN), count(past(50, 48))), (16, 48, 56));
        store.assert_sums_are_of_the_records("").await;
    }

    async fn a_debit_of_a_past_month_is_judged_by_the_terms_of_that_month(store: TestStore) {
        store.add(billed(1, "fixed", 10)).await;
        store.clock().set(month("2025-12").start());
        set_terms(&store, 1, "fixed", 1000).await;
        store.clock().set(month("2026-01").start());
        set_terms(&store, 1, "free", 20).await;
        let [november, december, january] = ["2025-11", "2025-12", "2026-01"].map(month);
        let reports = [
            debit_in(november, 1, "a", 11), debit_in(november, 1, "b", 10), debit_in(december, 1, "c", 1000),
            debit_in(december, 1, "d", 1), debit_in(january, 1, "e", 21),
        ];
        let outcomes = store.take_all(&reports).await;
        assert_eq!(outcomes, [past(10, 0), TAKEN, TAKEN, past(1000, 1000), TAKEN]);
        for (month, predictions) in [(november, 10), (december, 1000), (january, 21)] {
            assert_eq!(store.predictions(1, month).await, predictions, "{month}");
        }
    }

    async fn a_month_is_billed_by_what_held_at_its_end(store: TestStore) {
        store.add(billed(1, "free", 10)).await;
        let whole = [("2025-10", "free", 10), ("2025-11", "free", 10), ("2026-01", "free", 10)];
        assert_terms(&store, 1, &whole).await;
        // Two changes in one month, the second of them in its last microsecond.
        set_terms(&store, 1, "fixed", 20).await;
        store.clock().set(month("2025-12").start().plus(-1));
        set_terms(&store, 1, "fixed", 30).await;
        let whole = [("2025-10", "free", 10), ("2025-11", "fixed", 30), ("2025-12", "fixed", 30)];
        assert_terms(&store, 1, &whole).await;
        // Months later, in the first microsecond of a month.
        store.clock().set(month("2026-03").start());
        set_terms(&store, 1, "free", 40).await;
        set_terms(&store, 1, "free", 50).await;
        let whole = [
            ("2025-01", "free", 10), ("2025-10", "free", 10), ("2025-11", "fixed", 30),
            ("2025-12", "fixed", 30), ("2026-02", "fixed", 30), ("2026-03", "free", 50),
            ("2026-04", "free", 50),
        ];
        assert_terms(&store, 1, &whole).await;
        // And back again within the same month.
        set_terms(&store, 1, "fixed", 30).await;
        assert_terms(&store, 1, &[("2026-02", "fixed", 30), ("2026-03", "fixed", 30)]).await;
        assert_eq!(store.number("select count(*) from past_terms").await, 2);
    }

    async fn a_limit_that_is_taken_away_or_given_is_part_of_the_terms(store: TestStore) {
        store.add(billed(1, "free", 10)).await;
        store.clock().set(month("2025-12").start());
        set_terms(&store, 1, "free", None).await;
        store.clock().set(month("2026-01").start());
        set_terms(&store, 1, "free", 5).await;
        for (text, limit) in [("2025-11", Some(10)), ("2025-12", None), ("2026-01", Some(5))] {
            assert_eq!(store.bill(1, month(text)).await.terms.monthly_prediction_limit, limit, "{text}");
        }
    }

    async fn a_change_of_something_else_is_none_of_terms(store: TestStore) {
        store.add(billed(1, "free", 10)).await;
        store.edit(1, |key| key.name = "another".into()).await;
        store.edit(1, |key| rights(key).rate_limit_per_hour = 7).await;
        store.revoke(1).await;
        assert_eq!(store.number("select count(*) from past_terms").await, 0);
    }

    async fn an_account_has_one_plan_and_one_limit_whichever_key_is_changed(store: TestStore) {
        store.add(billed(1, "free", 10)).await;
        store.add(billed(3, "free", 1)).await;
        let mut new = successor(2, 1);
        rights(&mut new.key).monthly_prediction_limit = Some(10);
        store.add(new).await;
        store.clock().set(month("2025-12").start());
        set_terms(&store, 2, "fixed", 20).await;
        for key in [1, 2] {
            assert_terms(&store, key, &[("2025-11", "free", 10), ("2025-12", "fixed", 20)]).await;
            let rights = store.key(key).await.facts.rights;
            assert_eq!((&*rights.billing_plan, rights.monthly_prediction_limit), ("fixed", Some(20)));
        }
        assert_terms(&store, 3, &[("2025-11", "free", 1), ("2025-12", "free", 1)]).await;
        store.clock().set(month("2026-01").start());
        set_terms(&store, 1, "free", 30).await;
        for key in [1, 2] {
            assert_terms(&store, key, &[("2025-12", "fixed", 20), ("2026-01", "free", 30)]).await;
        }
    }

    async fn a_rotation_in_the_middle_of_a_month_gives_one_bill(store: TestStore) {
        store.add(billed(1, "fixed", 100)).await;
        store.take(&debit(1, "a", 40)).await;
        let mut rotated = store.key(1).await;
        rotated.rotated_to = Some(id(2));
        rotated.facts.lifetime.grace_until = start_of("2025-11-28");
        let mut new = successor(2, 1);
        new.key.facts.rights = rotated.facts.rights.clone();
        store.write(Writes { new_keys: vec![new], changed_keys: vec![rotated], ..writes() }).await;
        assert_eq!(store.take(&debit(2, "a", 50)).await, TAKEN);
        assert_eq!(store.take(&debit(1, "b", 11)).await, past(100, 90));
        assert_eq!(store.take(&debit(2, "b", 10)).await, TAKEN);
        let bill = store.bill(1, month(NOW)).await;
        assert_eq!((bill.account, bill.usage.requests, bill.usage.predictions), (id(1), 3, 100));
        assert_eq!(store.bill(2, month(NOW)).await, bill);
        let (of_old, of_new) = (store.totals(1, month(NOW)).await, store.totals(2, month(NOW)).await);
        assert_eq!((of_old.predictions, of_new.predictions), (40, 60));
    }

    async fn terms_that_change_while_nodes_debit_do_not_hold_them_up(store: TestStore) {
        store.add(billed(1, "fixed", 10)).await;
        store.add(successor(2, 1)).await;
        set_terms(&store, 1, "fixed", 10).await;
        let nodes = store.nodes(4).await;
        let mut tasks = JoinSet::new();
        for (turn, node) in (0..).zip(nodes.clone()) {
            tasks.spawn(async move {
                for round in 0..20 {
                    if turn == 0 {
                        edit_key(&node, 1 + round % 2, |key| {
                            *rights(key).monthly_prediction_limit.as_mut().unwrap() += 5;
                        })
                        .await;
                    }
                    take(&node, &debit(1 + round % 2, &format!("{turn} {round}"), 3)).await;
                }
            });
        }
        tasks.join_all().await;
        let bill = store.bill(2, month(NOW)).await;
        assert_eq!(bill.terms.monthly_prediction_limit, Some(110));
        assert!(bill.usage.predictions <= 110, "{bill:?}");
        store.assert_sums_are_of_the_records("").await;
    }

    async fn an_unknown_key_has_no_bill(store: TestStore) {
        store.add(new_key(1)).await;
        assert_eq!(store.account_usage(id(2), month(NOW)).await.unwrap(), None);
        assert_eq!(store.bill(1, month(NOW)).await.usage, MonthlyUsage::default());
    }
}
