//! The clock that lines of log go by.

use jiff::Timestamp;

/// The time of the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
