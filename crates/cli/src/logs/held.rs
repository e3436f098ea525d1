//! Log lines on their way to where they are written.
//!
//! A gateway writes a line for each request. Written one by one they cost a request more than the check of its key,
//! so they wait for one another a moment. Whatever else is logged is written at once, behind what waited.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use hokusai_api::time::Times;
use hokusai_gateway::{ACCESS, Access};
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::{clock, text};

/// How long a line waits at the most.
const MOMENT: Duration = Duration::from_millis(100);
/// What waits for a pipe, or whatever else, has at most so many bytes. A pipe takes them as a whole (`PIPE_BUF`), so
/// that the lines of several processes do not get into one another.
pub(super) const PIPE: usize = 4096;
/// What waits for a file, which takes any number of bytes as a whole, has at most so many.
pub(super) const FILE: usize = 64 * 1024;

/// Lines on their way. What waits is written when it is dropped.
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    log: Mutex<Log>,
    /// It is locked before the log, so that nobody who only brings a line waits until others are written.
    out: Mutex<Out>,
    /// The first line waits.
    came: Condvar,
    /// The most bytes that wait.
    at_once: usize,
}

struct Log {
    waiting: Vec<u8>,
    /// Writes the times of lines about requests.
    times: Times,
    /// Whether the thread that writes what has waited is to be told of the first line.
    is_idle: bool,
    has_ended: bool,
}

/// Where lines are written, in the order in which they came.
struct Out {
    to: Box<dyn Write + Send>,
    lines: Vec<u8>,
}

/// What writes lines to the log.
pub(super) struct LineWriter(Arc<Shared>);

/// What writes one line.
pub(super) struct Line<'a> {
    shared: &'a Shared,
    may_wait: bool,
}

impl Lines {
    /// Lines that are written to `out`, at most so many bytes at once.
    pub(super) fn to(out: impl Write + Send + 'static, at_once: usize) -> Self {
        Self::held_for(MOMENT, out, at_once)
    }

    fn held_for(moment: Duration, out: impl Write + Send + 'static, at_once: usize) -> Self {
        let log = Log {
            waiting: Vec::with_capacity(at_once),
            times: Times::default(),
            is_idle: false,
            has_ended: false,
        };
        let out = Out { to: Box::new(out), lines: Vec::with_capacity(at_once) };
        let shared =
            Arc::new(Shared { log: Mutex::new(log), out: Mutex::new(out), came: Condvar::new(), at_once });
        let writing = shared.clone();
        // Without the thread a line waits for the next ones.
        let _ = thread::Builder::new().name("log".to_owned()).spawn(move || writing.keep_writing(moment));
        Self(shared)
    }

    pub(super) fn writer(&self) -> LineWriter {
        LineWriter(self.0.clone())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.0.lock().has_ended = true;
        self.0.came.notify_one();
        self.0.write_waiting();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what has waited, until the log ends.
    fn keep_writing(&self, moment: Duration) {
        let mut log = self.lock();
        while !log.has_ended {
            log.is_idle = true;
            let idle = |log: &mut Log| log.waiting.is_empty() && !log.has_ended;
            log = self.came.wait_while(log, idle).unwrap_or_else(PoisonError::into_inner);
            log.is_idle = false;
            drop(log);
            thread::sleep(moment);
            self.write_waiting();
            log = self.lock();
        }
    }

    /// Has a line of at most so many bytes added.
    fn add(&self, length: usize, may_wait: bool, line: impl FnOnce(&mut Log)) {
        let mut log = self.lock();
        while !log.waiting.is_empty() && log.waiting.len() + length > self.at_once {
            drop(log);
            self.write_waiting();
            log = self.lock();
        }
        let is_first = log.waiting.is_empty();
        line(&mut log);
        // Nobody writes what comes after the end.
        if !may_wait || log.has_ended {
            drop(log);
            self.write_waiting();
        } else if log.is_idle && is_first {
            self.came.notify_one();
        }
    }

    /// A log that can't be written is no reason to end: the lines are lost.
    fn write_waiting(&self) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Out { to, lines } = &mut *out;
        std::mem::swap(&mut self.lock().waiting, lines);
        let _ = to.write_all(lines);
        lines.clear();
    }
}

