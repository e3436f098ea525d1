//! Waiting, with an end, and telling how long things took.

use std::io::Write as _;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "a test of real processes measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Asks again and again until there is an answer.
pub(crate) fn eventually<T>(within: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < within, "{what} did not come true within {within:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes a figure where it is seen even when all is well.
pub(crate) fn figure(text: &str) {
    // A figure that nobody can read is no reason to fail.
    let _ = writeln!(std::io::stderr(), "figure: {text}");
}

/// The 50th and 99th percentile, and the largest.
pub(crate) fn percentiles(mut durations: Vec<Duration>) -> (Duration, Duration, Duration) {
    durations.sort_unstable();
    let at = |percent: usize| durations[(durations.len() * percent).div_ceil(100) - 1];
    (at(50), at(99), at(100))
}
