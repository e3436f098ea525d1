//! The one place that asks for the time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hokusai_core::time::{Elapsed, ElapsedMeter, Timestamp, micros};
use rustix::time::{ClockId, clock_gettime};

/// A clock: the machine's, or one that a test moves by hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Arc<ElapsedMeter>),
    Manual(ManualClock),
}

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<(Timestamp, Elapsed)>>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(Arc::new(ElapsedMeter::new(boot_micros(), wall()))))
    }

    /// The instant of the wall clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System(_) => wall(),
            Source::Manual(clock) => clock.read().0,
        }
    }

    /// Time that runs on while the machine sleeps.
    #[must_use]
    pub fn elapsed(&self) -> Elapsed {
        match &self.0 {
            Source::System(meter) => meter.read(boot_micros(), wall()),
            Source::Manual(clock) => clock.read().1,
        }
    }
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new((now, Elapsed(0)))))
    }

    /// Lets `duration` pass.
    pub fn advance(&self, duration: Duration) {
        let mut at = lock(&self.0);
        *at = (at.0.plus(micros(duration)), at.1.after(duration));
    }

    /// Lets time pass until `then`, which must not lie behind.
    pub fn advance_to(&self, then: Timestamp) {
        let ahead = u64::try_from(then.0 - self.read().0.0).expect("a manual clock moves ahead only");
        self.advance(Duration::from_micros(ahead));
    }

    fn read(&self) -> (Timestamp, Elapsed) {
        *lock(&self.0)
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self(Source::Manual(clock))
    }
}

/// A mutex of plain data is usable even after a panic elsewhere.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn wall() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since_epoch.map_or(0, micros))
}

fn boot_micros() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1000)
}
