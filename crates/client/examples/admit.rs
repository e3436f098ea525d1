//! Admits requests as a gateway would: for each line with a key it says what becomes of a request with it, and
//! reports those that pass.
//!
//! ```sh
//! cargo run -p hokusai-client --example admit -- http://127.0.0.1:4658 /var/lib/admit
//! ```
//!
//! The first line is the service token. At the end of the lines it gives back what it holds.

use std::error::Error;
use std::io::{BufRead, Write as _, stdin, stdout};
use std::time::Duration;

use hokusai_client::{Attempt, ClientAddress, Decision, Demand, Secret, Served, Verifier};

const ANYTHING: Attempt<'_> =
    Attempt { service_id: None, demand: Demand::Nothing, client: ClientAddress::Told("unknown") };

fn main() -> Result<(), Box<dyn Error>> {
    let [service, directory] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "URL DIRECTORY")?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(admit(&service, &directory))
}

async fn admit(service: &str, directory: &str) -> Result<(), Box<dyn Error>> {
    // Nothing else is done between two lines, so waiting for them keeps nobody up.
    let mut lines = stdin().lock().lines();
    let token = lines.next().ok_or("the first line is the service token")??;
    let verifier = Verifier::builder([service], Secret::new(token)).journal(directory).start()?;
    for line in lines {
        let said = match verifier.admit(&line?, &ANYTHING).await {
            Ok(Decision::Admitted { key, quota }) => {
                let service_id = &key.rights.service_id;
                let took = Duration::from_millis(1);
                verifier.report(Served { key: key.id, service_id, endpoint: "/admit", status: 200, took });
                format!("admitted, {} left", quota.remaining)
            }
            Ok(Decision::Refused(refusal)) => format!("refused: {}", refusal.code()),
            Ok(Decision::Limited(_)) => "nothing left".to_owned(),
            Err(unavailable) => unavailable.to_string(),
        };
        writeln!(stdout(), "{said}")?;
    }
    verifier.stop(Duration::from_secs(5)).await;
    Ok(())
}
