//! Instants, hours and elapsed time, as plain integers that the caller supplies.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 3600 * SECOND;
/// Microseconds in a day.
pub const DAY: i64 = 24 * HOUR;

/// An instant of the wall clock: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Later than every instant that can be written: stands for "never".
    pub const NEVER: Self = Self(i64::MAX);

    /// This instant moved by `micros`, stopping at the ends of the range.
    #[must_use]
    pub fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The first instant of the UTC clock minute that this instant lies in.
    #[must_use]
    pub fn minute(self) -> Self {
        Self(self.0.div_euclid(MINUTE).saturating_mul(MINUTE))
    }

    /// The UTC clock hour that this instant lies in.
    #[must_use]
    pub fn hour(self) -> Hour {
        Hour(self.0.div_euclid(HOUR))
    }

    /// The instant, unless it is [`Timestamp::NEVER`].
    #[must_use]
    pub fn if_ever(self) -> Option<Self> {
        (self != Self::NEVER).then_some(self)
    }
}

/// A UTC clock hour: whole hours since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub i64);

impl Hour {
    /// The first instant after this hour.
    #[must_use]
    pub fn end(self) -> Timestamp {
        Timestamp((self.0 + 1).saturating_mul(HOUR))
    }
}

/// Time that runs on while the machine sleeps, in microseconds since some start of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Elapsed(pub i64);

impl Elapsed {
    /// This instant and `duration` more.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A duration in whole microseconds, stopping at the end of the range.
#[must_use]
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Joins a clock that may stop in sleep with one that may be set by hand, into one that never runs slow.
///
/// It follows `boot` (which a set wall clock cannot move) and adds every leap ahead that the wall clock
/// makes against it (a suspended virtual machine shows only there). Leaps back add nothing. To read it between
/// leaps takes no lock.
#[derive(Debug)]
pub struct ElapsedMeter {
    /// How far the wall clock is ahead of the other. What it leapt is there before it.
    offset: AtomicI64,
    leapt: AtomicI64,
    /// One at a time notes a leap.
    leaping: Mutex<()>,
}

impl ElapsedMeter {
    /// A smaller difference between the two clocks is drift, not a leap; it adds up until it is one.
    const LEAP: i64 = SECOND / 10;

    /// Starts at the two clocks' present readings, in microseconds.
    #[must_use]
    pub fn new(boot: i64, wall: Timestamp) -> Self {
        let offset = AtomicI64::new(wall.0.saturating_sub(boot));
        Self { offset, leapt: AtomicI64::new(0), leaping: Mutex::new(()) }
    }

    /// The elapsed time at the two clocks' present readings, in microseconds.
    pub fn read(&self, boot: i64, wall: Timestamp) -> Elapsed {
        let offset = wall.0.saturating_sub(boot);
        if self.leap(offset).abs() > Self::LEAP {
            self.note(offset);
        }
        Elapsed(boot.saturating_add(self.leapt.load(Ordering::Relaxed)))
    }

    fn leap(&self, offset: i64) -> i64 {
        offset.saturating_sub(self.offset.load(Ordering::Acquire))
    }

    fn note(&self, offset: i64) {
        let _one = self.leaping.lock().unwrap_or_else(PoisonError::into_inner);
        let leap = self.leap(offset);
        // Perhaps another noted it meanwhile.
        if leap.abs() > Self::LEAP {
            let leapt = self.leapt.load(Ordering::Relaxed);
            self.leapt.store(leapt.saturating_add(leap.max(0)), Ordering::Relaxed);
            self.offset.store(offset, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_ends_where_the_next_begins() {
        let last = Timestamp(HOUR - 1);
        assert_eq!(last.hour(), Hour(0));
        assert_eq!(last.hour().end(), Timestamp(HOUR));
        assert_eq!(last.plus(1).hour(), Hour(1));
        assert_eq!(Timestamp(-1).hour(), Hour(-1));
    }

    #[test]
    fn elapsed_time_counts_leaps_ahead_and_ignores_leaps_back() {
        let meter = ElapsedMeter::new(0, Timestamp(0));
        assert_eq!(meter.read(10, Timestamp(10)), Elapsed(10));
        assert_eq!(meter.read(20, Timestamp(20 + 5 * SECOND)), Elapsed(20 + 5 * SECOND));
        assert_eq!(meter.read(30, Timestamp(30)), Elapsed(30 + 5 * SECOND));
        assert_eq!(meter.read(SECOND, Timestamp(SECOND)), Elapsed(6 * SECOND));
    }
}
