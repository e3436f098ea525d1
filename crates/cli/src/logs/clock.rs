//! The clock that lines of log go by.

use jiff::Timestamp;

/// Microseconds since 1970, by the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(super) fn now() -> i64 {
    Timestamp::now().as_microsecond()
}
