//! A process that is killed, and the next one on the same directory.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use hokusai_client::api::verifiers::Effective;

use crate::reports::{requests, service_token, written};
use crate::service::{Service, id};

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
    let arrived = async || written(directory.path()) + requests(&service, &key).await.unsigned_abs() as usize;
    until("the reports are written down", async || arrived().await >= 20).await;
    first.kill();
    let mut second = Admitting::start(&service.url, &token, directory.path());
    assert!(second.admit(&key.api_key).starts_with("admitted"));
    second.end();
    assert_eq!((requests(&service, &key).await, written(directory.path())), (21, 0));
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not so: {what}"));
}

async fn effect_of_revoking(service: &Service) -> Effective {
    let key = service.key("Of no use").await;
    service.operator.revoke_key(id(&key)).await.unwrap().effective.unwrap()
}

/// Processes that are not known to be gone, the present one included.
fn holders(directory: &Path) -> usize {
    std::fs::read_to_string(directory.join("holders")).unwrap().lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_process_that_the_next_one_knows_to_be_dead() {
    let (service, directory) = (Service::start().await, tempfile::tempdir().unwrap());
    let (key, token) = (service.key("Used").await, service_token(&service).await);
    let mut first = Admitting::start(&service.url, &token, directory.path());
    assert!(first.admit(&key.api_key).starts_with("admitted"));
    first.kill();
    let waited_for = effect_of_revoking(&service).await;
    assert_eq!((waited_for.everywhere, waited_for.pending.unwrap().len()), (false, 1));

    let mut second = Admitting::start(&service.url, &token, directory.path());
    assert!(second.admit(&key.api_key).starts_with("admitted"));
    until("the first is known to be gone", async || holders(directory.path()) == 1).await;
    assert!(effect_of_revoking(&service).await.everywhere);
    second.end();
    assert_eq!(holders(directory.path()), 0);
    let nobody_left = effect_of_revoking(&service).await;
    assert!(nobody_left.everywhere);
}
