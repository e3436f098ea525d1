//! Validates keys over a number of connections, and measures each answer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::net::TcpStream;

#[derive(Clone, clap::Args)]
pub(crate) struct Args {
    /// Address of the service
    #[arg(long)]
    address: SocketAddr,
    /// File with the keys' texts
    #[arg(long)]
    keys: PathBuf,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Requests in all
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// Validate each key once in random order, instead of drawing by chance
    #[arg(long)]
    each_once: bool,
    /// Seed of the order
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How the requests of one connection went.
#[derive(Default)]
struct Figures {
    micros: Vec<u32>,
    other_statuses: usize,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&args.keys)?;
    let mut keys: Vec<String> = text.lines().map(str::to_owned).collect();
    if args.each_once {
        keys.shuffle(&mut StdRng::seed_from_u64(args.seed));
    }
    let (keys, next) = (Arc::new(keys), Arc::new(AtomicUsize::new(0)));
    let started = now();
    let mut tasks = Vec::new();
    for connection in 0..args.connections {
        tasks.push(tokio::spawn(one_connection(args.clone(), connection, keys.clone(), next.clone())));
    }
    let mut all = Figures::default();
    for task in tasks {
        let mut some = task.await??;
        all.micros.append(&mut some.micros);
        all.other_statuses += some.other_statuses;
    }
    report(all, started.elapsed());
    Ok(())
}

async fn one_connection(
    args: Args,
    connection: usize,
    keys: Arc<Vec<String>>,
    next: Arc<AtomicUsize>,
) -> anyhow::Result<Figures> {
    let mut rng = StdRng::seed_from_u64(args.seed + connection as u64);
    let (mut sender, driver) = handshake(TokioIo::new(TcpStream::connect(args.address).await?)).await?;
    tokio::spawn(driver);
    let mut figures = Figures::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= args.requests || (args.each_once && number >= keys.len()) {
            return Ok(figures);
        }
        let key = if args.each_once { &keys[number] } else { &keys[rng.random_range(0..keys.len())] };
        let sent = now();
        let status = validate(&mut sender, key).await?;
        figures.micros.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        figures.other_statuses += usize::from(status != 200);
    }
}

async fn validate(sender: &mut SendRequest<Empty<Bytes>>, key: &str) -> anyhow::Result<u16> {
    let request = Request::post("/api/v1/keys/validate")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {key}"))
        .body(Empty::new())?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    Ok(status)
}

fn report(mut figures: Figures, took: Duration) {
    figures.micros.sort_unstable();
    let count = figures.micros.len();
    if count == 0 {
        return println!("no request was answered");
    }
    let at = |share: f64| figures.micros[((count as f64 * share) as usize).min(count - 1)];
    println!(
        "requests       {count} in {:.1} s: {:.0} a second",
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64()
    );
    println!("other than 200 {}", figures.other_statuses);
    println!(
        "microseconds   p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

#[expect(clippy::disallowed_methods, reason = "a measurement needs a stop-watch")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
