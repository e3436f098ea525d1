//! Reports of usage: what was served, kept until the service has taken it.
//!
//! Whoever reports waits for neither disk nor network: a note goes to a buffer, from there to the shelf as a record
//! at least every 100 milliseconds, and from there to the service.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hokusai_api::time::Times;
use hokusai_core::id::{HolderId, KeyId};
use hokusai_core::time::Timestamp;
use hokusai_core::usage::{self, MAX_ENDPOINT, MAX_RESPONSE_MS};
use tokio::sync::Notify;

use super::journal::JournalError;
use super::metrics::ReportMetrics;
use super::per_thread::PerThread;
use super::shelf::{Read, Shelf, add_line};
use crate::clock::lock;
use crate::error::Error;

/// The most of one thread's that waits to be written down, in bytes of notes. Their records are several times as large.
const MOST_BUFFERED: usize = 2 * 1024 * 1024;

/// About how long a line of a record is without the texts, in bytes.
const USUAL: usize = 256;

/// One request that was admitted and answered.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// The key that it was admitted by.
    pub key: KeyId,
    /// The service that it was for: one that the authentication service knows.
    pub service_id: &'a str,
    /// What was asked for: a route such as `/models/{id}`, not a path with ids, of which there may be any
    /// number. It is cut off after 256 characters.
    pub endpoint: &'a str,
    /// The HTTP status of the answer.
    pub status: u16,
    /// How long the answer took.
    pub took: Duration,
}

/// Reports on their way.
#[derive(Debug)]
pub(crate) struct Reports {
    /// What the idempotency keys of this process begin with.
    maker: HolderId,
    /// How many numbers were given: in order, for whoever gives some holds the shelf.
    made: AtomicU64,
    /// Of each thread that reports one.
    buffers: PerThread<Mutex<Buffer>>,
    shelf: Mutex<Shelf>,
    /// There is something in the buffer.
    pub(crate) came: Notify,
    /// There is something on the shelf.
    pub(crate) put: Notify,
    /// What is on the shelf is to be sent at once.
    pub(crate) hurry: Notify,
    pub(crate) counts: Counts,
    is_dropping: AtomicBool,
    is_failing: AtomicBool,
}

/// What is not written down yet. A note is small and quickly taken; whoever writes them down makes records of many
/// at once.
#[derive(Debug, Default)]
struct Buffer {
    notes: Vec<Note>,
    /// The services and endpoints of all notes, one after the other.
    texts: String,
}

/// What is known of a request that was served, but for the texts.
#[derive(Clone, Copy, Debug)]
struct Note {
    at: Timestamp,
    key: KeyId,
    status: u16,
    took: Duration,
    service_length: usize,
    endpoint_length: usize,
}

/// How many records came to which end.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: AtomicU64,
    pub(crate) no_room: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) damaged: AtomicU64,
}

impl Reports {
    pub(crate) fn open(maker: HolderId, directory: Option<&Path>, most: u64) -> Result<Self, JournalError> {
        Ok(Self {
            maker,
            made: AtomicU64::new(0),
            buffers: PerThread::default(),
            shelf: Mutex::new(Shelf::open(directory, most)?),
            came: Notify::new(),
            put: Notify::new(),
            hurry: Notify::new(),
            counts: Counts::default(),
            is_dropping: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
        })
    }

    /// Keeps one report, unless it shows that `is_left`: that this process has been forked off from the one that sends
    /// them. Asking that each time would take longer than all else here.
    pub(crate) fn take(&self, served: &Served<'_>, now: Timestamp, is_left: impl Fn() -> bool) {
        let own = self.buffers.own();
        let mut buffer = match own.try_lock() {
            Ok(buffer) => buffer,
            // Whoever held it when the process was forked holds it for ever; and below, whoever was being told.
            Err(_) if is_left() => return,
            Err(_) => lock(own),
        };
        if buffer.notes.is_empty() && is_left() {
            return;
        }
        if buffer.bytes() > MOST_BUFFERED {
            drop(buffer);
            return self.no_room(1);
        }
        buffer.take(served, now);
        let is_first = buffer.notes.len() == 1;
        drop(buffer);
        if is_first {
            self.came.notify_one();
        }
    }

