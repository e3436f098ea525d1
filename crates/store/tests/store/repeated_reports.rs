//! Reports that are repeated, out of order, split at will and handed to several nodes at once: bills and sums
//! are those of the distinct records.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use hokusai_core::billing::MonthlyUsage;
use hokusai_core::calendar::Day;
use hokusai_core::time::HOUR;
use hokusai_core::usage::{MAX_FIGURE, Record, RecordId, Totals};
use hokusai_store::{GroupBy, Recorded, Report, Reporter, ServiceDay, UsageGroup};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

use crate::acts::take_all;
use crate::facts::facts;
use crate::samples::{START, billed, id, month, record, report, rights, start_of, successor};
use crate::stores::TestStore;

/// The day of [`START`], and the hour within it.
const TODAY: (&str, i64) = ("2025-11-24", 16);
/// Days around the turns of months, of years and of a leap February.
const DAYS: [&str; 14] = [
    "2023-12-30",
    "2023-12-31",
    "2024-01-01",
    "2024-01-31",
    "2024-02-01",
    "2024-02-28",
    "2024-02-29",
    "2024-03-01",
    "2024-12-31",
    "2025-01-01",
    "2025-02-28",
    "2025-03-01",
    "2025-10-31",
    "2025-11-01",
];
const ENDPOINTS: [&str; 5] = ["/v1/embed", "/v1/generate", "/é/😀", "/a \"b\" \\c", "other"];
/// The accounts and users of the keys: of each user one key was rotated.
const KEYS: [Owned; 5] = [
    Owned { key: 1, account: 1, user: "ada", service: "platform" },
    Owned { key: 2, account: 1, user: "ada", service: "platform" },
    Owned { key: 3, account: 3, user: "ada", service: "speech" },
    Owned { key: 4, account: 4, user: "bob", service: "platform" },
    Owned { key: 5, account: 4, user: "bob", service: "platform" },
];
const UNKNOWN_KEY: u32 = 99;

#[derive(Clone, Copy)]
struct Owned {
    key: u32,
    account: u32,
    user: &'static str,
    service: &'static str,
}

/// A record, and what it should be counted as.
#[derive(Clone)]
struct Drawn {
    record: Record,
    of: Owned,
    day: &'static str,
    service: String,
}

/// A report, and where it names a key that there is none of.
struct Sent {
    report: Report,
    unknown: Option<usize>,
}

fn draw(chance: &mut StdRng, number: usize) -> Drawn {
    let of = *KEYS.choose(chance).unwrap();
    let (mut day, mut occurred_at) = (TODAY.0, None);
    if chance.random_bool(0.9) {
        let some_hour = chance.random_range(0..24);
        let hour = *[0, 23, some_hour].choose(chance).unwrap();
        let some_micros = chance.random_range(0..HOUR);
        let within = *[0, HOUR - 1, some_micros].choose(chance).unwrap();
        day = DAYS.choose(chance).unwrap();
        occurred_at = Some(start_of(day).plus(hour * HOUR + within));
    }
    let service = *["", "", "platform", "vision"].choose(chance).unwrap();
    let figure = |chance: &mut StdRng| match chance.random_range(0..10) {
        0 => 0,
        1 => MAX_FIGURE,
        _ => chance.random_range(1..1000),
    };
    let record = Record {
        service_id: service.into(),
        endpoint: (*ENDPOINTS.choose(chance).unwrap()).into(),
        model_id: chance.random_bool(0.5).then(|| "model".into()),
        status_code: *[200, 302, 399, 400, 404, 500].choose(chance).unwrap(),
        response_micros: chance.random_range(0..2_000_000),
        predictions: figure(chance),
        compute_ms: figure(chance),
        occurred_at,
        // Idempotency keys of one key tell nothing of those of another.
        ..record(of.key, &(number / 3).to_string())
    };
    let service = if service.is_empty() { of.service } else { service }.to_owned();
    Drawn { record, of, day, service }
}

fn draw_distinct(chance: &mut StdRng) -> Vec<Drawn> {
    let mut drawn: BTreeMap<RecordId, Drawn> = BTreeMap::new();
    for number in 0..80 {
        let one = draw(chance, number);
        drawn.entry(one.record.id).or_insert(one);
    }
    drawn.into_values().collect()
}

