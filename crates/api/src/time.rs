//! Times on the wire: RFC 3339, UTC, `Z`, with 0, 3 or 6 fraction digits.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// Writes microseconds since 1970. Instants outside of what RFC 3339 can write are moved to its ends.
#[must_use]
pub fn write(micros: i64) -> String {
    let at = Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    });
    let precision = match micros {
        whole if whole % 1_000_000 == 0 => 0,
        millis if millis % 1000 == 0 => 3,
        _ => 6,
    };
    let mut text = String::with_capacity(27);
    let printed = DateTimePrinter::new().precision(Some(precision)).print_timestamp(&at, &mut text);
    printed.map_or_else(|_| at.to_string(), |()| text)
}

/// Reads a time with a zone or offset, in microseconds since 1970; `None` if it is none.
#[must_use]
pub fn read(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_0_3_or_6_fraction_digits_and_read_back() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_736_937_000_000_000, "2025-01-15T10:30:00Z"),
            (1_736_937_000_120_000, "2025-01-15T10:30:00.120Z"),
            (1_736_937_000_120_001, "2025-01-15T10:30:00.120001Z"),
        ] {
            assert_eq!(write(micros), text);
            assert_eq!(read(text), Some(micros));
        }
    }

    #[test]
    fn a_time_without_a_zone_is_none() {
        assert_eq!(read("2025-01-15T10:30:00"), None);
        assert_eq!(read("2025-01-15T11:30:00+01:00"), Some(1_736_937_000_000_000));
    }

    #[test]
    fn an_instant_beyond_the_calendar_is_written_as_its_end() {
        assert!(write(i64::MAX).starts_with("9999-12-3"));
    }
}
