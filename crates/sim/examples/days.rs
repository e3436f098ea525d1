//! Simulated days, one seed each, until a promise is broken: `days FIRST RUNS`. Fails if one is.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(first)), Some(Ok(runs))) = (numbers.next(), numbers.next()) else {
        return ExitCode::from(2);
    };
    let reports = hokusai_sim::run_many(first, runs, 24);
    let broken = reports.iter().find_map(|report| Some((report.seed, report.violation.as_ref()?)));
    match broken {
        None => ExitCode::SUCCESS,
        Some((seed, (what, _))) => {
            // The one line that the caller reads.
            let _ = std::io::Write::write_all(
                &mut std::io::stdout(),
                format!("seed {seed}: {what}\n").as_bytes(),
            );
            ExitCode::FAILURE
        }
    }
}
