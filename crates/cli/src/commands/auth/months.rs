//! Months as people write them.

use hokusai_client::{Day, Month};

/// A UTC month such as `2026-11`.
pub(crate) fn read(text: &str) -> Result<Month, String> {
    let text = text.trim();
    Month::parse(text).ok_or_else(|| match Day::parse(text) {
        Some(_) => format!("must be a whole month: {}", &text[..7]),
        None => "must be a month (UTC), written as year and month, such as 2026-11".to_owned(),
    })
}

/// The first and the last day of a month.
pub(crate) fn days(month: Month) -> (Day, Day) {
    let first = month.first_day();
    (first, month.next().first_day().plus(-1).max(first))
}

/// Says that there was nothing in a month, which may only be because it has yet to come.
pub(crate) fn without_usage(month: Month, present: Month) -> String {
    if month > present {
        format!("No usage in {month}: it has yet to come.")
    } else {
        format!("No usage in {month}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_written_in_one_form_and_another_is_put_right() {
        assert_eq!(read(" 2026-11 ").map(|month| month.to_string()), Ok("2026-11".to_owned()));
        assert_eq!(read("2026-11-07"), Err("must be a whole month: 2026-11".to_owned()));
        for wrong in ["2026-13", "2026-1", "11-2026", "november", "2026", "", "é-ö"] {
            let fault = read(wrong).unwrap_err();
            assert!(fault.ends_with("such as 2026-11"), "{wrong}: {fault}");
        }
    }

    #[test]
    fn a_month_lasts_from_its_first_day_to_its_last() {
        for (month, last) in [("2026-02", "2026-02-28"), ("2028-02", "2028-02-29"), ("2026-12", "2026-12-31")]
        {
            let (first, end) = days(read(month).unwrap());
            assert_eq!((first.to_string(), end.to_string()), (format!("{month}-01"), last.to_owned()));
        }
    }

    #[test]
    fn only_a_month_ahead_has_yet_to_come() {
        let present = read("2026-11").unwrap();
        assert_eq!(without_usage(present, present), "No usage in 2026-11.");
        assert_eq!(without_usage(present.next(), present), "No usage in 2026-12: it has yet to come.");
    }
}
