//! What was used, as lines of figures: the same for the table and for the CSV.

use std::collections::BTreeMap;

use hokusai_api::usage::{UsageByDate, UsageGroup, UsageStats};
use hokusai_client::{Month, UsageBy};

/// The usage of a month.
pub(crate) struct Report {
    /// The month: `2026-11`.
    pub(crate) period: String,
    /// What each line is about.
    pub(crate) by: UsageBy,
    /// The share of answers that were errors; `None` where the service does not say which were.
    pub(crate) error_rate: Option<f64>,
    /// All of it.
    pub(crate) total: Figures,
    /// A day, endpoint or service, and its share.
    pub(crate) rows: Vec<(String, Figures)>,
}

/// Sums.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) requests: i64,
    /// `None` where the service does not say.
    pub(crate) errors: Option<i64>,
    pub(crate) predictions: i64,
    pub(crate) compute_ms: i64,
    /// Milliseconds until an answer.
    pub(crate) average_ms: f64,
}

impl Report {
    /// The usage of one key.
    pub(crate) fn of_key(stats: &UsageStats, by: UsageBy) -> Self {
        let rows: Vec<_> =
            stats.groups.iter().flatten().map(|group| (group.name.clone(), group.into())).collect();
        let total = Figures {
            requests: stats.total_requests,
            errors: None,
            predictions: stats.total_predictions,
            compute_ms: stats.total_compute_ms,
            average_ms: stats.average_response_time_ms,
        };
        Self { period: stats.period.clone(), by, error_rate: Some(stats.error_rate), total, rows }
    }

    /// The usage of all keys, by day or by service.
    pub(crate) fn of_all(usage: &UsageByDate, month: Month, by: UsageBy) -> Self {
        let mut rows: BTreeMap<&str, Figures> = BTreeMap::new();
        let mut total = Figures::default();
        for (day, services) in &usage.usage_by_date {
            for (service, used) in services {
                let figures = Figures {
                    requests: used.requests,
                    errors: None,
                    predictions: used.predictions,
                    compute_ms: used.compute_ms,
                    average_ms: used.avg_response_time_ms,
                };
                rows.entry(if by == UsageBy::Service { service } else { day }).or_default().add(figures);
                total.add(figures);
            }
        }
        let rows = rows.into_iter().map(|(name, figures)| (name.to_owned(), figures)).collect();
        Self { period: month.to_string(), by, error_rate: None, total, rows }
    }

    /// Whether the service says which answers were errors.
    pub(crate) fn tells_errors(&self) -> bool {
        self.error_rate.is_some()
    }
}

impl Figures {
    fn add(&mut self, other: Self) {
        let requests = self.requests.saturating_add(other.requests);
        let milliseconds = self.average_ms * self.requests as f64 + other.average_ms * other.requests as f64;
        self.average_ms = if requests == 0 { 0.0 } else { milliseconds / requests as f64 };
        self.requests = requests;
        self.predictions = self.predictions.saturating_add(other.predictions);
        self.compute_ms = self.compute_ms.saturating_add(other.compute_ms);
    }
}

impl From<&UsageGroup> for Figures {
    fn from(group: &UsageGroup) -> Self {
        Self {
            requests: group.requests,
            errors: Some(group.errors),
            predictions: group.predictions,
            compute_ms: group.compute_ms,
            average_ms: group.average_response_time_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_of_a_day_is_weighed_by_requests() {
        let mut figures = Figures::default();
        for (requests, average_ms) in [(0, 0.0), (1, 10.0), (3, 20.0)] {
            figures.add(Figures { requests, average_ms, predictions: 1, ..Figures::default() });
        }
        assert_eq!((figures.requests, figures.average_ms, figures.predictions), (4, 17.5, 3));
    }
}
