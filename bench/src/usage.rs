//! Reports usage to a running service and reads it back. In turns with it, the same rows go into a bare table.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hokusai_core::calendar::Day;
use hokusai_core::time::{DAY, Timestamp};
use hokusai_engine::Clock;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::bare::{Bare, Row};

const ENDPOINTS: usize = 10;
/// How often each report is read.
const READS: usize = 100;

#[derive(Clone, clap::Args)]
pub(crate) struct Args {
    /// Address of the service
    #[arg(long)]
    address: SocketAddr,
    /// File with an operator token
    #[arg(long)]
    token_file: std::path::PathBuf,
    /// Database for the bare loop: a new SQLite file, or PostgreSQL; of the same kind as the service's
    #[arg(long)]
    bare: String,
    /// Records in all
    #[arg(long, default_value_t = 2_000_000)]
    records: usize,
    /// Records in a batch, and in a transaction of the bare loop
    #[arg(long, default_value_t = 1000)]
    batch: usize,
    /// Connections that report
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Turns of the two
    #[arg(long, default_value_t = 20)]
    turns: usize,
    /// Seed of the records
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What each took, summed over the turns.
#[derive(Default)]
struct Took {
    service: Duration,
    bare: Duration,
    singly: Duration,
    singly_records: usize,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let token = std::fs::read_to_string(&args.token_file)?.trim().to_owned();
    let mut senders = Vec::new();
    for _ in 0..args.connections {
        senders.push(Sender::open(&args, &token).await?);
    }
    let keys = senders[0].get("/api/v1/keys?limit=1000").await?;
    let keys: Vec<String> = keys
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|key| Some(key["id"].as_str()?.to_owned()))
        .collect();
    anyhow::ensure!(!keys.is_empty(), "the service has no keys");
    let mut bare = Bare::open(&args.bare).await?;
    let mut rows = Rows::new(&args, keys.clone());
    let mut took = Took::default();
    let share = args.records / args.turns;
    for _ in 0..args.turns {
        let some: Vec<Row> = (0..share).map(|_| rows.next()).collect();
        took.service += report(&mut senders, &some, args.batch).await?;
        let started = now();
        for batch in some.chunks(args.batch) {
            bare.insert(batch).await?;
        }
        took.bare += started.elapsed();
        // Fewer of these, and other rows: they are slow, and each row counts once.
        let some: Vec<Row> = (0..share / 10).map(|_| rows.next()).collect();
        let started = now();
        for batch in some.chunks(args.batch) {
            bare.insert_singly(batch).await?;
        }
        took.singly += started.elapsed();
        took.singly_records += some.len();
    }
    tell(&took, share * args.turns);
    read(&mut senders[0], &keys).await
}

/// Sends rows as batches over all connections; each has one request at a time.
async fn report(senders: &mut [Sender], rows: &[Row], batch: usize) -> anyhow::Result<Duration> {
    let bodies: Vec<Bytes> = rows.chunks(batch).map(body).collect();
    let count = senders.len();
    let started = now();
    let jobs = senders.iter_mut().enumerate().map(|(number, sender)| {
        let own: Vec<Bytes> = bodies.iter().skip(number).step_by(count).cloned().collect();
        async move {
            for body in own {
                sender.post("/api/v1/usage/batch", body).await?;
            }
            anyhow::Ok(())
        }
    });
    for outcome in join_all(jobs).await {
        outcome?;
    }
    Ok(started.elapsed())
}

