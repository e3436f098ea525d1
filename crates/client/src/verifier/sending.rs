//! How reports of usage reach the service: written down at once, sent in batches until they are taken, and
//! without the records that the service can never take.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hokusai_api::errors::FieldError;
use hokusai_api::time;
use hokusai_api::usage::UsageRecord;
use hokusai_core::time::{DAY, Timestamp};
use tokio::task::JoinSet;

use super::Desk;
use super::reports::Reports;
use super::shelf::Written;
use crate::clock;
use crate::error::Error;

/// How long reports are gathered before they are written down: with the writing, less than 100 milliseconds.
const GATHER: Duration = Duration::from_millis(50);
/// How long written reports are gathered before they are sent.
const SEND_EVERY: Duration = Duration::from_secs(1);
/// The first pause after a failure, and the longest that was not asked for.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// The longest pause that a service can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Records that were read from the shelf, and how much of it they are. Those that the service has are gone
/// from it.
struct Batch {
    parts: Vec<Written>,
    bytes: u64,
}

pub(super) fn start(desk: &Arc<Desk>, tasks: &mut JoinSet<()>) {
    if let Some(reports) = &desk.reports {
        tasks.spawn(keep_writing(reports.clone()));
        tasks.spawn(keep_sending(desk.clone(), reports.clone()));
    }
}

async fn keep_writing(reports: Arc<Reports>) {
    loop {
        reports.came.notified().await;
        clock::pass(GATHER).await;
        on_disk(&reports, Reports::write_down).await;
    }
}

/// Does what waits for the disk where that keeps nobody up. `None` if the program ends.
async fn on_disk<T: Send + 'static>(
    reports: &Arc<Reports>,
    work: impl FnOnce(&Reports) -> T + Send + 'static,
) -> Option<T> {
    let reports = reports.clone();
    tokio::task::spawn_blocking(move || work(&reports)).await.ok()
}

async fn keep_sending(desk: Arc<Desk>, reports: Arc<Reports>) {
    let (shortest, longest) = PAUSES;
    let mut pause = shortest;
    loop {
        let Some(mut batch) = next(&reports).await else {
            reports.put.notified().await;
            tokio::select! {
                () = clock::pass(SEND_EVERY) => {}
                () = reports.hurry.notified() => {}
            }
            continue;
        };
        while let Err(asked) = send(&desk, &reports, &mut batch).await {
            clock::pass(pause.max(asked)).await;
            pause = pause.saturating_mul(2).min(longest);
        }
        pause = shortest;
        on_disk(&reports, move |reports| reports.finish(batch.bytes)).await;
    }
}

async fn next(reports: &Arc<Reports>) -> Option<Batch> {
    let read = on_disk(reports, Reports::read).await??;
    reports.counts.damaged.fetch_add(read.damaged, Ordering::Relaxed);
    Some(Batch { parts: vec![read.records], bytes: read.bytes })
}

/// Sends until nothing of the batch is left. An error says how long the service wants to be left alone.
async fn send(desk: &Desk, reports: &Reports, batch: &mut Batch) -> Result<(), Duration> {
    while let Some(records) = batch.parts.pop() {
        if records.is_empty() {
            continue;
        }
        let sent = records.len() as u64;
        let told = desk.reporters.tell(|node| {
            let records = &records;
            async move { node.report_usages(records).await }
        });
        match told.await {
            Ok(_) => {
                reports.counts.sent.fetch_add(sent, Ordering::Relaxed);
                reports.is_failing(None);
            }
            Err(error) if is_about_records(&error) => {
                let parts = without_refused(records.records().collect(), &error, clock::now());
                let left: usize = parts.iter().map(Vec::len).sum();
                reports.refused(sent - left as u64, &error);
                batch.parts.extend(parts.into_iter().map(Written::from_iter));
            }
            Err(error) => {
                batch.parts.push(records);
                reports.is_failing(Some(&error));
                return Err(asked_pause(&error));
            }
        }
    }
    Ok(())
}

/// Whether the same records would be refused for ever.
fn is_about_records(error: &Error) -> bool {
    match error {
        Error::Invalid { .. } => true,
        Error::Other(told) => told.status == 413,
        _ => false,
    }
}

fn asked_pause(error: &Error) -> Duration {
    let asked = match error {
        Error::Limited { retry_after, .. } | Error::Unavailable { retry_after, .. } => *retry_after,
        _ => None,
    };
    asked.unwrap_or_default().min(LONGEST_PAUSE)
}

