//! What the service counts. Labels are of bounded sets; no key or user is ever in one.

use hokusai_http::Exposition;
use metrics_exporter_prometheus::BuildError;

/// Starts collecting for this process. Call it once.
///
/// # Errors
/// If this process collects already.
pub fn install() -> Result<Exposition, BuildError> {
    let exposition = hokusai_http::install_metrics()?;
    describe();
    Ok(exposition)
}

fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_counter!("hokusai_validations_total", "Validations by outcome");
    describe_counter!("hokusai_allotment_messages_total", "Messages to the store about limits");
    describe_counter!("hokusai_allotment_accounts_total", "Accounts in those messages");
    describe_counter!("hokusai_usage_records_total", "Records of usage by what became of them");
    describe_counter!("hokusai_usage_commits_total", "Transactions that wrote usage");
    describe_counter!("hokusai_usage_failed_commits_total", "Transactions that should have written usage");
    // What was never counted can't be seen to grow.
    metrics::counter!("hokusai_usage_failed_commits_total").increment(0);
    describe_gauge!("hokusai_usage_waiting", "Records of usage that wait for being written");
    describe_gauge!("hokusai_alerts", "Keys that somebody should look at, by kind");
    describe_gauge!("hokusai_cached_keys", "Keys in memory");
    describe_gauge!("hokusai_accounts_in_use", "Accounts whose units are in memory");
}
