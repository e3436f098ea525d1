//! Usage: what may be reported of a request, and sums of it.

use std::fmt;
use std::ops::AddAssign;

use sha2::{Digest as _, Sha256};

use crate::id::KeyId;
use crate::time::{DAY, HOUR, SECOND, Timestamp};

/// The most records in one batch.
pub const MAX_BATCH: usize = 10_000;
/// The most characters of an endpoint.
pub const MAX_ENDPOINT: usize = 256;
/// The most characters of an idempotency key.
pub const MAX_IDEMPOTENCY_KEY: usize = 256;
/// The most predictions, and the most milliseconds of computing, in one record. Nine thousand million such
/// records fit into one sum.
pub const MAX_FIGURE: i64 = 1_000_000_000;
/// The longest time to answer, in milliseconds: a day.
pub const MAX_RESPONSE_MS: i64 = 86_400_000;
/// What an average counts of a time to answer at the most, in microseconds: an hour. So 2,500 million records
/// fit into one sum.
pub const MAX_COUNTED_RESPONSE: i64 = HOUR;
/// How far ahead of the service's clock a record may lie, in microseconds.
pub const MAX_AHEAD: i64 = 300 * SECOND;
/// How long records are kept unless configured otherwise, in days.
pub const DEFAULT_RETENTION_DAYS: i64 = 35;
/// Records are dropped so much later than they may be reported, in microseconds: nodes' clocks differ, and
/// a record lies ahead of its arrival by [`MAX_AHEAD`] at the most.
pub const RETENTION_MARGIN: i64 = HOUR;
/// Endpoints of one key that are told apart in a month; further ones count as [`OTHER`].
pub const ENDPOINTS_TOLD_APART: usize = 200;
/// What further endpoints count as.
pub const OTHER: &str = "other";

/// What tells two reports of one request: the key and the idempotency key, digested; or chance, where there
/// is no idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// The id of every report with this idempotency key.
    #[must_use]
    pub fn of(key: KeyId, idempotency_key: &str) -> Self {
        let digest = Sha256::new().chain_update(key.to_string()).chain_update(idempotency_key).finalize();
        Self(*digest.first_chunk().expect("a digest is longer than its half"))
    }

    /// The id of a report that can't be told from its repetition.
    #[must_use]
    pub fn random(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// Reads it from the store.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As the store keeps it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Hexadecimal.
impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// One request, as it was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What tells it from others.
    pub id: RecordId,
    /// The key that was used.
    pub key: KeyId,
    /// The service that it was used for; empty: the key's own.
    pub service_id: Box<str>,
    /// The path that was asked for, without its query.
    pub endpoint: Box<str>,
    /// The model that was used.
    pub model_id: Option<Box<str>>,
    /// The HTTP status of the answer.
    pub status_code: u16,
    /// How long the answer took, in microseconds.
    pub response_micros: i64,
    /// How many predictions it held.
    pub predictions: i64,
    /// How long was computed for it, in milliseconds.
    pub compute_ms: i64,
    /// When; `None`: when it arrives.
    pub occurred_at: Option<Timestamp>,
}

/// Reads an endpoint. Its query and fragment are cut off: there is no telling how many there are, and
/// what they hold may be secret.
#[must_use]
pub fn endpoint(text: &str) -> Option<Box<str>> {
    let path = text.split(['?', '#']).next().unwrap_or_default().trim();
    let fits = (1..=MAX_ENDPOINT).contains(&path.chars().count()) && !path.chars().any(char::is_control);
    fits.then(|| path.into())
}

/// Which records are kept: only among these is a repetition noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// For how many days.
    pub retention_days: i64,
    /// The latest arrival among those that were dropped so far.
    pub dropped_until: Timestamp,
}

/// Why a record can't be taken that names its instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongInstant {
    /// It lies too far ahead.
    Ahead,
    /// Records are kept for so many days, and it lies further back.
    TooOld {
        /// The days.
        retention_days: i64,
    },
    /// Records of that time were dropped, though they would be kept now.
    Dropped,
}

/// What would be right.
impl fmt::Display for WrongInstant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ahead => write!(f, "must not lie more than {} minutes ahead", MAX_AHEAD / (60 * SECOND)),
            Self::TooOld { retention_days } => {
                write!(f, "must not lie more than {retention_days} days back: records are kept no longer")
            }
            Self::Dropped => write!(f, "must not lie so far back: records of that time were dropped"),
        }
    }
}

