//! A service that asks for an API key of each request, and needs no call to the authentication service for it.
//!
//! ```text
//! protected_service --service http://127.0.0.1:4658 --token-file .hokusai-dev/service-token \
//!     --journal /var/lib/my-service/hokusai --listen 127.0.0.1:8080
//! curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8080/predict
//! ```
//!
//! `--service` may be given several times: once for each node. `--ttl SECONDS` sets how long a key is
//! remembered. Without `--journal`, nothing is admitted past what is at hand while the service is away.

#![expect(clippy::print_stdout, reason = "a program says where it listens")]

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::Extensions;
use axum::routing::get;
use axum::{Extension, Router};
use hokusai_client::{AdmittedKey, RequireKey, Secret, Verifier};
use tokio::signal::unix::{SignalKind, signal};

/// How long to wait at the end for units to be given back.
const PATIENCE: Duration = Duration::from_secs(5);

struct Arguments {
    service: Vec<String>,
    token: Secret,
    listen: SocketAddr,
    journal: Option<PathBuf>,
    ttl: Duration,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let (mut service, mut token, mut journal) = (Vec::new(), None, None);
        let mut listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let mut ttl = Duration::from_secs(300);
        while let Some(option) = words.next() {
            let value = words.next().ok_or_else(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--service" => service.push(value),
                "--token-file" => {
                    token = Some(Secret::new(std::fs::read_to_string(value)?.trim().to_owned()));
                }
                "--listen" => listen = value.parse()?,
                "--journal" => journal = Some(PathBuf::from(value)),
                "--ttl" => ttl = Duration::from_secs(value.parse()?),
                _ => return Err(format!("{option} is not an option").into()),
            }
        }
        let token = token.ok_or("--token-file is needed: the file of a token with the role verifier")?;
        Ok(Self { service, token, listen, journal, ttl })
    }
}

/// What lies behind the keys. The key itself was taken off the request; what is known of it came along.
async fn predict(Extension(AdmittedKey(key)): Extension<AdmittedKey>) -> String {
    format!("a prediction for {}\n", key.rights.user_id)
}

/// The address that a request comes from, for keys that may be used from certain addresses only.
fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    // One for the whole process: clones share it.
    let mut verifier = Verifier::builder(arguments.service, arguments.token).validation_ttl(arguments.ttl);
    if let Some(directory) = arguments.journal {
        verifier = verifier.journal(directory);
    }
    let verifier = verifier.start()?;

    let layer = RequireKey::new(verifier.clone()).client_address(client_address);
    let router = Router::new().route("/predict", get(predict)).layer(layer);
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    println!("the example is ready on http://{}/predict", listener.local_addr()?);

    let mut end = signal(SignalKind::terminate())?;
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            end.recv().await;
        })
        .await?;
    // What is at hand goes back, so that others can have it in this hour.
    verifier.stop(PATIENCE).await;
    Ok(())
}
