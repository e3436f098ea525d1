//! Measurements: fill a store with keys, and load a running service with validations of them.

#![expect(clippy::print_stdout, reason = "figures are this program's output")]

mod fill;
mod load;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "hokusai-bench", about = "Measurements of Hokusai Auth")]
enum Bench {
    #[command(flatten)]
    Step(Step),
}

#[derive(Subcommand)]
enum Step {
    /// Fill a new SQLite store with keys, and write their texts into a file
    Fill(fill::Args),
    /// Validate random ones of these keys, and say how long it took
    Load(load::Args),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Bench::Step(step) = Bench::parse();
    match step {
        Step::Fill(args) => fill::run(args).await,
        Step::Load(args) => load::run(args).await,
    }
}
