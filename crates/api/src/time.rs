//! Times on the wire: RFC 3339, UTC, `Z`, with 0, 3 or 6 fraction digits.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// Microseconds of a second.
const MICROS: i64 = 1_000_000;

/// Writes microseconds since 1970. Instants outside of what RFC 3339 can write are moved to its ends.
#[must_use]
pub fn write(micros: i64) -> String {
    let at = Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    });
    let precision = match micros {
        whole if whole % MICROS == 0 => 0,
        millis if millis % 1000 == 0 => 3,
        _ => 6,
    };
    let mut text = String::with_capacity(27);
    let printed = DateTimePrinter::new().precision(Some(precision)).print_timestamp(&at, &mut text);
    printed.map_or_else(|_| at.to_string(), |()| text)
}

/// Writes the times of what happened one after the other, of which many are in the same second.
#[derive(Clone, Debug, Default)]
pub struct Times {
    second: Option<i64>,
    /// How much of the text says which second it is.
    whole: usize,
    text: String,
}

impl Times {
    /// Writes microseconds since 1970 as [`write()`] does, but thousandths of a second like others: with 6 digits.
    /// Beyond the calendar the fraction stays.
    pub fn write(&mut self, micros: i64) -> &str {
        self.write_with(micros, false)
    }

    /// Writes microseconds since 1970, always with 6 digits behind the second.
    pub fn write_in_full(&mut self, micros: i64) -> &str {
        self.write_with(micros, true)
    }

    fn write_with(&mut self, micros: i64, in_full: bool) -> &str {
        let (second, fraction) = (micros.div_euclid(MICROS), micros.rem_euclid(MICROS));
        if self.second != Some(second) {
            let text = write(second.max(i64::MIN / MICROS) * MICROS);
            *self = Self { second: Some(second), whole: text.len() - "Z".len(), text };
        }
        self.text.truncate(self.whole);
        if fraction > 0 || in_full {
            self.text.push('.');
            self.text.push_str(&itoa::Buffer::new().format(MICROS + fraction)[1..]);
        }
        self.text.push('Z');
        &self.text
    }
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
    fn times_one_after_the_other_are_as_if_each_were_alone() {
        let mut times = Times::default();
        for micros in [1, 120_001, 0, 2, 2_000_001, 1_000_000, 0, -1, 0, 1_736_937_000_120_001] {
            assert_eq!(times.write(micros), write(micros), "{micros}");
        }
        assert_eq!(times.write(120_000), "1970-01-01T00:00:00.120000Z");
        for (micros, text) in [(0, "1970-01-01T00:00:00.000000Z"), (2_000_001, "1970-01-01T00:00:02.000001Z")]
        {
            assert_eq!(times.write_in_full(micros), text);
        }
        for beyond in [i64::MIN, i64::MAX] {
            assert!(read(times.write(beyond)).is_some(), "{}", times.text);
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
