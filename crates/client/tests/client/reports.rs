//! Usage that verifiers report: every record once, and none lost with its process.

use std::path::Path;
use std::time::Duration;

use hokusai_client::api::keys::CreatedKey;
use hokusai_client::{JournalError, KeyId, ReportMetrics, Served, Verifier, VerifierBuilder, VerifierError};

use crate::no_key;
use crate::service::{Service, id, token_wish};

/// A port that nobody listens at.
const NOWHERE: &str = "http://127.0.0.1:1";

pub(crate) async fn service_token(service: &Service) -> String {
    service.operator.create_token(&token_wish("gateway", "verifier")).await.unwrap().token
}

fn before(url: &str, token: &str) -> VerifierBuilder {
    Verifier::builder([url], crate::secret(token))
}

fn served(key: KeyId) -> Served<'static> {
    let took = Duration::from_millis(3);
    Served { key, service_id: "platform", endpoint: "/models/{id}", status: 200, took }
}

/// Starts a verifier as soon as the one before it is gone.
pub(crate) async fn start_after(builder: VerifierBuilder) -> Verifier {
    loop {
        match builder.clone().start() {
            Err(VerifierError::Journal(JournalError::InUse { .. })) => tokio::task::yield_now().await,
            started => return started.unwrap(),
        }
    }
}

pub(crate) async fn requests(service: &Service, key: &CreatedKey) -> i64 {
    service.operator.usage_stats(id(key), None, None).await.unwrap().total_requests
}

/// Waits until the service knows of so many requests.
async fn await_requests(service: &Service, key: &CreatedKey, count: i64) {
    let waiting = async {
        while requests(service, key).await != count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::PATIENCE, waiting).await.expect("the reports don't arrive");
}

/// Lines in the files of reports.
pub(crate) fn written(directory: &Path) -> usize {
    let Ok(files) = std::fs::read_dir(directory) else { return 0 };
    let files = files.map(|entry| entry.unwrap().path());
    let reports = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("reports-"));
    reports.map(|path| std::fs::read_to_string(path).map_or(0, |text| text.lines().count())).sum()
}

#[tokio::test]
async fn what_is_reported_arrives_by_itself_and_all_of_it_by_the_end() {
    let (service, directory) = (Service::start().await, tempfile::tempdir().unwrap());
    let (key, token) = (service.key("Used").await, service_token(&service).await);
    for (index, books) in [None, Some(directory.path())].into_iter().enumerate() {
        let before_it = i64::try_from(index).unwrap() * 5;
        let builder = before(&service.url, &token);
        let verifier = books.into_iter().fold(builder, VerifierBuilder::journal).start().unwrap();
        verifier.report(served(id(&key)));
        verifier.report(served(id(&key)));
        await_requests(&service, &key, before_it + 2).await;
        for _ in 0..3 {
            verifier.report(served(id(&key)));
        }
        verifier.stop(crate::PATIENCE).await;
        assert_eq!(requests(&service, &key).await, before_it + 5);
        assert_eq!(written(directory.path()), 0);
    }
    let stats = service.operator.usage_stats(id(&key), None, None).await.unwrap();
    assert_eq!(stats.top_endpoints[0].endpoint, "/models/{id}");
    assert_eq!((stats.average_response_time_ms, stats.error_rate), (3.0, 0.0));
}

#[tokio::test]
async fn what_one_process_could_not_send_the_next_one_does() {
    let (service, directory) = (Service::start().await, tempfile::tempdir().unwrap());
    let (key, token) = (service.key("Used").await, service_token(&service).await);
    let first = before(NOWHERE, &token).journal(directory.path()).start().unwrap();
    for _ in 0..5 {
        first.report(served(id(&key)));
    }
    // It ends without a word.
    drop(first);
    assert_eq!(written(directory.path()), 5);
    let second = start_after(before(&service.url, &token).journal(directory.path())).await;
    second.report(served(id(&key)));
    await_requests(&service, &key, 6).await;
    second.stop(crate::PATIENCE).await;
    assert_eq!((requests(&service, &key).await, written(directory.path())), (6, 0));
}

#[tokio::test]
async fn records_that_the_service_never_takes_hold_up_no_others() {
    let service = Service::start().await;
    let (key, token) = (service.key("Used").await, service_token(&service).await);
    let verifier = before(&service.url, &token).start().unwrap();
    for _ in 0..3 {
        verifier.report(served(no_key()));
        verifier.report(served(id(&key)));
        verifier.report(Served { service_id: "none of its services", ..served(id(&key)) });
        verifier.report(Served { endpoint: "\n", status: 7, ..served(id(&key)) });
    }
    let watching = verifier.clone();
    verifier.stop(crate::PATIENCE).await;
    assert_eq!(requests(&service, &key).await, 6);
    let told = watching.metrics().reports;
    assert_eq!(told, ReportMetrics { sent: 6, refused: 6, ..ReportMetrics::default() });
}

#[tokio::test]
async fn nothing_is_reported_where_somebody_else_does() {
    let (service, directory) = (Service::start().await, tempfile::tempdir().unwrap());
    let (key, token) = (service.key("Used").await, service_token(&service).await);
    let builder = before(&service.url, &token).journal(directory.path()).report_bytes(1 << 20);
    let verifier = builder.without_reports().start().unwrap();
    verifier.report(served(id(&key)));
    verifier.stop(crate::PATIENCE).await;
    assert_eq!((requests(&service, &key).await, written(directory.path())), (0, 0));
}
