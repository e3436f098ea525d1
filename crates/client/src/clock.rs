//! The one place that asks for the time, waits, and asks for chance.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hokusai_core::time::{Elapsed, ElapsedMeter, Timestamp, micros};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Sleep;

/// The instant of the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(since_epoch.map_or(0, micros))
}

/// Lets `duration` pass, by the timer of the runtime that this is called in.
pub(crate) fn pass(duration: Duration) -> Sleep {
    tokio::time::sleep(duration)
}

/// Any number from 0 to below 1.
pub(crate) fn chance() -> f64 {
    rand::random()
}

/// The operating system's generator. It fails only where the system can't serve anyone.
pub(crate) fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// Time that runs on while the machine sleeps.
#[derive(Debug)]
pub(crate) struct ElapsedClock(ElapsedMeter);

impl ElapsedClock {
    pub(crate) fn new() -> Self {
        Self(ElapsedMeter::new(boot_micros(), now()))
    }

    pub(crate) fn read(&self) -> Elapsed {
        self.0.read(boot_micros(), now())
    }
}

/// Measures how long something took.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    /// Begins to measure.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it took until now.
    #[must_use]
    pub fn read(self) -> Duration {
        self.0.elapsed()
    }
}

fn boot_micros() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1000)
}

/// A mutex of plain data is usable even after a panic elsewhere.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