impl LineWriter {
    /// Adds the line about a request.
    pub(super) fn add(&self, access: &Access<'_>) {
        let line = text::Line::about(access);
        self.0.add(line.longest(), true, |Log { waiting, times, .. }| {
            line.add_to(waiting, times.write_in_full(clock::now()));
        });
    }
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { shared: &self.0, may_wait: false }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line<'a> {
        Line { shared: &self.0, may_wait: about.target() == ACCESS }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.shared.add(line.len(), self.may_wait, |log| log.waiting.extend_from_slice(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tests see written.
#[cfg(test)]
#[derive(Clone, Default)]
pub(super) struct Written(Arc<Mutex<Vec<String>>>);

#[cfg(test)]
impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(String::from_utf8(bytes.to_owned()).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
impl Written {
    /// What was written since: one text for each time.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Dispatch, Subscriber};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// A log in which lines wait for so long, what writes to it, and what was written.
    fn log(moment: Duration) -> (Lines, impl Subscriber + Send + Sync, Written) {
        let written = Written::default();
        let logs = Lines::held_for(moment, written.clone(), PIPE);
        let lines = tracing_subscriber::fmt().with_writer(logs.writer()).with_ansi(false);
        (logs, lines.without_time().with_target(false).with_level(false).finish(), written)
    }

    fn request(number: usize) {
        tracing::info!(target: ACCESS, number);
    }

    /// Waits until something is so; false if it is not for long.
    fn until(is_so: impl Fn() -> bool) -> bool {
        (0..20_000).any(|_| {
            is_so() || {
                thread::sleep(Duration::from_millis(1));
                false
            }
        })
    }

    #[test]
    fn lines_about_requests_wait_for_one_another_and_others_for_none() {
        let (_logs, logging, written) = log(LONG);
        tracing::subscriber::with_default(logging, || {
            request(1);
            request(2);
            assert_eq!(written.take(), [] as [&str; 0]);
            tracing::warn!("now");
            assert_eq!(written.take(), ["number=1\nnumber=2\nnow\n"]);
            (0..PIPE / 8).for_each(request);
            let at_once = written.take();
            assert!(at_once.len() == 1 && (PIPE - 20..=PIPE).contains(&at_once[0].len()), "{at_once:?}");
            assert!(at_once[0].ends_with('\n'));
        });
    }

    #[test]
    fn lines_that_take_no_detour_wait_with_the_others_and_are_never_cut() {
        const ROUTE: &str = "/a/route/of/some/length";
        let (logs, logging, written) = log(LONG);
        let access = |took_us| Access {
            request_id: "an-id",
            method: "GET",
            route: ROUTE,
            status: 200,
            client: "::1",
            key_id: None,
            took_us,
        };
        tracing::subscriber::with_default(logging, || {
            request(1);
            logs.writer().add(&access(2));
            assert_eq!(written.take(), [] as [&str; 0]);
            tracing::warn!("now");
            let all = written.take().concat();
            let lines: Vec<&str> = all.lines().collect();
            assert!(lines.len() == 3 && lines[1].ends_with(" took_us=2"), "{all}");
            assert!(lines[1].find(' ') == Some("1970-01-01T00:00:00.000000Z".len()), "{all}");
            (0..100).for_each(|took_us| logs.writer().add(&access(took_us)));
        });
        drop(logs);
        let parts = written.take();
        assert!(parts.len() > 2 && parts.iter().all(|part| part.len() <= PIPE && part.ends_with('\n')));
        let whole = |(number, line): (usize, &str)| line.ends_with(&format!("client=::1 took_us={number}"));
        assert!(parts.concat().lines().enumerate().all(whole), "{parts:?}");
        assert_eq!(parts.concat().lines().count(), 100);
    }

    #[test]
    fn no_line_waits_for_ever() {
        let (_logs, logging, written) = log(Duration::from_millis(1));
        tracing::subscriber::with_default(logging, || {
            for number in [1, 2] {
                request(number);
                until(|| !written.0.lock().unwrap().is_empty());
                assert_eq!(written.take(), [format!("number={number}\n")]);
            }
        });
    }

    #[test]
    fn no_line_waits_until_others_are_written() {
        let (logs, logging, written) = log(Duration::from_millis(1));
        let logging = Dispatch::new(logging);
        let logged = |log: fn()| tracing::dispatcher::with_default(&logging, log);
        thread::scope(|scope| {
            let disk_is_slow = written.0.lock().unwrap();
            scope.spawn(|| logged(|| tracing::warn!("now")));
            until(|| logs.0.out.try_lock().is_err());
            let asking = scope.spawn(|| {
                logged(|| request(1));
                // What writes lines that waited is held up now, too.
                thread::sleep(Duration::from_millis(50));
                logged(|| request(2));
            });
            let has_waited = !until(|| asking.is_finished());
            drop(disk_is_slow);
            assert!(!has_waited);
        });
        drop(logs);
        assert_eq!(written.take().concat(), "now\nnumber=1\nnumber=2\n");
    }

    #[test]
    fn lines_of_many_threads_are_whole_and_in_order() {
        let (logs, logging, written) = log(Duration::from_millis(1));
        let logging = Dispatch::new(logging);
        thread::scope(|scope| {
            for first in [1_000_000, 2_000_000, 3_000_000, 4_000_000] {
                let logging = &logging;
                let all = move || {
                    for number in first..first + 2000 {
                        if number % 3 == 0 { tracing::warn!(number) } else { request(number) }
                    }
                };
                scope.spawn(move || tracing::dispatcher::with_default(logging, all));
            }
        });
        drop(logs);
        let lines = written.take().concat();
        let mut numbers: Vec<usize> =
            lines.lines().map(|line| line.strip_prefix("number=").unwrap().parse().unwrap()).collect();
        // Those of one thread stay as they were.
        numbers.sort_by_key(|number| number / 1_000_000);
        let expected = (1..=4).flat_map(|thread| (0..2000).map(move |number| thread * 1_000_000 + number));
        assert!(numbers.into_iter().eq(expected));
    }

    #[test]
    fn nothing_that_waits_is_lost_at_the_end() {
        let (logs, logging, written) = log(LONG);
        tracing::subscriber::with_default(logging, || {
            request(1);
            drop(logs);
            assert_eq!(written.take(), ["number=1\n"]);
            // Nobody would write it later.
            request(2);
            assert_eq!(written.take(), ["number=2\n"]);
        });
    }
}
