//! Usage: each record is counted once, in the sums of its hour, day, month and endpoint, and dropped in time.

use hokusai_core::calendar::Day;
use hokusai_core::time::{DAY, HOUR, Timestamp};
use hokusai_core::usage::{ENDPOINTS_TOLD_APART, MAX_AHEAD, MAX_BATCH, OTHER, Record, Totals, WrongInstant};
use hokusai_store::{GroupBy, NewKey, Recorded, Report, Reporter, UsageGroup};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

use crate::acts::take;
use crate::facts::facts;
use crate::samples::{
    START, id, month, new_key, new_key_with, plans, record, record_at, report, rights, start_of, successor,
};
use crate::stores::TestStore;

/// The month of [`START`].
const NOW: &str = "2025-11";
const RECORDS: &str = "select count(*) from usage_records";
const HORIZON: &str = "select dropped_until from usage_horizon";

fn taken(new: usize, known: usize) -> Recorded {
    Recorded::Taken { new, known }
}

fn wrong(index: usize, why: WrongInstant) -> Recorded {
    Recorded::WrongInstant { index, why }
}

/// A key of another user.
fn of_bob(number: u32) -> NewKey {
    new_key_with(number, |key| rights(key).user_id = "bob".into())
}

fn records(key: u32, numbers: impl IntoIterator<Item = usize>) -> Vec<Record> {
    numbers.into_iter().map(|number| record(key, &number.to_string())).collect()
}

/// One request to each of some endpoints.
fn requests_to(key: u32, numbers: impl IntoIterator<Item = usize>) -> Vec<Record> {
    let mut requests = records(key, numbers);
    for (place, request) in requests.iter_mut().enumerate() {
        request.endpoint = format!("/{place:04}").into();
    }
    requests
}

fn to_endpoint(key: u32, name: &str, endpoint: &str) -> Record {
    Record { endpoint: endpoint.into(), ..record(key, name) }
}

/// How many endpoints are told apart, and how many requests went to others.
async fn endpoints(store: &TestStore, key: u32) -> (usize, i64) {
    let groups = store.usage(key, month(NOW), GroupBy::Endpoint).await;
    let others = groups.iter().find(|group| group.name == OTHER).map_or(0, |group| group.totals.requests);
    (groups.iter().filter(|group| group.name != OTHER).count(), others)
}

async fn requests(store: &TestStore, key: u32) -> i64 {
    store.totals(key, month(NOW)).await.requests
}

fn names(groups: &[UsageGroup]) -> Vec<(&str, i64)> {
    groups.iter().map(|group| (&*group.name, group.totals.requests)).collect()
}