    /// Writes down what is in the buffer. It waits for the disk.
    pub(crate) fn write_down(&self) {
        let mut shelf = lock(&self.shelf);
        let mut lines = Vec::new();
        for buffer in self.buffers.iter().map(|buffer| std::mem::take(&mut *lock(buffer))) {
            let first = self.made.fetch_add(buffer.notes.len() as u64, Ordering::Relaxed);
            buffer.write(&mut lines, self.maker, first);
        }
        if lines.is_empty() {
            return;
        }
        let dropped = shelf.put(&lines);
        drop(shelf);
        self.no_room(dropped);
        self.put.notify_one();
    }

    /// The oldest records that are written down. It waits for the disk.
    pub(crate) fn read(&self) -> Option<Read> {
        let read = lock(&self.shelf).read();
        if read.is_none() {
            // If there is no room again later, that is news again.
            self.is_dropping.store(false, Ordering::Relaxed);
        }
        read
    }

    /// The service has what was read last, or will never take it. It waits for the disk.
    pub(crate) fn finish(&self, bytes: u64) {
        lock(&self.shelf).finish(bytes);
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        // Whoever writes down holds the shelf from when it takes the buffer.
        let shelf = lock(&self.shelf);
        shelf.is_empty() && self.buffered() == 0
    }

    /// How many notes are not written down.
    fn buffered(&self) -> usize {
        self.buffers.iter().map(|buffer| lock(buffer).notes.len()).sum()
    }

    /// How the reports stand.
    pub(crate) fn metrics(&self) -> ReportMetrics {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { sent, no_room, refused, damaged } = &self.counts;
        // One after the other: whoever writes down holds the shelf while it takes the buffer.
        let buffered = self.buffered() as u64;
        let waiting_bytes = lock(&self.shelf).bytes();
        ReportMetrics {
            buffered,
            waiting_bytes,
            sent: count(sent),
            no_room: count(no_room),
            refused: count(refused),
            damaged: count(damaged),
        }
    }

    /// Whether reports reach the service; the first failure is logged.
    pub(crate) fn is_failing(&self, error: Option<&Error>) {
        let was_failing = self.is_failing.swap(error.is_some(), Ordering::Relaxed);
        if let Some(error) = error.filter(|_| !was_failing) {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "usage can't be reported; it is kept and sent later"
            );
        }
    }

    /// The service will never take these.
    pub(crate) fn refused(&self, records: u64, error: &Error) {
        if records > 0 {
            self.counts.refused.fetch_add(records, Ordering::Relaxed);
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, records, "the service refuses reports of usage; they are dropped");
        }
    }

    fn no_room(&self, records: u64) {
        if records == 0 {
            return;
        }
        self.counts.no_room.fetch_add(records, Ordering::Relaxed);
        if !self.is_dropping.swap(true, Ordering::Relaxed) {
            tracing::warn!("reports of usage are dropped: as many as may wait for the service do");
        }
    }
}

impl Buffer {
    /// Bytes that it holds.
    fn bytes(&self) -> usize {
        self.notes.len() * size_of::<Note>() + self.texts.len()
    }

    fn take(&mut self, served: &Served<'_>, at: Timestamp) {
        let Served { key, service_id, status, took, .. } = *served;
        let endpoint = endpoint(served.endpoint);
        let (service_length, endpoint_length) = (service_id.len(), endpoint.len());
        self.texts.push_str(service_id);
        self.texts.push_str(&endpoint);
        self.notes.push(Note { at, key, status, took, service_length, endpoint_length });
    }

