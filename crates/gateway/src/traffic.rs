//! What is counted of each route.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram};

/// Statuses from 100 to 599.
const STATUSES: usize = 500;

/// The figures of one route. They are looked up by name once, and then at hand.
pub(crate) struct Traffic {
    route: Box<str>,
    by_status: Box<[OnceLock<Counter>]>,
    seconds: OnceLock<Histogram>,
}

impl Traffic {
    pub(crate) fn of(route: &str) -> Self {
        let by_status = (0..STATUSES).map(|_| OnceLock::new()).collect();
        Self { route: route.into(), by_status, seconds: OnceLock::new() }
    }

    pub(crate) fn count(&self, status: u16, took: Duration) {
        let place = usize::from(status).saturating_sub(100).min(STATUSES - 1);
        let counter = self.by_status[place].get_or_init(|| {
            let (route, status) = (self.route.to_string(), status.to_string());
            metrics::counter!("hokusai_gateway_requests_total", "route" => route, "status" => status)
        });
        counter.increment(1);
        let seconds = self.seconds.get_or_init(
            || metrics::histogram!("hokusai_gateway_request_seconds", "route" => self.route.to_string()),
        );
        seconds.record(took.as_secs_f64());
    }
}

impl std::fmt::Debug for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traffic").field("route", &self.route).finish_non_exhaustive()
    }
}

/// Says what the figures mean.
pub(crate) fn describe() {
    metrics::describe_counter!("hokusai_gateway_requests_total", "Requests by route and status");
    metrics::describe_histogram!(
        "hokusai_gateway_request_seconds",
        "Time to the beginning of the answer, by route"
    );
    metrics::describe_counter!(
        "hokusai_gateway_upstream_connections_total",
        "Connections made to upstreams, by what became of it"
    );
}