facts! {
    async fn a_record_is_counted_once_however_often_it_is_reported(store: TestStore) {
        store.add(new_key(1)).await;
        let [a, b, c] = ["a", "b", "c"].map(|name| record(1, name));
        assert_eq!(store.report(vec![a.clone(), a.clone(), b.clone(), a.clone()]).await, taken(2, 2));
        assert_eq!(store.report(vec![b.clone(), c.clone(), c.clone()]).await, taken(1, 2));
        assert_eq!(store.report(vec![a, b, c]).await, taken(0, 3));
        assert_eq!((requests(&store, 1).await, store.number(RECORDS).await), (3, 3));
        store.assert_sums_are_of_the_records("").await;
    }

    async fn the_first_of_several_reports_of_a_record_counts_whatever_the_others_say(store: TestStore) {
        store.add(new_key(1)).await;
        let of = |predictions| Record { predictions, ..record(1, "a") };
        let elsewhen = record_at(1, "a", start_of("2025-10-01"));
        assert_eq!(store.report(vec![of(5), of(7), elsewhen.clone()]).await, taken(1, 2));
        assert_eq!(store.report(vec![of(9)]).await, taken(0, 1));
        assert_eq!(store.report(vec![elsewhen]).await, taken(0, 1));
        assert_eq!(store.predictions(1, month(NOW)).await, 5);
        assert_eq!(store.predictions(1, month("2025-10")).await, 0);
        store.assert_sums_are_of_the_records("").await;
    }

    async fn the_same_idempotency_key_of_another_key_is_another_record(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(successor(2, 1)).await;
        store.add(of_bob(3)).await;
        assert_eq!(store.report([1, 2, 3].map(|key| record(key, "a")).to_vec()).await, taken(3, 0));
        for key in 1..=3 {
            assert_eq!(requests(&store, key).await, 1, "{key}");
        }
        assert_eq!(store.bill(1, month(NOW)).await.usage.requests, 2);
    }

    async fn nodes_that_report_the_same_records_at_once_count_each_once(store: TestStore) {
        for key in 1..=3 {
            store.add(new_key(key)).await;
        }
        let mut tasks = JoinSet::new();
        for (turn, node) in (0..).zip(store.nodes(4).await) {
            tasks.spawn(async move {
                let mut chance = StdRng::seed_from_u64(turn);
                let mut new_here = 0;
                for round in 0..8 {
                    let span = round * 40..round * 40 + 60;
                    let mut all: Vec<Record> = (1..=3).flat_map(|key| records(key, span.clone())).collect();
                    all.shuffle(&mut chance);
                    let Recorded::Taken { new, known } = take(&node, &report(all)).await else { panic!() };
                    assert_eq!(new + known, 180);
                    new_here += new;
                }
                new_here
            });
        }
        assert_eq!(tasks.join_all().await.iter().sum::<usize>(), 3 * 340);
        assert_eq!((requests(&store, 1).await, store.number(RECORDS).await), (340, 3 * 340));
        store.assert_sums_are_of_the_records("").await;
    }

    async fn a_batch_as_large_as_allowed_is_taken_and_known_again(store: TestStore) {
        store.add(new_key(1)).await;
        let batch = report(records(1, 0..MAX_BATCH));
        assert_eq!(store.take(&batch).await, taken(MAX_BATCH, 0));
        assert_eq!(store.take(&batch).await, taken(0, MAX_BATCH));
        assert_eq!(requests(&store, 1).await, 10_000);
    }

    async fn what_is_empty_adds_nothing(store: TestStore) {
        store.add(new_key(1)).await;
        assert_eq!(store.take_all(&[]).await, []);
        assert_eq!(store.report(vec![]).await, taken(0, 0));
        for by in [GroupBy::Nothing, GroupBy::Day, GroupBy::Service, GroupBy::Endpoint] {
            assert_eq!(store.usage(1, month(NOW), by).await, [], "{by:?}");
        }
        assert_eq!(store.number("select count(*) from usage_months").await, 0);
    }

    async fn a_report_that_names_an_unknown_key_takes_nothing_and_the_others_are_taken(store: TestStore) {
        store.add(new_key(1)).await;
        let [a, b, c] = ["a", "b", "c"].map(|name| record(1, name));
        let unknown = |name| record(9, name);
        let reports = [
            report(vec![a.clone()]),
            report(vec![b.clone(), b.clone(), unknown("x"), unknown("y")]),
            Report { is_debit: true, ..report(vec![unknown("z")]) },
            report(vec![c.clone(), c.clone()]),
        ];
        let outcomes = store.take_all(&reports).await;
        let refused = |index| Recorded::UnknownKey { index };
        assert_eq!(outcomes, [taken(1, 0), refused(2), refused(0), taken(1, 1)]);
        assert_eq!((requests(&store, 1).await, store.number(RECORDS).await), (2, 2));
        store.assert_sums_are_of_the_records("").await;
        // Where there is a repetition it is the same, and a key counts as soon as it is there.
        assert_eq!(store.take_all(&reports).await, [taken(0, 1), refused(2), refused(0), taken(0, 2)]);
        store.add(new_key(9)).await;
        assert_eq!(store.take_all(&reports).await, [taken(0, 1), taken(3, 1), taken(1, 0), taken(0, 2)]);
        store.assert_sums_are_of_the_records("").await;
    }

    async fn a_user_reports_of_the_users_own_keys_and_a_key_of_itself(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(successor(2, 1)).await;
        store.add(of_bob(3)).await;
        let refused = |index| Recorded::UnknownKey { index };
        let (ada, bob) = (Reporter::User("ada".into()), Reporter::User("bob".into()));
        for (number, (reporter, keys, outcome)) in (0..).zip([
            (Reporter::Anyone, [1, 2, 3], taken(3, 0)),
            (ada.clone(), [1, 2, 1], taken(2, 1)),
            (ada, [1, 2, 3], refused(2)),
            (bob.clone(), [3, 3, 3], taken(1, 2)),
            (bob, [3, 1, 2], refused(1)),
            (Reporter::User(String::new()), [1, 1, 1], refused(0)),
            (Reporter::Key(id(1)), [1, 1, 1], taken(1, 2)),
            (Reporter::Key(id(1)), [1, 2, 1], refused(1)),
            (Reporter::Key(id(2)), [1, 2, 2], refused(0)),
            (Reporter::Key(id(9)), [1, 2, 3], refused(0)),
        ]) {
            let records = keys.map(|key| record(key, &number.to_string())).to_vec();
            let report = Report { reporter, records, is_debit: false };
            // Whose a key is may be remembered or not.
            assert_eq!(store.take(&report).await, outcome, "{report:?}");
            let outcome = if let Recorded::Taken { .. } = outcome { taken(0, 3) } else { outcome };
            assert_eq!(store.take(&report).await, outcome, "{report:?} once more");
        }
        assert_eq!(store.number(RECORDS).await, 3 + 2 + 1 + 1);
    }

    async fn a_record_without_instant_or_service_is_of_its_arrival_and_its_keys_service(store: TestStore) {
        store.add(new_key(1)).await;
        store.clock().set(start_of("2024-02-29").plus(DAY - 1));
        let elsewhere = Record { service_id: "speech".into(), ..record(1, "b") };
        store.report(vec![record(1, "a"), elsewhere]).await;
        store.clock().pass(1);
        store.report(vec![record(1, "c")]).await;
        let by = |month, by| store.usage(1, month, by);
        assert_eq!(names(&by(month("2024-02"), GroupBy::Service).await), [("platform", 1), ("speech", 1)]);
        assert_eq!(names(&by(month("2024-02"), GroupBy::Day).await), [("2024-02-29", 2)]);
        assert_eq!(names(&by(month("2024-03"), GroupBy::Day).await), [("2024-03-01", 1)]);
        store.assert_sums_are_of_the_records("").await;
    }

    async fn a_month_turns_at_its_last_microsecond_in_every_sum(store: TestStore) {
        store.add(new_key(1)).await;
        for (last, next) in [
            ("2024-02-29", "2024-03-01"), ("2025-02-28", "2025-03-01"), ("2024-12-31", "2025-01-01"),
            ("2025-04-30", "2025-05-01"),
        ] {
            let turn = start_of(next);
            store.report(vec![record_at(1, last, turn.plus(-1)), record_at(1, next, turn)]).await;
            for day in [last, next] {
                let of = month(&day[..7]);
                assert_eq!(store.bill(1, of).await.usage.requests, 1, "{day}");
                assert_eq!(names(&store.usage(1, of, GroupBy::Nothing).await), [("", 1)], "{day}");
                assert_eq!(names(&store.usage(1, of, GroupBy::Day).await), [(day, 1)]);
                let by_endpoint = store.usage(1, of, GroupBy::Endpoint).await;
                assert_eq!(names(&by_endpoint), [("/v1/generate", 1)], "{day}");
            }
            let hours = ("select min(hour) from usage_hours", "select max(hour) from usage_hours");
            let hours = (store.number(hours.0).await, store.number(hours.1).await);
            assert_eq!(hours, (turn.plus(-1).hour().0, turn.hour().0));
            let days = ("select min(day) from usage_days", "select max(day) from usage_days");
            let days = (store.number(days.0).await, store.number(days.1).await);
            assert_eq!(days, ((turn.0 - 1) / DAY, turn.0 / DAY));
            store.assert_sums_are_of_the_records(next).await;
            store.execute("delete from usage_records; delete from usage_hours; delete from usage_days").await;
            store.execute("delete from usage_months; delete from usage_endpoints").await;
        }
    }

    async fn every_figure_is_summed_and_an_answer_of_400_or_above_is_an_error(store: TestStore) {
        store.add(new_key(1)).await;
        for (number, status_code) in (0..).zip([100, 200, 399, 400, 404, 599]) {
            let (compute_ms, response_micros) = (10 * number, 100 * number);
            let plain = record(1, &number.to_string());
            let numbered = Record { status_code, predictions: number, compute_ms, response_micros, ..plain };
            store.report(vec![numbered]).await;
        }
        let (compute_ms, response_micros) = (150, 1500);
        let whole = Totals { requests: 6, errors: 3, predictions: 15, compute_ms, response_micros };
        assert_eq!(store.totals(1, month(NOW)).await, whole);
        for by in [GroupBy::Day, GroupBy::Service, GroupBy::Endpoint] {
            assert_eq!(store.usage(1, month(NOW), by).await[0].totals, whole, "{by:?}");
        }
        let day = Day::of(START);
        assert_eq!(store.usage_by_date(day, day, None, None).await.unwrap()[0].totals, whole);
    }

    async fn sums_agree_with_the_records_that_nodes_report_at_once(store: TestStore) {
        for key in 1..=4 {
            store.add(new_key(key)).await;
            store.add(successor(key + 10, key)).await;
        }
        let mut tasks = JoinSet::new();
        for (turn, node) in (0..).zip(store.nodes(4).await) {
            tasks.spawn(async move {
                let mut chance = StdRng::seed_from_u64(turn);
                for round in 0..12 {
                    let mut all = Vec::new();
                    for number in 0..30 {
                        let key = chance.random_range(1..=4) + 10 * chance.random_range(0..=1);
                        let at = START.plus(chance.random_range(-80 * DAY..0));
                        // Every second record is reported by another node too.
                        let name = match number % 2 {
                            0 => format!("{round} {number}"),
                            _ => format!("{turn} {round} {number}"),
                        };
                        let endpoint = format!("/{}", chance.random_range(0..9)).into();
                        let status_code = chance.random_range(200..600);
                        all.push(Record { endpoint, status_code, ..record_at(key, &name, at) });
                    }
                    take(&node, &report(all)).await;
                }
            });
        }
        tasks.join_all().await;
        assert!(store.number(RECORDS).await > 4 * 12 * 15);
        store.assert_sums_are_of_the_records("").await;
    }

    async fn two_hundred_endpoints_of_a_key_and_month_are_told_apart_within_one_report(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(successor(2, 1)).await;
        store.report(requests_to(1, 0..ENDPOINTS_TOLD_APART)).await;
        assert_eq!(endpoints(&store, 1).await, (200, 0));
        store.report(requests_to(2, 0..ENDPOINTS_TOLD_APART + 7)).await;
        assert_eq!(endpoints(&store, 2).await, (200, 7));
        store.assert_sums_are_of_the_records("").await;
    }

    async fn two_hundred_endpoints_of_a_key_and_month_are_told_apart_across_reports(store: TestStore) {
        store.add(new_key(1)).await;
        store.report(requests_to(1, 0..150)).await;
        store.report(requests_to(1, 1000..1230)).await;
        assert_eq!(endpoints(&store, 1).await, (200, 30));
        store.report(requests_to(1, 2000..2230)).await;
        assert_eq!(endpoints(&store, 1).await, (200, 60), "those that have a sum go on with it");
        store.report(vec![to_endpoint(1, "new", "/new"), to_endpoint(1, "known", "/0000")]).await;
        assert_eq!(endpoints(&store, 1).await, (200, 61));
        let mut other_month = requests_to(1, 3000..3003);
        for request in &mut other_month {
            request.occurred_at = Some(start_of("2025-10-01"));
        }
        store.report(other_month).await;
        assert_eq!(store.usage(1, month("2025-10"), GroupBy::Endpoint).await.len(), 3, "each month has its own");
        store.assert_sums_are_of_the_records("").await;
    }

    async fn two_hundred_endpoints_are_told_apart_when_nodes_report_them_at_once(store: TestStore) {
        store.add(new_key(1)).await;
        let mut tasks = JoinSet::new();
        for (turn, node) in (0..).zip(store.nodes(4).await) {
            tasks.spawn(async move {
                for round in 0..10 {
                    let name = |number: usize| format!("/{turn}/{round}/{number}");
                    let all = (0..10).map(|number| to_endpoint(1, &name(number), &name(number))).collect();
                    take(&node, &report(all)).await;
                }
            });
        }
        tasks.join_all().await;
        assert_eq!(endpoints(&store, 1).await, (200, 200));
        store.assert_sums_are_of_the_records("").await;
    }

    async fn an_endpoint_that_is_called_other_takes_no_place_of_the_two_hundred(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(new_key(2)).await;
        // Before the two hundred, and along with them.
        store.report(vec![to_endpoint(1, "early", OTHER)]).await;
        store.report(requests_to(1, 0..ENDPOINTS_TOLD_APART)).await;
        let mut together = requests_to(2, 0..ENDPOINTS_TOLD_APART);
        together.push(to_endpoint(2, "together", OTHER));
        store.report(together).await;
        assert_eq!(endpoints(&store, 2).await, (200, 1), "in one report");
        assert_eq!(endpoints(&store, 1).await, (200, 1), "across reports");
    }

    async fn the_most_used_endpoints_come_first(store: TestStore) {
        store.add(new_key(1)).await;
        let to = |number: usize| ["/b", "/a", "/c", "/c", "/c", "/d", "/d", "/b", "/a"][number];
        store.report((0..9).map(|number| to_endpoint(1, &number.to_string(), to(number))).collect()).await;
        let by_endpoint = store.usage(1, month(NOW), GroupBy::Endpoint).await;
        assert_eq!(names(&by_endpoint), [("/c", 3), ("/a", 2), ("/b", 2), ("/d", 2)]);
    }

    async fn records_are_dropped_oldest_first_and_no_more_than_asked_for(store: TestStore) {
        store.add(new_key(1)).await;
        let at = |number: i64| START.plus(number * HOUR);
        // The instants of the records run the other way round: what counts is when they arrived.
        for number in 0..5 {
            store.clock().set(at(number));
            let name = |half| format!("{number} {half}");
            let halves = [0, 1].map(|half| record_at(1, &name(half), START.plus(-number * DAY)));
            store.report(halves.to_vec()).await;
        }
        let sums = store.totals(1, month(NOW)).await;
        for (before, most, dropped, left) in [
            (at(0), 100, 0, (at(0), 10)),
            (at(3), 0, 0, (at(0), 10)),
            (at(3), 2, 2, (at(1), 8)),
            (at(3), 1, 1, (at(1), 7)),
            (at(3), 100, 3, (at(3), 4)),
            (at(3), 100, 0, (at(3), 4)),
            (at(3).plus(1), 100, 2, (at(4), 2)),
        ] {
            assert_eq!(store.drop_usage_records(before, most).await.unwrap(), dropped, "{before:?} {most}");
            let oldest = Timestamp(store.number("select min(received_at) from usage_records").await);
            assert_eq!((oldest, store.number(RECORDS).await), left, "{before:?} {most}");
        }
        assert_eq!(store.drop_usage_records(Timestamp::NEVER, 100).await.unwrap(), 2);
        assert_eq!(store.drop_usage_records(Timestamp::NEVER, 100).await.unwrap(), 0);
        assert_eq!(store.totals(1, month(NOW)).await, sums, "sums stay");
        assert_eq!(store.bill(1, month(NOW)).await.usage.requests, 10);
        assert_eq!(names(&store.usage(1, month(NOW), GroupBy::Endpoint).await), [("/v1/generate", 10)]);
    }

    async fn the_horizon_is_the_latest_arrival_that_was_dropped_and_never_moves_back(store: TestStore) {
        store.add(new_key(1)).await;
        let mut horizons = vec![store.number(HORIZON).await];
        for moment in [50, 60, 70, 40] {
            store.clock().set(START.plus(moment));
            store.report(vec![record(1, &moment.to_string())]).await;
        }
        for (before, most) in [(50, 9), (61, 1), (61, 9), (71, 1), (71, 9)] {
            store.drop_usage_records(START.plus(before), most).await.unwrap();
            horizons.push(store.number(HORIZON).await);
        }
        let at = |moment: i64| START.plus(moment).0;
        assert_eq!(horizons, [0, 0, at(50), at(60), at(70), at(70)]);
        assert_eq!(store.number(RECORDS).await, 0, "a clock that went back holds nothing up");
    }

    async fn a_repetition_is_known_for_as_long_as_the_record_is_kept(store: TestStore) {
        store.add(new_key(1)).await;
        store.add(new_key(2)).await;
        store.report(vec![record(1, "a"), record(2, "a")]).await;
        store.clock().pass(35 * DAY);
        store.report(vec![record(1, "b")]).await;
        let again = || vec![record_at(1, "b", START.plus(35 * DAY)), record_at(1, "a", START)];
        store.drop_usage_records(START, 100).await.unwrap();
        assert_eq!(store.report(again()).await, taken(0, 2));
        store.drop_usage_records(START.plus(1), 100).await.unwrap();
        assert_eq!(store.report(again()).await, wrong(1, WrongInstant::Dropped));
        assert_eq!(requests(&store, 1).await, 1, "what was dropped is not counted anew");
        assert_eq!(store.report(vec![record(1, "c")]).await, taken(1, 0), "what names no instant happens now");
    }

    async fn what_was_dropped_is_not_counted_anew_however_long_records_are_kept_now(store: TestStore) {
        store.add(new_key(1)).await;
        let ahead = START.plus(MAX_AHEAD);
        store.report(vec![record_at(1, "a", ahead)]).await;
        store.clock().pass(10 * DAY);
        store.drop_usage_records(START.plus(1), 100).await.unwrap();
        let mut b = report(vec![record_at(1, "b", ahead.plus(1)), record_at(1, "a", ahead)]);
        assert_eq!(store.take(&b).await, wrong(1, WrongInstant::Dropped));
        b.records.truncate(1);
        assert_eq!(store.take(&b).await, taken(1, 0));
        assert_eq!(store.number(RECORDS).await, 1);
    }

    async fn instants_are_judged_by_the_stores_time_and_the_other_reports_are_taken(store: TestStore) {
        store.add(new_key(1)).await;
        let of = |name, micros| report(vec![record(1, name), record_at(1, &format!("{name}2"), START.plus(micros))]);
        let too_old = WrongInstant::TooOld { retention_days: 3 };
        let reports =
            [of("a", MAX_AHEAD), of("b", MAX_AHEAD + 1), of("c", -3 * DAY), of("d", -3 * DAY - 1), of("e", 0)];
        let reports: Vec<&Report> = reports.iter().collect();
        let outcomes = store.record_usage(&reports, &plans(), 3).await.unwrap();
        let expected =
            [taken(2, 0), wrong(1, WrongInstant::Ahead), taken(2, 0), wrong(1, too_old), taken(2, 0)];
        assert_eq!(outcomes, expected);
        assert_eq!(store.number(RECORDS).await, 6);
        store.assert_sums_are_of_the_records("").await;
    }

    async fn records_are_dropped_while_nodes_report_and_repeat(store: TestStore) {
        const ROUND: i64 = HOUR / 4;
        store.add(new_key(1)).await;
        let mut tasks = JoinSet::new();
        for (turn, node) in (0..).zip(store.nodes(4).await) {
            let clock = store.clock().clone();
            tasks.spawn(async move {
                let mut new_here = [0; 15];
                for round in 0..15 {
                    // All four together take the clock far enough for the round after the next.
                    clock.pass(ROUND);
                    let (name, at) = (|number| format!("{round} {number}"), START.plus(ROUND * round));
                    let some = (0..20).map(|number| record_at(1, &name(number), at)).collect();
                    new_here[round as usize] = match take(&node, &report(some)).await {
                        Recorded::Taken { new, .. } => new,
                        refused => {
                            assert_eq!(refused, wrong(0, WrongInstant::Dropped));
                            0
                        }
                    };
                    if turn % 2 == 0 {
                        node.drop_usage_records(clock.now().plus(-2 * ROUND), 15).await.unwrap();
                    }
                }
                new_here
            });
        }
        let new_there = tasks.join_all().await;
        let new_of = |round: usize| new_there.iter().map(|new_here| new_here[round]).sum::<usize>();
        let new: Vec<usize> = (0..15).map(new_of).collect();
        assert!(new.iter().all(|new| *new <= 20), "each counts once: {new:?}");
        let new = new.iter().sum::<usize>() as i64;
        assert!(new > 0);
        assert_eq!(requests(&store, 1).await, new, "each answer is of what was counted");
        assert_eq!(store.bill(1, month(NOW)).await.usage.requests, new);
    }

    async fn whose_a_key_is_can_be_forgotten(store: TestStore) {
        store.add(new_key(1)).await;
        store.report(vec![record(1, "a")]).await;
        // As in a database that was put back to before the key was issued.
        store.execute("update keys set user_id = 'bob'").await;
        let of_ada = |name| Report { reporter: Reporter::User("ada".into()), ..report(vec![record(1, name)]) };
        assert_eq!(store.take(&of_ada("b")).await, taken(1, 0), "it is remembered");
        store.forget_owners();
        assert_eq!(store.take(&of_ada("c")).await, Recorded::UnknownKey { index: 0 });
    }
}