/// Repeats, shuffles and splits. Some reports come once more along with an unknown key, and are refused then.
fn split(chance: &mut StdRng, distinct: &[Drawn]) -> Vec<Sent> {
    let mut copies: Vec<&Drawn> = Vec::new();
    for drawn in distinct {
        copies.extend(std::iter::repeat_n(drawn, chance.random_range(1..=4)));
    }
    copies.shuffle(chance);
    let mut sent = Vec::new();
    while !copies.is_empty() {
        let count = chance.random_range(1..=12.min(copies.len()));
        let records: Vec<Record> = copies.drain(..count).map(|drawn| drawn.record.clone()).collect();
        if chance.random_bool(0.15) {
            let index = chance.random_range(0..=count);
            let mut records = records.clone();
            records.insert(index, record(UNKNOWN_KEY, "unknown"));
            sent.push(Sent { report: report(records), unknown: Some(index) });
        }
        let is_debit = count == 1 && chance.random_bool(0.7);
        let reporter = match (count, chance.random_bool(0.5)) {
            (1, true) => Reporter::Key(records[0].key),
            _ => Reporter::Anyone,
        };
        sent.push(Sent { report: Report { reporter, records, is_debit }, unknown: None });
    }
    sent.shuffle(chance);
    sent
}

/// Puts reports together that have no record in common, as the store demands it.
fn transactions(chance: &mut StdRng, sent: Vec<Sent>) -> Vec<Vec<Sent>> {
    let mut transactions: Vec<Vec<Sent>> = vec![Vec::new()];
    let mut held: HashSet<RecordId> = HashSet::new();
    for one in sent {
        let ids: HashSet<RecordId> = one.report.records.iter().map(|record| record.id).collect();
        if !held.is_disjoint(&ids) || chance.random_bool(0.3) {
            transactions.push(Vec::new());
            held.clear();
        }
        held.extend(ids);
        transactions.last_mut().unwrap().push(one);
    }
    transactions
}

/// Hands the transactions to nodes at once; says how many records they took for new.
async fn hand_in(store: &TestStore, chance: &mut StdRng, transactions: Vec<Vec<Sent>>, seed: u64) -> usize {
    let nodes = store.nodes(4).await;
    let mut shares: Vec<Vec<Vec<Sent>>> = nodes.iter().map(|_| Vec::new()).collect();
    for transaction in transactions {
        let which = chance.random_range(0..shares.len());
        shares[which].push(transaction);
    }
    let mut tasks = JoinSet::new();
    for (node, share) in nodes.into_iter().zip(shares) {
        tasks.spawn(async move {
            let mut taken = 0;
            for transaction in share {
                let (reports, unknown): (Vec<_>, Vec<_>) =
                    transaction.into_iter().map(|sent| (sent.report, sent.unknown)).unzip();
                let outcomes = take_all(&node, &reports).await;
                for ((outcome, report), unknown) in outcomes.into_iter().zip(&reports).zip(unknown) {
                    match (outcome, unknown) {
                        (Recorded::UnknownKey { index }, Some(wrong)) if index == wrong => {}
                        (Recorded::Taken { new, known }, None) if new + known == report.records.len() => {
                            taken += new;
                        }
                        wrong => panic!("{wrong:?}, seed {seed}"),
                    }
                }
            }
            taken
        });
    }
    tasks.join_all().await.into_iter().sum()
}

/// The sum of some of the records.
fn sum<'a>(drawn: impl Iterator<Item = &'a Drawn>) -> Totals {
    let mut sum = Totals::default();
    for Drawn { record, .. } in drawn {
        sum.requests += 1;
        sum.errors += if record.status_code < 400 { 0 } else { 1 };
        sum.predictions += record.predictions;
        sum.compute_ms += record.compute_ms;
        sum.response_micros += record.response_micros;
    }
    sum
}

/// The sums of some of the records, told apart by a name and in its order.
fn sums<'a, K: Ord>(
    drawn: impl Iterator<Item = &'a Drawn>,
    name: impl Fn(&Drawn) -> K,
) -> BTreeMap<K, Totals> {
    let mut groups: BTreeMap<K, Vec<&Drawn>> = BTreeMap::new();
    for one in drawn {
        groups.entry(name(one)).or_default().push(one);
    }
    groups.into_iter().map(|(name, drawn)| (name, sum(drawn.into_iter()))).collect()
}

fn groups(sums: BTreeMap<String, Totals>) -> Vec<UsageGroup> {
    sums.into_iter().map(|(name, totals)| UsageGroup { name, totals }).collect()
}

fn months() -> BTreeSet<&'static str> {
    DAYS.iter().chain([&TODAY.0]).map(|day| &day[..7]).chain(["2024-04", "2023-11"]).collect()
}

