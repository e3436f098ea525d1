//! The one place that asks for the time, waits, and asks for chance.

use std::time::{Duration, SystemTime};

use hokusai_core::time::{Timestamp, micros};

/// The instant of the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(since_epoch.map_or(0, micros))
}

/// Lets `duration` pass.
pub(crate) async fn pass(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Any number from 0 to below 1.
pub(crate) fn chance() -> f64 {
    rand::random()
}
