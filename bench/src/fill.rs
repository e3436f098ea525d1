//! Fills a store with keys, as one import would.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hokusai_core::audit::AuditKey;
use hokusai_core::id::{Epoch, KeyId};
use hokusai_core::key::{Environment, Lifetime, PlainKey};
use hokusai_core::policy::{KeyFacts, Rights};
use hokusai_core::scope::Scope;
use hokusai_core::time::Timestamp;
use hokusai_engine::{Actor, Clock};
use hokusai_store::{About, Key, NewKey, Note, NowFn, Store, StoreOptions, Writes};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

/// Keys in one transaction.
const AT_ONCE: usize = 5000;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Database to fill
    #[arg(long)]
    database: String,
    /// File that holds the audit key of the service that will use the database
    #[arg(long)]
    audit_key_file: PathBuf,
    /// How many keys
    #[arg(long, default_value_t = 1_000_000)]
    keys: usize,
    /// How many users share them
    #[arg(long, default_value_t = 1000)]
    users: usize,
    /// Requests an hour for each key
    #[arg(long, default_value_t = 1000)]
    rate_limit: u32,
    /// Where to write the keys' texts
    #[arg(long)]
    out: PathBuf,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let clock = Clock::system();
    let store = open(&args, &clock).await?;
    let mut out = BufWriter::new(File::create(&args.out)?);
    let mut made = 0;
    while made < args.keys {
        let count = AT_ONCE.min(args.keys - made);
        let keys: Vec<PlainKey> =
            (0..count).map(|_| PlainKey::generate(Environment::Production, &mut UnwrapErr(SysRng))).collect();
        for key in &keys {
            writeln!(out, "{}", key.expose())?;
        }
        let decide = |now| writes(&args, made, &keys, now);
        store.change(About::Nothing, |standing| (Some(decide(standing.now)), ())).await?;
        store.checkpoint().await?;
        made += count;
    }
    out.flush()?;
    store.close().await;
    println!("{made} keys");
    Ok(())
}

async fn open(args: &Args, clock: &Clock) -> anyhow::Result<Store> {
    let text = std::fs::read_to_string(&args.audit_key_file)?.trim().to_owned();
    let now = clock.clone();
    let options = StoreOptions {
        url: args.database.clone(),
        now: NowFn::new(move || now.now()),
        inject_now_into_postgres: false,
        listen: false,
        connections: 2,
        timeout: Duration::from_secs(60),
        audit_key: AuditKey::new(text).ok_or_else(|| anyhow::anyhow!("the audit key is too short"))?,
        epoch: Epoch::new(clock.now(), &mut UnwrapErr(SysRng)),
    };
    Ok(Store::open(&options).await?)
}

fn writes(args: &Args, first: usize, keys: &[PlainKey], now: Timestamp) -> Writes {
    let system = Actor::system();
    let note = Note {
        user_id: system.user_id,
        token_id: String::new(),
        action: "key.import",
        target: String::new(),
        address: String::new(),
        request_id: String::new(),
        detail: format!("{{\"keys\":{}}}", keys.len()),
    };
    let mut writes = Writes::only("create", note);
    writes.new_keys = keys
        .iter()
        .enumerate()
        .map(|(at, plain)| NewKey { key: key(args, first + at, plain, now), digest: plain.digest() })
        .collect();
    writes
}

fn key(args: &Args, number: usize, plain: &PlainKey, now: Timestamp) -> Key {
    let id = KeyId::new(now, &mut UnwrapErr(SysRng));
    let never = Timestamp::NEVER;
    let rights = Rights {
        user_id: format!("user-{}", number % args.users).into(),
        service_id: "platform".into(),
        scopes: ["model:read", "model:write"].into_iter().filter_map(Scope::parse).collect(),
        environment: Environment::Production,
        allowlist: Box::default(),
        rate_limit_per_hour: args.rate_limit,
        monthly_prediction_limit: None,
        billing_plan: "free".into(),
    };
    Key {
        facts: KeyFacts {
            id,
            account: id.into(),
            lifetime: Lifetime { expires_at: never, grace_until: never, revoked_at: never },
            rights: Arc::new(rights),
        },
        name: format!("Key {number}"),
        shown_prefix: plain.shown_prefix(),
        metadata: "{}".into(),
        created_at: now,
        life: None,
        rotated_from: None,
        rotated_to: None,
    }
}