/// What may be taken without what was refused, and what goes for the same reason. If no record is named,
/// each half is tried; a single one goes.
fn without_refused(mut records: Vec<UsageRecord>, error: &Error, now: Timestamp) -> Vec<Vec<UsageRecord>> {
    let errors: &[FieldError] = if let Error::Invalid { errors, .. } = error { errors } else { &[] };
    let named: Vec<(UsageRecord, &str)> = errors
        .iter()
        .filter_map(|error| {
            let (index, field) = named(&error.field)?;
            Some((records.get(index)?.clone(), field))
        })
        .collect();
    if named.is_empty() {
        let second = records.split_off(records.len() / 2);
        return if records.is_empty() { Vec::new() } else { vec![second, records] };
    }
    for (record, field) in named {
        match field {
            "key_id" => records.retain(|other| other.key_id != record.key_id),
            "service_id" => records.retain(|other| other.service_id != record.service_id),
            "occurred_at" => judge_instant(&mut records, &record, now),
            _ => records.retain(|other| other.idempotency_key != record.idempotency_key),
        }
    }
    vec![records]
}

/// The place and the field in `records[1].key_id`.
fn named(field: &str) -> Option<(usize, &str)> {
    let (index, rest) = field.strip_prefix("records[")?.split_once(']')?;
    Some((index.parse().ok()?, rest.strip_prefix('.').unwrap_or_default()))
}

/// A record that is new here can be refused for its time only because clocks differ: then it counts when it
/// arrives. One that is old is older than what the service keeps.
fn judge_instant(records: &mut Vec<UsageRecord>, refused: &UsageRecord, now: Timestamp) {
    let instant = |record: &UsageRecord| record.occurred_at.as_deref().and_then(time::read);
    let Some(at) = instant(refused) else {
        return records.retain(|other| other.idempotency_key != refused.idempotency_key);
    };
    if at > now.0.saturating_sub(DAY) {
        for record in records.iter_mut().filter(|record| instant(record).is_some_and(|other| other >= at)) {
            record.occurred_at = None;
        }
    } else {
        records.retain(|record| instant(record).is_none_or(|other| other > at));
    }
}

/// Writes down what is reported and waits until the service has all of it.
pub(super) async fn drain(desk: &Desk) {
    let Some(reports) = &desk.reports else { return };
    on_disk(reports, Reports::write_down).await;
    while !reports.is_empty() {
        reports.hurry.notify_one();
        clock::pass(Duration::from_millis(10)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Told;

    const NOW: Timestamp = Timestamp(1_772_620_200_000_000);

    fn record(name: &str, key: &str, minutes_ago: i64) -> UsageRecord {
        UsageRecord {
            key_id: Some(key.into()),
            service_id: "platform".into(),
            idempotency_key: Some(name.into()),
            occurred_at: Some(time::write(NOW.0 - minutes_ago * 60_000_000)),
            ..UsageRecord::default()
        }
    }

    fn told(status: u16) -> Told {
        Told { status, code: None, detail: String::new(), request_id: None }
    }

    /// What is left in which parts; a star marks a record that lost its time.
    fn left(fields: &[&str]) -> Vec<String> {
        let records = vec![
            record("a", "one", 10),
            record("b", "other", 5),
            record("c", "one", 2 * 24 * 60),
            UsageRecord { service_id: "elsewhere".into(), ..record("d", "other", 3 * 24 * 60) },
            record("e", "other", 0),
        ];
        let errors = fields.iter().map(|field| FieldError { field: (*field).into(), message: String::new() });
        let error = Error::Invalid { told: told(422), errors: errors.collect() };
        let name = |record: UsageRecord| {
            let star = if record.occurred_at.is_none() { "*" } else { "" };
            format!("{}{star}", record.idempotency_key.unwrap())
        };
        let parts = without_refused(records, &error, NOW);
        parts.into_iter().map(|part| part.into_iter().map(name).collect()).collect()
    }

    #[test]
    fn what_is_refused_goes_with_what_would_be_refused_for_the_same_reason() {
        for (fields, kept) in [
            (&["records[0].key_id"][..], &["bde"][..]),
            (&["records[3].service_id"], &["abce"]),
            (&["records[1].endpoint"], &["acde"]),
            (&["records[1].endpoint", "records[0].status_code"], &["cde"]),
            (&["records[2].occurred_at"], &["abe"]),
            (&["records[3].occurred_at"], &["abce"]),
            (&["records[1].occurred_at"], &["ab*cde*"]),
            (&["records[1]"], &["acde"]),
            (&["records"], &["cde", "ab"]),
            (&["records[99].key_id"], &["cde", "ab"]),
        ] {
            assert_eq!(left(fields), kept, "{fields:?}");
        }
    }

    #[test]
    fn a_single_record_that_is_refused_goes() {
        let error = Error::Other(told(413));
        assert!(is_about_records(&error));
        let two = vec![record("a", "one", 0), record("b", "one", 0)];
        assert_eq!(without_refused(two, &error, NOW).len(), 2);
        assert!(without_refused(vec![record("a", "one", 0)], &error, NOW).is_empty());
    }

    #[test]
    fn a_pause_is_as_long_as_the_service_asks_for_within_reason() {
        for (asked, pause) in [(None, 0), (Some(2), 2), (Some(3600), 30)] {
            let retry_after = asked.map(Duration::from_secs);
            let error = Error::Unavailable { told: told(503), retry_after };
            assert_eq!(asked_pause(&error), Duration::from_secs(pause));
            assert!(!is_about_records(&error));
        }
    }
}
