//! Days and months of the UTC calendar, by which usage is counted and billed.

use std::fmt;
use std::ops::RangeInclusive;

use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use crate::time::{DAY, Hour, Timestamp};

const FIRST: Date = date(1970, 1, 1);
/// Years that can be written: what lies outside is taken for the nearest of them.
const YEARS: RangeInclusive<i16> = 1970..=9999;

/// A UTC day: whole days since 1970-01-01. Written `2025-01-15`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

/// A UTC month: whole months since January 1970. Written `2025-01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(pub i64);

impl Day {
    /// The day that an instant lies in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(at.0.div_euclid(DAY))
    }

    /// Reads `2025-01-15`; `None` if it is no day since 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (month, day) = text.rsplit_once('-')?;
        let first = Month::parse(month)?.date();
        let date = Date::new(first.year(), first.month(), digits(day, 2)?.try_into().ok()?).ok()?;
        Some(Self(days_since_1970(date)))
    }

    /// The first instant of the day.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(DAY))
    }

    /// The day so many days later.
    #[must_use]
    pub fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }
}

impl Month {
    /// The month that an instant lies in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self::with(date_of(Day::of(at)))
    }

    /// Reads `2025-01`; `None` if it is no month since 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let (year, month) = (digits(year, 4)?.try_into().ok()?, digits(month, 2)?.try_into().ok()?);
        YEARS.contains(&year).then(|| Date::new(year, month, 1).ok()).flatten().map(Self::with)
    }

    /// The first instant of the month.
    #[must_use]
    pub fn start(self) -> Timestamp {
        self.first_day().start()
    }

    /// The first instant after the month.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.next().start()
    }

    /// The first day of the month.
    #[must_use]
    pub fn first_day(self) -> Day {
        Day(days_since_1970(self.date()))
    }

    /// The hours of the month: the first, and the first after it.
    #[must_use]
    pub fn hours(self) -> (Hour, Hour) {
        (self.start().hour(), self.end().hour())
    }

    /// The month after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The month before.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    fn with(date: Date) -> Self {
        Self((i64::from(date.year()) - 1970) * 12 + i64::from(date.month()) - 1)
    }

    fn date(self) -> Date {
        let year = 1970 + self.0.div_euclid(12);
        let month = i8::try_from(1 + self.0.rem_euclid(12)).unwrap_or(1);
        match i16::try_from(year) {
            Ok(year) if YEARS.contains(&year) => Date::new(year, month, 1).unwrap_or(FIRST),
            _ if self.0 < 0 => FIRST,
            _ => date(9999, 12, 1),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        date_of(*self).fmt(f)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        write!(f, "{:04}-{:02}", date.year(), date.month())
    }
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<i32> {
    let fits = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

fn date_of(day: Day) -> Date {
    let last = date(9999, 12, 31);
    let span = i32::try_from(day.0.clamp(0, days_since_1970(last))).unwrap_or(0).days();
    FIRST.checked_add(span).unwrap_or(last)
}

fn days_since_1970(date: Date) -> i64 {
    i64::from((date - FIRST).get_days())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::HOUR;

    fn first_of(text: &str) -> Timestamp {
        Day::parse(text).unwrap().start()
    }

    #[test]
    fn months_turn_at_midnight_utc_in_leap_years_and_at_year_ends_too() {
        for (last, next) in [
            ("2025-01-31", "2025-02-01"),
            ("2025-02-28", "2025-03-01"),
            ("2024-02-29", "2024-03-01"),
            ("2000-02-29", "2000-03-01"),
            ("2100-02-28", "2100-03-01"),
            ("2025-12-31", "2026-01-01"),
        ] {
            let turn = first_of(next);
            assert_eq!(turn, first_of(last).plus(DAY), "{last}");
            let (before, after) = (Month::of(turn.plus(-1)), Month::of(turn));
            assert_eq!((before.to_string(), after.to_string()), (last[..7].into(), next[..7].into()));
            assert_eq!((before.end(), after.start(), before.next()), (turn, turn, after));
            assert_eq!(after.previous(), before);
        }
    }

    #[test]
    fn days_and_months_are_read_in_one_form_only() {
        for text in
            ["2025-13", "2025-00", "2025-1", "25-01", "2025-01-01", "+025-01", "1969-12", "", "2025-0a"]
        {
            assert_eq!(Month::parse(text), None, "{text}");
        }
        for text in
            ["2025-02-29", "2025-04-31", "2025-01-00", "2025-01-1", "2025-1-01", "2025-01", "1969-12-31"]
        {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        assert_eq!(Day::parse("1970-01-02"), Some(Day(1)));
        assert_eq!(Month::parse("1971-02"), Some(Month(13)));
    }

    #[test]
    fn what_lies_outside_of_the_calendar_is_taken_for_its_ends() {
        assert_eq!(Day::of(Timestamp::NEVER).to_string(), "9999-12-31");
        assert_eq!(Month::of(Timestamp(-1)).to_string(), "1970-01");
        assert_eq!(Month(-5).to_string(), "1970-01");
        assert_eq!(Month(1_000_000).to_string(), "9999-12");
    }

    proptest! {
        #[test]
        fn every_instant_lies_in_its_day_and_month(at in 0..4_000_000_000 * 1_000_000_i64) {
            let at = Timestamp(at);
            let (day, month) = (Day::of(at), Month::of(at));
            prop_assert!(day.start() <= at && at < day.plus(1).start());
            prop_assert!(month.start() <= at && at < month.end());
            prop_assert_eq!(Day::parse(&day.to_string()), Some(day));
            prop_assert_eq!(Month::parse(&month.to_string()), Some(month));
            let (from, to) = month.hours();
            prop_assert!((from..to).contains(&at.hour()));
            prop_assert_eq!(month.end().0 % HOUR, 0);
        }
    }
}