/// Whether a record of this instant can be taken: not too far ahead, and not so old that its repetition
/// would no longer be noticed. What was dropped may have lain [`MAX_AHEAD`] ahead of its arrival.
///
/// # Errors
/// [`WrongInstant`].
pub fn check_instant(occurred_at: Timestamp, now: Timestamp, kept: Kept) -> Result<(), WrongInstant> {
    let Kept { retention_days, dropped_until } = kept;
    if occurred_at > now.plus(MAX_AHEAD) {
        return Err(WrongInstant::Ahead);
    }
    if occurred_at < now.plus(-retention_days.saturating_mul(DAY)) {
        return Err(WrongInstant::TooOld { retention_days });
    }
    if occurred_at <= dropped_until.plus(MAX_AHEAD) {
        return Err(WrongInstant::Dropped);
    }
    Ok(())
}

/// Sums over records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many records.
    pub requests: i64,
    /// Those with a status of 400 or above.
    pub errors: i64,
    /// Predictions.
    pub predictions: i64,
    /// Milliseconds of computing.
    pub compute_ms: i64,
    /// Microseconds until the answers.
    pub response_micros: i64,
}

impl From<&Record> for Totals {
    fn from(record: &Record) -> Self {
        Self {
            requests: 1,
            errors: i64::from(record.status_code >= 400),
            predictions: record.predictions,
            compute_ms: record.compute_ms,
            response_micros: record.response_micros,
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
        self.predictions = self.predictions.saturating_add(other.predictions);
        self.compute_ms = self.compute_ms.saturating_add(other.compute_ms);
        self.response_micros = self.response_micros.saturating_add(other.response_micros);
    }
}

impl Totals {
    /// Milliseconds until an answer, on average; of nothing: zero.
    #[must_use]
    pub fn average_response_ms(&self) -> f64 {
        ratio(self.response_micros, self.requests.saturating_mul(1000))
    }

    /// The share of answers that were errors; of nothing: zero.
    #[must_use]
    pub fn error_rate(&self) -> f64 {
        ratio(self.errors, self.requests)
    }
}

/// A share, rounded to the nearest millionth (halves upwards).
fn ratio(part: i64, of: i64) -> f64 {
    if of == 0 {
        return 0.0;
    }
    let millionths = (i128::from(part) * 2_000_000 + i128::from(of)).div_euclid(2 * i128::from(of));
    millionths as f64 / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_its_key_and_idempotency_key() {
        let key: KeyId = "018f0000-0000-7000-8000-000000000001".parse().unwrap();
        let other: KeyId = "018f0000-0000-7000-8000-000000000002".parse().unwrap();
        assert_eq!(RecordId::of(key, "a"), RecordId::of(key, "a"));
        assert_ne!(RecordId::of(key, "a"), RecordId::of(key, "b"));
        assert_ne!(RecordId::of(key, "a"), RecordId::of(other, "a"));
        assert_eq!(RecordId::random([10; 16]).to_string(), "0a".repeat(16));
    }

    #[test]
    fn an_endpoint_is_a_path_without_what_may_be_secret() {
        assert_eq!(endpoint(" /v1/models?api_key=hk_live_x#top").as_deref(), Some("/v1/models"));
        assert_eq!(endpoint(&"x".repeat(256)).map(|text| text.len()), Some(256));
        for wrong in ["", " ", "?x", "a\nb", &"x".repeat(257)] {
            assert_eq!(endpoint(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_record_is_neither_far_ahead_nor_older_than_what_is_kept() {
        let now = Timestamp(100 * DAY);
        let too_old = Err(WrongInstant::TooOld { retention_days: 35 });
        let dropped = |days: i64| now.plus(days * DAY);
        for (at, dropped_until, outcome) in [
            (now, Timestamp(0), Ok(())),
            (now.plus(MAX_AHEAD), Timestamp(0), Ok(())),
            (now.plus(MAX_AHEAD + 1), Timestamp(0), Err(WrongInstant::Ahead)),
            (now.plus(-35 * DAY), Timestamp(0), Ok(())),
            (now.plus(-35 * DAY - 1), Timestamp(0), too_old),
            (now.plus(-35 * DAY), dropped(-36), Ok(())),
            (now.plus(-10 * DAY + MAX_AHEAD), dropped(-10), Err(WrongInstant::Dropped)),
            (now.plus(-10 * DAY + MAX_AHEAD + 1), dropped(-10), Ok(())),
            (now.plus(-36 * DAY), dropped(-10), too_old),
        ] {
            let kept = Kept { retention_days: 35, dropped_until };
            assert_eq!(check_instant(at, now, kept), outcome, "{at:?} {dropped_until:?}");
        }
    }

    #[test]
    fn averages_are_rounded_to_a_millionth_and_nothing_has_none() {
        let totals = Totals { requests: 3, errors: 1, response_micros: 20_000, ..Totals::default() };
        assert_eq!(totals.error_rate(), 0.333_333);
        assert_eq!(totals.average_response_ms(), 6.666_667);
        assert_eq!(Totals::default().error_rate(), 0.0);
        let two_thirds = Totals { requests: 3, errors: 2, ..Totals::default() };
        assert_eq!(two_thirds.error_rate(), 0.666_667);
    }
}
