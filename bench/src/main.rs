//! Measurements: fill a store with keys, and load a running service with validations of them.

#![expect(clippy::print_stdout, reason = "figures are this program's output")]

mod bare;
mod fill;
mod load;
mod usage;

use clap::Parser;

#[derive(Parser)]
#[command(name = "hokusai-bench", about = "Measurements of Hokusai Auth")]
enum Bench {
    /// Fill a new SQLite store with keys, and write their texts into a file
    Fill(fill::Args),
    /// Validate random ones of these keys, and say how long it took
    Load(load::Args),
    /// Report usage to a running service, next to a loop of bare inserts; then read it
    Usage(usage::Args),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Bench::parse() {
        Bench::Fill(args) => fill::run(args).await,
        Bench::Load(args) => load::run(args).await,
        Bench::Usage(args) => usage::run(args).await,
    }
}
