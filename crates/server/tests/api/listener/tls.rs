//! TLS from files, which are read again when they change.

use hokusai_server::{Tls, TlsError};
use reqwest::{Client, Version};
use tempfile::TempDir;

use crate::support::{Certificate, Logs, Service, Setup, until};

/// A service with this certificate, and the folder that holds it.
async fn with(certificate: &Certificate) -> (Service, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let tls = Some(certificate.write_to(folder.path()));
    (Service::with(Setup { tls, ..Setup::default() }).await, folder)
}

/// The version that `/health` was answered in; `None` if the client did not trust the service.
async fn health(service: &Service, client: &Client) -> Option<Version> {
    let response = client.get(format!("https://{}/health", service.address)).send().await.ok()?;
    assert_eq!(response.status(), 200);
    Some(response.version())
}

#[tokio::test]
async fn http_1_1_and_h2_are_spoken_over_tls() {
    let certificate = Certificate::generate();
    let (service, _folder) = with(&certificate).await;
    assert_eq!(health(&service, &certificate.client()).await, Some(Version::HTTP_2));
    let older = certificate.client_builder().http1_only().build().unwrap();
    assert_eq!(health(&service, &older).await, Some(Version::HTTP_11));
}

#[tokio::test]
async fn a_client_that_trusts_another_certificate_is_not_served() {
    let (service, _folder) = with(&Certificate::generate()).await;
    assert_eq!(health(&service, &Certificate::generate().client()).await, None);
}

#[tokio::test]
async fn plain_text_is_not_answered_where_tls_is_spoken() {
    let (service, _folder) = with(&Certificate::generate()).await;
    let mut wire = service.connect().await;
    wire.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(!wire.rest().await.contains("healthy"));
}

#[tokio::test]
async fn a_new_certificate_is_served_once_it_lies_there() {
    let (before, after) = (Certificate::generate(), Certificate::generate());
    let (service, folder) = with(&before).await;
    assert!(health(&service, &before.client()).await.is_some());
    after.write_to(folder.path());
    let client = after.client();
    until("the new certificate is served", async || health(&service, &client).await).await;
    assert!(health(&service, &before.client()).await.is_none());
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_the_old_certificate_in_use() {
    let logs = Logs::listen();
    let certificate = Certificate::generate();
    let (service, folder) = with(&certificate).await;
    std::fs::write(folder.path().join("certificate.pem"), "no certificate").unwrap();
    let refused = "the changed TLS files can't be used";
    until("the files are refused", async || logs.text().contains(refused).then_some(())).await;
    assert!(health(&service, &certificate.client()).await.is_some());
}

#[test]
fn files_that_do_not_go_together_are_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = Certificate::generate().write_to(folder.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let [_, other_key] = Certificate::generate().write_to(elsewhere.path());
    assert!(matches!(Tls::load(certificate.clone(), other_key), Err(TlsError::Mismatch(_))));
    let absent = folder.path().join("absent.pem");
    assert!(
        matches!(Tls::load(certificate, absent.clone()), Err(TlsError::Unreadable { path, .. }) if path == absent)
    );
    std::fs::write(&absent, "").unwrap();
    assert!(matches!(Tls::load(absent, key), Err(TlsError::Unreadable { .. })));
}
