//! Whether a call is made once more, and after which pause. Neither clock nor chance is asked here.

use std::time::{Duration, SystemTime};

use hokusai_core::time::{Timestamp, micros};

/// The longest first pause that was not asked for.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause at all that was not asked for.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The longest wait that a service can ask for; beyond it, the caller decides.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// When a call may be made once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It ends the same way however often it is made.
    Freely,
    /// It does or spends something each time: only if it certainly did not reach the service.
    IfUnsent,
}

/// Why a call did not succeed, though it might later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// There was no connection, so nothing was sent.
    Unsent,
    /// It was sent, and no whole answer came.
    Lost,
    /// The service, or something in front of it, can't answer now.
    Busy { retry_after: Option<Duration> },
}

impl Setback {
    /// What an answer's status says of trying again.
    pub(crate) fn of_status(status: u16, retry_after: Option<Duration>) -> Option<Self> {
        matches!(status, 429 | 502..=504).then_some(Self::Busy { retry_after })
    }
}

/// The pause before the next attempt; `None` if there is none. `made` says how often it was tried again,
/// and `chance` is a number from 0 to 1.
pub(crate) fn pause(
    repeat: Repeat,
    setback: Setback,
    made: u32,
    retries: u32,
    chance: f64,
) -> Option<Duration> {
    let is_harmless = repeat == Repeat::Freely || setback == Setback::Unsent;
    let asked = match setback {
        Setback::Unsent | Setback::Lost => Duration::ZERO,
        Setback::Busy { retry_after } => retry_after.unwrap_or_default(),
    };
    let goes_on = is_harmless && made < retries && asked <= LONGEST_WAIT;
    goes_on.then(|| asked + longest_pause(made).mul_f64(chance))
}

/// The wait that a `Retry-After` header asks for: seconds, or a date.
pub(crate) fn read_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let ahead = micros(date).saturating_sub(now.0);
    Some(Duration::from_micros(u64::try_from(ahead).unwrap_or(0)))
}

fn longest_pause(made: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(made)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(seconds: u64) -> Setback {
        Setback::Busy { retry_after: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn what_does_something_each_time_is_repeated_only_if_it_was_never_sent() {
        let unasked = Setback::Busy { retry_after: None };
        for (repeat, setback, goes_on) in [
            (Repeat::Freely, Setback::Unsent, true),
            (Repeat::Freely, Setback::Lost, true),
            (Repeat::Freely, unasked, true),
            (Repeat::Freely, busy(0), true),
            (Repeat::IfUnsent, Setback::Unsent, true),
            (Repeat::IfUnsent, Setback::Lost, false),
            (Repeat::IfUnsent, unasked, false),
            (Repeat::IfUnsent, busy(0), false),
        ] {
            let pause = pause(repeat, setback, 0, 2, 0.5);
            assert_eq!(pause.is_some(), goes_on, "{repeat:?} after {setback:?}");
        }
    }

    #[test]
    fn there_are_only_so_many_attempts() {
        for (made, retries, goes_on) in [(0, 2, true), (1, 2, true), (2, 2, false), (0, 0, false)] {
            let pause = pause(Repeat::Freely, Setback::Lost, made, retries, 0.5);
            assert_eq!(pause.is_some(), goes_on, "{made} of {retries}");
        }
    }

    #[test]
    fn the_longest_pause_doubles_up_to_two_seconds_and_chance_takes_its_part() {
        for (made, chance, millis) in [
            (0, 0.0, 0),
            (0, 0.5, 50),
            (0, 1.0, 100),
            (1, 1.0, 200),
            (4, 1.0, 1600),
            (5, 1.0, 2000),
            (40, 0.5, 1000),
        ] {
            let pause = pause(Repeat::Freely, Setback::Unsent, made, 99, chance);
            assert_eq!(pause, Some(Duration::from_millis(millis)), "{made} at {chance}");
        }
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept_unless_it_is_longer_than_five_seconds() {
        for (asked, pause_ms) in [(0, Some(50)), (1, Some(1050)), (5, Some(5050)), (6, None), (3600, None)] {
            let pause = pause(Repeat::Freely, busy(asked), 0, 2, 0.5);
            assert_eq!(pause, pause_ms.map(Duration::from_millis), "{asked}");
        }
    }

    #[test]
    fn only_what_passes_is_a_setback() {
        for (status, is_setback) in [
            (200, false),
            (401, false),
            (409, false),
            (429, true),
            (500, false),
            (502, true),
            (503, true),
            (504, true),
        ] {
            assert_eq!(Setback::of_status(status, None).is_some(), is_setback, "{status}");
        }
    }

    #[test]
    fn a_wait_is_read_from_seconds_and_from_dates() {
        let now = Timestamp(1_445_412_478_500_000);
        for (text, millis) in [
            ("0", Some(0)),
            (" 120 ", Some(120_000)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(1500)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("Wednesday, 21-Oct-15 07:28:00 GMT", Some(1500)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(read_retry_after(text, now), millis.map(Duration::from_millis), "{text}");
        }
    }
}
