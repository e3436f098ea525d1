//! Prometheus metrics. Labels are of bounded sets; no key or user is ever in one.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Writes the present figures.
#[derive(Clone)]
pub struct Exposition(PrometheusHandle);

/// Starts collecting for this process. Call it once.
///
/// # Errors
/// If this process collects already.
pub fn install() -> Result<Exposition, BuildError> {
    let seconds = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &seconds)?
        .install_recorder()?;
    describe();
    Ok(Exposition(handle))
}

/// Counts a request and its time.
pub fn count_request(method: &str, route: String, status: u16, took: Duration) {
    let labels =
        [("method", known_method(method).to_owned()), ("route", route), ("status", status.to_string())];
    metrics::counter!("hokusai_http_requests_total", &labels).increment(1);
    metrics::histogram!("hokusai_http_request_seconds", "route" => labels[1].1.clone())
        .record(took.as_secs_f64());
}

/// Any text can be a method; labels are of a bounded set.
fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("hokusai_http_requests_total", "Requests by method, route and status");
    describe_histogram!("hokusai_http_request_seconds", "Time to answer, by route");
    describe_counter!("hokusai_connections_total", "Connections by what became of them");
    describe_gauge!("hokusai_connections_open", "Connections open now");
}

impl Exposition {
    /// Keeps what is collected small, for as long as it is polled. Without it every figure is kept until
    /// somebody reads the metrics.
    pub async fn keep_small(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            self.0.run_upkeep();
        }
    }

    /// The figures in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}
