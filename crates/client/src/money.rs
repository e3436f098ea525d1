//! Amounts of money as JSON numbers write them. No amount is ever a floating-point number here, so none
//! loses a micro-dollar.

use hokusai_core::billing::Money;

/// Digits behind the point of a dollar.
const DIGITS: i32 = 6;
/// The largest exponent of ten that is looked at; amounts are far smaller.
const LARGEST_EXPONENT: i32 = 30;

/// Reads a JSON number of dollars; `None` if it is no whole number of micro-dollars, or too large.
pub(crate) fn read(text: &str) -> Option<Money> {
    let (text, sign) = text.strip_prefix('-').map_or((text, 1), |rest| (rest, -1));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let exponent: i32 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    if !is_number || exponent.abs() > LARGEST_EXPONENT {
        return None;
    }
    let shift = exponent + DIGITS - i32::try_from(fraction.len()).ok()?;
    let micros = shifted(digits.trim_start_matches('0'), shift)?;
    micros.checked_mul(sign).map(Money)
}

/// The number of these digits, times ten to the power of `shift`, if that is whole.
fn shifted(digits: &str, shift: i32) -> Option<i64> {
    let places = usize::try_from(shift.unsigned_abs()).ok()?;
    if digits.is_empty() {
        Some(0)
    } else if shift >= 0 {
        format!("{digits}{:0<places$}", "").parse().ok()
    } else {
        let (kept, rest) = digits.split_at_checked(digits.len().saturating_sub(places))?;
        let is_whole = rest.bytes().all(|b| b == b'0');
        if is_whole { kept.parse().ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_to_the_last_micro_dollar_in_every_form_of_json() {
        for (text, micros) in [
            ("0", 0),
            ("0.0", 0),
            ("-0.0", 0),
            ("0.012", 12_000),
            ("1e-6", 1),
            ("1.5E-5", 15),
            ("12", 12_000_000),
            ("12.340000", 12_340_000),
            ("12.3400000", 12_340_000),
            ("-1.000001", -1_000_001),
            ("1e12", 1_000_000_000_000_000_000),
            ("1.5e+3", 1_500_000_000),
            ("9007199254.740993", 9_007_199_254_740_993),
            ("9223372036854.775807", i64::MAX),
        ] {
            assert_eq!(read(text), Some(Money(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_of_micro_dollars_is_none() {
        for text in
            ["", "-", ".", "e5", "1e", "null", "\"1\"", "0.0000001", "1e-7", "9223372036854.775808", "1e31"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_the_service_writes_is_read_back() {
        for micros in [0, 1, 10, 999, 1000, 1_234_567, 999_999_999_999_999] {
            let text = serde_json::to_string(&Money(micros).dollars()).unwrap();
            assert_eq!(read(&text), Some(Money(micros)), "{text}");
        }
    }
}
