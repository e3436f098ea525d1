//! Billing: plans, money, and what a month costs.
//!
//! Prices are whole micro-dollars and counts are whole, so every amount is exact; nothing is ever rounded.

use std::fmt;
use std::str::FromStr;

use crate::calendar::Month;

/// Micro-dollars in a dollar.
const DOLLAR: i64 = 1_000_000;
/// Digits behind the point of a dollar.
const DIGITS: usize = 6;
/// The highest price of a prediction: a thousand dollars.
const MAX_PRICE: Money = Money(1000 * DOLLAR);
const MAX_PLAN_NAME: usize = 64;

/// An amount in micro-dollars (millionths of a US dollar).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// In dollars. Exact in decimal digits for amounts below a thousand million dollars.
    #[must_use]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / DOLLAR as f64
    }

    /// So many of it; the highest amount that there is where it would be more.
    #[must_use]
    pub fn times(self, count: i64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

/// Reads dollars with at most six digits behind the point, such as `0.001`.
impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "must be dollars with at most 6 digits behind the point, such as 0.001".to_owned();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || whole.len() > 9 || fraction.len() > DIGITS {
            return Err(wrong());
        }
        let millionths: i64 = format!("{fraction:0<DIGITS$}").parse().map_err(|_| wrong())?;
        let whole: i64 = whole.parse().map_err(|_| wrong())?;
        Ok(Self(whole * DOLLAR + millionths))
    }
}

/// Dollars with all six digits: `0.001000`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (self.0.unsigned_abs() / DOLLAR as u64, self.0.unsigned_abs() % DOLLAR as u64);
        write!(f, "{sign}{whole}.{part:06}")
    }
}

/// A plan by which keys are billed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it is called.
    pub name: String,
    /// What a prediction past the monthly limit costs; `None`: there are none past it.
    pub overage: Option<Money>,
}

/// Reads `NAME=PRICE`, or `NAME` for a plan without overage.
impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, price) = match text.split_once('=') {
            Some((name, price)) => (name.trim(), Some(price.trim().parse()?)),
            None => (text.trim(), None),
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if !(1..=MAX_PLAN_NAME).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(format!("its name must be 1 to {MAX_PLAN_NAME} of A-Z a-z 0-9 . _ -"));
        }
        if price > Some(MAX_PRICE) {
            return Err(format!("a prediction may cost {MAX_PRICE} dollars at the most"));
        }
        Ok(Self { name: name.to_owned(), overage: price })
    }
}

/// The plans that there are; the first is that of keys that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plans(Vec<Plan>);

impl Default for Plans {
    fn default() -> Self {
        Self(vec![Plan { name: "free".into(), overage: Some(Money(1000)) }])
    }
}

impl Plans {
    /// Reads each plan.
    ///
    /// # Errors
    /// Which is wrong, and why.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let mut plans: Vec<Plan> = Vec::new();
        for text in texts {
            let plan: Plan = text.parse().map_err(|why| format!("{text}: {why}"))?;
            if plans.iter().any(|known| known.name == plan.name) {
                return Err(format!("{text}: there is another plan of this name"));
            }
            plans.push(plan);
        }
        if plans.is_empty() { Err("at least one plan is needed".into()) } else { Ok(Self(plans)) }
    }

    /// The plan of keys that name none.
    #[must_use]
    pub fn first(&self) -> &Plan {
        &self.0[0]
    }

    /// The plan of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Plan> {
        self.0.iter().find(|plan| plan.name == name)
    }

    /// All names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|plan| plan.name.clone()).collect()
    }
}

/// What an account is billed by: of a month, what held at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The plan's name.
    pub plan: String,
    /// Predictions in a month; `None`: as many as you like.
    pub monthly_prediction_limit: Option<i64>,
}

/// What an account used in a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MonthlyUsage {
    /// Requests.
    pub requests: i64,
    /// Predictions.
    pub predictions: i64,
    /// Milliseconds of computing.
    pub compute_ms: i64,
}

/// An account's bill for a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// The month.
    pub month: Month,
    /// What it is billed by.
    pub terms: Terms,
    /// What was used.
    pub usage: MonthlyUsage,
    /// What the predictions past the limit cost.
    pub overage: Money,
}

impl Plan {
    /// Whether so many more predictions may be used.
    #[must_use]
    pub fn admits(&self, used: i64, more: i64, limit: Option<i64>) -> bool {
        self.overage.is_some() || limit.is_none_or(|limit| used.saturating_add(more) <= limit)
    }

    /// What so many predictions in a month cost.
    #[must_use]
    pub fn overage(&self, predictions: i64, limit: Option<i64>) -> Money {
        let past = limit.map_or(0, |limit| predictions.saturating_sub(limit).max(0));
        self.overage.map_or(Money::ZERO, |price| price.times(past))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_and_written_to_the_last_micro_dollar() {
        for (text, micros) in [
            ("0.001", 1000),
            ("0", 0),
            ("12", 12_000_000),
            ("0.000001", 1),
            ("1.50", 1_500_000),
            ("007.1", 7_100_000),
        ] {
            assert_eq!(text.parse(), Ok(Money(micros)), "{text}");
        }
        for text in ["", ".1", "1.", "-1", "1e3", "0.0000001", "1,5", "$1", "1234567890", " 1"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
        assert_eq!(Money(1_234_567).to_string(), "1.234567");
        assert_eq!(Money(-1).to_string(), "-0.000001");
    }

    #[test]
    fn dollars_on_the_wire_have_no_stray_digits() {
        for micros in [1, 1000, 100_000, 1_234_567, 999_999_999_999_999] {
            let shown = format!("{}", Money(micros).dollars());
            assert_eq!(shown.parse::<Money>(), Ok(Money(micros)), "{shown}");
        }
    }

    #[test]
    fn a_plan_is_a_name_and_perhaps_a_price() {
        assert_eq!("free=0.001".parse(), Ok(Plan { name: "free".into(), overage: Some(Money(1000)) }));
        assert_eq!(" fixed ".parse(), Ok(Plan { name: "fixed".into(), overage: None }));
        for text in ["", "=1", "a b", "x=", "x=1000.000001", "x=cheap"] {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
        assert!(Plans::parse(&["a".into(), "a=1".into()]).is_err());
        assert!(Plans::parse(&[]).is_err());
        assert_eq!(Plans::parse(&["free=0.001".into()]), Ok(Plans::default()));
    }

    #[test]
    fn only_predictions_past_the_limit_cost_something() {
        let plan: Plan = "free=0.001".parse().unwrap();
        for (predictions, limit, micros) in
            [(0, Some(0), 0), (100, Some(100), 0), (101, Some(100), 1000), (5, Some(0), 5000), (5, None, 0)]
        {
            assert_eq!(plan.overage(predictions, limit), Money(micros), "{predictions} {limit:?}");
        }
        let fixed: Plan = "fixed".parse().unwrap();
        assert_eq!(fixed.overage(i64::MAX, Some(0)), Money::ZERO);
        assert_eq!("x=1000".parse::<Plan>().unwrap().overage(i64::MAX, Some(0)), Money(i64::MAX));
    }

    #[test]
    fn a_plan_without_overage_ends_at_the_limit() {
        let (free, fixed): (Plan, Plan) = ("free=0".parse().unwrap(), "fixed".parse().unwrap());
        assert!(fixed.admits(99, 1, Some(100)) && !fixed.admits(99, 2, Some(100)));
        assert!(fixed.admits(i64::MAX, 1, None) && !fixed.admits(i64::MAX, 1, Some(i64::MAX - 1)));
        assert!(free.admits(100, 1, Some(100)));
    }
}
