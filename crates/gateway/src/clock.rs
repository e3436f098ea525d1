//! The time, for measuring how long something took. Only this file asks for it.

use std::time::Duration;

use tokio::time::Instant;

/// A moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(Instant);

/// This moment.
pub(crate) fn now() -> Moment {
    Moment(Instant::now())
}

/// When so much time will have passed.
pub(crate) fn after(patience: Duration) -> Instant {
    Instant::now() + patience
}

impl Moment {
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
