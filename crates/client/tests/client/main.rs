//! The client against real sockets: the real service, and servers that answer as no service should.
#![cfg(test)]

mod admin_tokens;
mod alerts;
mod builder;
mod errors;
mod flood;
mod hit;
mod keys;
mod layer;
mod metrics;
mod models;
mod odd;
mod pages;
mod reports;
mod restarts;
mod retries;
mod service;
mod usage;
mod validate;
mod validations;

use std::time::Duration;

use hokusai_client::{Builder, Client, Secret};

/// Longer than anything that is waited for takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn builder(url: &str) -> Builder {
    Client::builder(url).unwrap().timeout(PATIENCE)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// A key that nobody has.
fn no_key() -> hokusai_client::KeyId {
    "0195f000-0000-7000-8000-000000000001".parse().unwrap()
}