    /// Writes a line for the shelf of each; the first has this number.
    fn write(&self, lines: &mut Vec<u8>, maker: HolderId, first: u64) {
        lines.reserve(self.notes.len() * USUAL + self.texts.len());
        let (maker, mut times) = (maker.to_string(), Times::default());
        let mut texts = &*self.texts;
        for (note, number) in self.notes.iter().zip(first..) {
            let (service_id, rest) = texts.split_at(note.service_length);
            let (endpoint, rest) = rest.split_at(note.endpoint_length);
            texts = rest;
            add_line(lines, |line| note.write(line, [service_id, endpoint], (&maker, number), &mut times));
        }
    }
}

impl Note {
    /// Writes a [`UsageRecord`](hokusai_api::usage::UsageRecord) with whose form the service can't find fault. There
    /// is one for each request, so numbers and times are written without the detours of formats.
    fn write(
        &self,
        line: &mut Vec<u8>,
        [service_id, endpoint]: [&str; 2],
        (maker, number): (&str, u64),
        times: &mut Times,
    ) -> io::Result<()> {
        write!(line, r#"{{"key_id":"{}","service_id":"#, self.key)?;
        serde_json::to_writer(&mut *line, service_id)?;
        line.write_all(br#","endpoint":"#)?;
        serde_json::to_writer(&mut *line, endpoint)?;
        let took = self.took.min(Duration::from_millis(MAX_RESPONSE_MS.unsigned_abs()));
        let in_millis = took.as_secs() * 1000 + u64::from(took.subsec_millis());
        let [mut status, mut millis, mut micros, mut numeral] = [itoa::Buffer::new(); 4];
        let rest = [
            r#","status_code":"#,
            status.format(self.status.clamp(100, 599)),
            r#","response_time_ms":"#,
            millis.format(in_millis),
            ".",
            // Three digits, behind one that is not one of them.
            &micros.format(1000 + took.subsec_micros() % 1000)[1..],
            r#","idempotency_key":""#,
            maker,
            "-",
            numeral.format(number),
            r#"","occurred_at":""#,
            times.write(self.at.0),
            r#""}"#,
        ];
        rest.into_iter().try_for_each(|part| line.write_all(part.as_bytes()))
    }
}

/// An endpoint that the service takes: mostly the one that is given.
fn endpoint(given: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
    if (1..=MAX_ENDPOINT).contains(&given.len()) && given.bytes().all(is_plain) {
        return Cow::Borrowed(given);
    }
    let bounded: String = given.chars().filter(|letter| !letter.is_control()).take(MAX_ENDPOINT).collect();
    Cow::Owned(usage::endpoint(&bounded).map_or_else(|| "unknown".to_owned(), String::from))
}

#[cfg(test)]
mod tests {
    use hokusai_api::usage::UsageRecord;

    use super::*;

    const MAKER: &str = "018f0000-0000-7000-8000-000000000001";

    fn served<'a>(endpoint: &'a str, status: u16, took: Duration) -> Served<'a> {
        Served { key: MAKER.parse().unwrap(), service_id: "platform", endpoint, status, took }
    }