async fn check_bills(store: &TestStore, distinct: &[Drawn], seed: u64) {
    for of in KEYS {
        for text in months() {
            let of_account =
                distinct.iter().filter(|drawn| drawn.of.account == of.account && drawn.day.starts_with(text));
            let Totals { requests, predictions, compute_ms, .. } = sum(of_account);
            let bill = store.bill(of.key, month(text)).await;
            let whole = MonthlyUsage { requests, predictions, compute_ms };
            assert_eq!((bill.usage, &*bill.user_id), (whole, of.user), "{text} of {}, seed {seed}", of.key);
        }
    }
}

async fn check_stats(store: &TestStore, distinct: &[Drawn], seed: u64) {
    for Owned { key, .. } in KEYS {
        for text in months() {
            let case = format!("{text} of {key}, seed {seed}");
            let own = || distinct.iter().filter(|drawn| drawn.of.key == key && drawn.day.starts_with(text));
            for (by, expected) in [
                (GroupBy::Nothing, sums(own(), |_| String::new())),
                (GroupBy::Day, sums(own(), |drawn| drawn.day.to_owned())),
                (GroupBy::Service, sums(own(), |drawn| drawn.service.clone())),
            ] {
                assert_eq!(store.usage(key, month(text), by).await, groups(expected), "{by:?}, {case}");
            }
            let mut by_endpoint = store.usage(key, month(text), GroupBy::Endpoint).await;
            assert!(by_endpoint.is_sorted_by_key(|group| -group.totals.requests), "{case}");
            by_endpoint.sort_by(|one, other| one.name.cmp(&other.name));
            let expected = groups(sums(own(), |drawn| drawn.record.endpoint.to_string()));
            assert_eq!(by_endpoint, expected, "endpoints, {case}");
        }
    }
}

async fn check_days(store: &TestStore, distinct: &[Drawn], seed: u64) {
    for (first, last) in
        [("2023-01-01", "2026-01-01"), ("2023-12-31", "2024-02-29"), ("2025-03-01", "2025-03-01")]
    {
        for user in [None, Some("ada"), Some("bob"), Some("eve")] {
            for service in [None, Some("vision"), Some("speech")] {
                let wanted = distinct.iter().filter(|drawn| {
                    (first..=last).contains(&drawn.day)
                        && user.is_none_or(|user| user == drawn.of.user)
                        && service.is_none_or(|service| service == drawn.service)
                });
                let expected: Vec<ServiceDay> = sums(wanted, |drawn| (drawn.day, drawn.service.clone()))
                    .into_iter()
                    .map(|((day, service_id), totals)| ServiceDay { day: day_of(day), service_id, totals })
                    .collect();
                let (from, to) = (day_of(first), day_of(last));
                let found = store.usage_by_date(from, to, user, service).await.unwrap();
                assert_eq!(found, expected, "{first} to {last}, {user:?}, {service:?}, seed {seed}");
            }
        }
    }
}

/// The day of this name.
fn day_of(text: &str) -> Day {
    Day::parse(text).unwrap()
}

facts! {
    async fn bills_and_sums_are_those_of_the_distinct_records_however_they_are_reported(store: TestStore) {
        assert_eq!(START, start_of(TODAY.0).plus(TODAY.1 * HOUR));
        for of in KEYS {
            let mut new = if of.key == of.account {
                billed(of.key, "free", (of.key == 3).then_some(1))
            } else {
                successor(of.key, of.account)
            };
            rights(&mut new.key).user_id = of.user.into();
            rights(&mut new.key).service_id = of.service.into();
            store.add(new).await;
        }
        for seed in 0..12 {
            store
                .execute(
                    "delete from usage_records; delete from usage_hours; delete from usage_days;
                     delete from usage_months; delete from usage_endpoints",
                )
                .await;
            let mut chance = StdRng::seed_from_u64(seed);
            let distinct = draw_distinct(&mut chance);
            let sent = split(&mut chance, &distinct);
            let transactions = transactions(&mut chance, sent);
            let taken = hand_in(&store, &mut chance, transactions, seed).await;
            assert_eq!(taken, distinct.len(), "each is new to one node once, seed {seed}");
            let all = distinct.iter().map(|drawn| drawn.record.clone()).collect();
            assert_eq!(store.report(all).await, Recorded::Taken { new: 0, known: taken }, "seed {seed}");
            store.assert_sums_are_of_the_records(&format!("seed {seed}")).await;
            check_bills(&store, &distinct, seed).await;
            check_stats(&store, &distinct, seed).await;
            check_days(&store, &distinct, seed).await;
        }
        assert!(store.account_usage(id(UNKNOWN_KEY), month("2024-01")).await.unwrap().is_none());
    }
}
