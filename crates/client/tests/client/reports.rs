//! Usage that verifiers report: every record once, and none lost with its process.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use hokusai_client::api::keys::CreatedKey;
use hokusai_client::{JournalError, KeyId, Served, Verifier, VerifierBuilder, VerifierError};

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

async fn requests(service: &Service, key: &CreatedKey) -> i64 {
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
fn written(directory: &Path) -> usize {
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
    verifier.stop(crate::PATIENCE).await;
    assert_eq!(requests(&service, &key).await, 6);
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

/// The example `admit` as a process of its own.
pub(crate) struct Admitting {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Admitting {
    pub(crate) fn start(url: &str, token: &str, directory: &Path) -> Self {
        let tests = std::env::current_exe().unwrap();
        let program = tests.parent().unwrap().parent().unwrap().join("examples/admit");
        let mut process = Command::new(program)
            .arg(url)
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`cargo test -p hokusai-client` builds the example");
        writeln!(process.stdin.as_mut().unwrap(), "{token}").unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, said }
    }

    pub(crate) fn admit(&mut self, key: &str) -> String {
        writeln!(self.process.stdin.as_mut().unwrap(), "{key}").unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn end(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Admitting {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_loses_no_report_that_was_written_down() {
    let (service, directory) = (Service::start().await, tempfile::tempdir().unwrap());
    let (key, token) = (service.key("Used").await, service_token(&service).await);
    let mut first = Admitting::start(&service.url, &token, directory.path());
    for _ in 0..20 {
        assert!(first.admit(&key.api_key).starts_with("admitted"));
    }
    while written(directory.path()) + usize::try_from(requests(&service, &key).await).unwrap() < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.kill();
    let mut second = Admitting::start(&service.url, &token, directory.path());
    assert!(second.admit(&key.api_key).starts_with("admitted"));
    second.end();
    assert_eq!((requests(&service, &key).await, written(directory.path())), (21, 0));
}