/// Runs futures at once; few enough that polling them all is fine.
async fn join_all<T>(jobs: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut jobs: Vec<_> = jobs.map(|job| (Box::pin(job), None)).collect();
    std::future::poll_fn(move |context| {
        for (job, done) in &mut jobs {
            if done.is_none()
                && let std::task::Poll::Ready(value) = job.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if jobs.iter().all(|(_, done)| done.is_some()) {
            return std::task::Poll::Ready(jobs.iter_mut().filter_map(|(_, done)| done.take()).collect());
        }
        std::task::Poll::Pending
    })
    .await
}

fn body(rows: &[Row]) -> Bytes {
    let records: Vec<Value> = rows
        .iter()
        .map(|(id, at, key, service, endpoint, status, response, predictions, compute)| {
            json!({
                "key_id": key, "service_id": service, "endpoint": endpoint, "status_code": status,
                "response_time_ms": response / 1000, "predictions_count": predictions, "compute_ms": compute,
                "idempotency_key": id, "occurred_at": time(Timestamp(*at)),
            })
        })
        .collect();
    json!({"records": records}).to_string().into()
}

/// RFC 3339 to the second.
fn time(at: Timestamp) -> String {
    let second = at.0.rem_euclid(DAY) / 1_000_000;
    format!("{}T{:02}:{:02}:{:02}Z", Day::of(at), second / 3600, second / 60 % 60, second % 60)
}

/// Records spread over the last thirty days, in their order.
struct Rows {
    rng: StdRng,
    keys: Vec<String>,
    start: i64,
    step: i64,
    made: i64,
}

impl Rows {
    fn new(args: &Args, keys: Vec<String>) -> Self {
        let span = 30 * DAY;
        let count = i64::try_from(args.records + args.records / 10 + 1).unwrap_or(i64::MAX);
        let start = Clock::system().now().0 - span;
        Self { rng: StdRng::seed_from_u64(args.seed), keys, start, step: span / count, made: 0 }
    }

    fn next(&mut self) -> Row {
        let id: u128 = self.rng.random();
        let key = self.keys[self.rng.random_range(0..self.keys.len())].clone();
        let endpoint = format!("/v1/models/{}/predict", self.rng.random_range(0..ENDPOINTS));
        let status = if self.rng.random_range(0..50) == 0 { 500 } else { 200 };
        self.made += 1;
        let at = self.start + self.made * self.step;
        let response = 1000 * self.rng.random_range(1..200);
        (format!("{id:032x}"), at, key, "platform", endpoint, status, response, 1, 7)
    }
}

async fn read(sender: &mut Sender, keys: &[String]) -> anyhow::Result<()> {
    let (mut stats, mut aggregate) = (Vec::new(), Vec::new());
    let month = Day::of(Clock::system().now()).plus(-15).to_string();
    let month = &month[..7];
    for number in 0..READS {
        let key = &keys[number * 7 % keys.len()];
        let started = now();
        sender.get(&format!("/api/v1/usage/{key}/stats?period={month}")).await?;
        stats.push(started.elapsed());
        let started = now();
        sender.get("/api/v1/usage/aggregate").await?;
        aggregate.push(started.elapsed());
    }
    for (name, mut times) in [("stats of a key", stats), ("aggregate of 30 days", aggregate)] {
        times.sort_unstable();
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        println!("{name:<22} p50 {:.1} ms  max {:.1} ms", millis(times[READS / 2]), millis(times[READS - 1]));
    }
    Ok(())
}

fn tell(took: &Took, records: usize) {
    let rate = |records: usize, took: Duration| records as f64 / took.as_secs_f64();
    let (service, bare) = (rate(records, took.service), rate(records, took.bare));
    let singly = rate(took.singly_records, took.singly);
    println!("records                {records}");
    println!("the service            {service:.0} a second");
    println!("bare, set by set       {bare:.0} a second; the service has {:.2} of it", service / bare);
    println!("bare, row by row       {singly:.0} a second; the service has {:.2} of it", service / singly);
}

/// One connection to the service.
struct Sender {
    connection: SendRequest<Full<Bytes>>,
    token: String,
}

impl Sender {
    async fn open(args: &Args, token: &str) -> anyhow::Result<Self> {
        let (connection, driver) = handshake(TokioIo::new(TcpStream::connect(args.address).await?)).await?;
        tokio::spawn(driver);
        Ok(Self { connection, token: token.to_owned() })
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        self.send(Request::get(path), Bytes::new()).await
    }

    async fn post(&mut self, path: &str, body: Bytes) -> anyhow::Result<Value> {
        self.send(Request::post(path).header("content-type", "application/json"), body).await
    }

    async fn send(&mut self, request: hyper::http::request::Builder, body: Bytes) -> anyhow::Result<Value> {
        let request = request
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::new(body))?;
        self.connection.ready().await?;
        let response = self.connection.send_request(request).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&bytes));
        Ok(serde_json::from_slice(&bytes)?)
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement needs a stop-watch")]
fn now() -> Instant {
    Instant::now()
}
