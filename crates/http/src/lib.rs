//! What every HTTP face needs: a listener fit for the open internet, where a request comes from, its id, the
//! security headers, and metrics.
//!
//! It knows no route and no key.

mod address;
mod aside;
mod exchange;
mod gathered;
mod headers;
mod hosts;
mod lingering;
mod listen;
mod metrics;
mod outbox;
mod places;
mod request_id;
mod tls;
mod workers;

pub use address::{FORWARDED_FOR, Origin, Peer, origin};
pub use gathered::Gathered;
pub use headers::add_security_headers;
pub use hosts::is_foreign_host;
pub use listen::{ListenOptions, Listener};
pub use metrics::{Exposition, count_request, install as install_metrics};
pub use request_id::{REQUEST_ID, RequestId};
pub use tls::{Tls, TlsError};
pub use workers::{Workers, worker};