    #[test]
    fn no_report_has_a_form_that_the_service_refuses() {
        let long = "x".repeat(300);
        for (endpoint, status, took, kept) in [
            ("/a", 200, Duration::from_micros(1500), ("/a", 200, 1.5)),
            ("/a", 200, Duration::from_nanos(61_001_999), ("/a", 200, 61.001)),
            (r#"/a"\b"#, 200, Duration::ZERO, (r#"/a"\b"#, 200, 0.0)),
            ("/a?secret", 999, Duration::ZERO, ("/a", 599, 0.0)),
            ("", 7, Duration::MAX, ("unknown", 100, 86_400.0 * 1000.0)),
            ("/a\n/b", 404, Duration::from_secs(1), ("/a/b", 404, 1000.0)),
            (&long, 200, Duration::ZERO, (&long[..256], 200, 0.0)),
        ] {
            let mut buffer = Buffer::default();
            buffer.take(&served(endpoint, status, took), Timestamp(0));
            let mut lines = Vec::new();
            buffer.write(&mut lines, MAKER.parse().unwrap(), 0);
            let lines = String::from_utf8(lines).unwrap();
            let (_, record) = lines.split_once(' ').unwrap();
            let record: UsageRecord = serde_json::from_str(record).unwrap();
            let form = (&*record.endpoint, record.status_code, record.response_time_ms);
            assert_eq!(form, kept, "{endpoint}");
            assert_eq!((record.key_id.as_deref(), &*record.service_id), (Some(MAKER), "platform"));
            assert_eq!(record.occurred_at.as_deref(), Some("1970-01-01T00:00:00Z"));
        }
    }

    #[test]
    fn every_report_is_told_apart_and_written_in_order() {
        let reports = Reports::open(MAKER.parse().unwrap(), None, 1 << 20).unwrap();
        let take =
            |endpoint, at| reports.take(&served(endpoint, 200, Duration::ZERO), Timestamp(at), || false);
        take("/a", 1_000_001);
        take("/a", 2_000_000);
        assert_eq!(reports.read(), None);
        assert!(!reports.is_empty());
        reports.write_down();
        // Now there is nothing.
        reports.write_down();
        take("/b", 2_500_000);
        reports.write_down();
        let read = reports.read().unwrap();
        let kept: Vec<_> = read
            .records
            .records()
            .map(|record| {
                (
                    record.endpoint,
                    record.key_id.unwrap(),
                    record.idempotency_key.unwrap(),
                    record.occurred_at.unwrap(),
                )
            })
            .collect();
        let report = |endpoint: &str, number, second: &str| {
            let (name, at) = (format!("{MAKER}-{number}"), format!("1970-01-01T00:00:0{second}Z"));
            (endpoint.into(), MAKER.into(), name, at)
        };
        let expected = [report("/a", 0, "1.000001"), report("/a", 1, "2"), report("/b", 2, "2.500000")];
        assert_eq!(kept, expected);
        reports.finish(read.bytes);
        assert!(reports.is_empty());
    }

    #[test]
    fn a_process_that_was_forked_off_waits_for_nobody_who_is_not_there() {
        let reports = Reports::open(MAKER.parse().unwrap(), None, 400).unwrap();
        let caught_at_it: Vec<_> = reports.buffers.iter().map(lock).collect();
        std::thread::scope(|scope| {
            let take =
                |is_left| reports.take(&served("/a", 200, Duration::ZERO), Timestamp(0), move || is_left);
            scope.spawn(move || take(true)).join().unwrap();
            let waiting = scope.spawn(move || take(false));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!waiting.is_finished(), "others wait for their turn");
            drop(caught_at_it);
            waiting.join().unwrap();
        });
        assert_eq!(reports.metrics().buffered, 1);
    }

    #[test]
    fn whoever_looks_at_the_figures_keeps_nobody_from_reporting() {
        let reports = Reports::open(MAKER.parse().unwrap(), None, 400).unwrap();
        let writing = lock(&reports.shelf);
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| reports.metrics());
            std::thread::sleep(Duration::from_millis(100));
            assert!(!looking.is_finished(), "the disk is waited for");
            assert!(
                reports.buffers.iter().all(|buffer| buffer.try_lock().is_ok()),
                "and nothing is held meanwhile"
            );
            drop(writing);
            assert_eq!(looking.join().unwrap().buffered, 0);
        });
    }

    #[test]
    fn reports_beyond_the_room_are_counted() {
        let reports = Reports::open(MAKER.parse().unwrap(), None, 400).unwrap();
        for _ in 0..3 {
            reports.take(&served("/a", 200, Duration::ZERO), Timestamp(0), || false);
        }
        reports.write_down();
        assert_eq!(reports.read().unwrap().records.len(), 1);
        assert_eq!(reports.counts.no_room.load(Ordering::Relaxed), 2);
        lock(reports.buffers.own()).texts = "x".repeat(MOST_BUFFERED + 1);
        reports.take(&served("/a", 200, Duration::ZERO), Timestamp(0), || false);
        assert_eq!(reports.counts.no_room.load(Ordering::Relaxed), 3);
    }
}
