//! The HTTP face of the service: routes, who is asking, errors to statuses, and a listener fit for the
//! open internet.
//!
//! Handlers are thin: they read a request into types, call one use-case of `engine`, and write the answer.
//! Only `error.rs` turns errors into statuses; no rule lives here.

mod address;
mod app;
mod batches;
mod body;
mod caller;
mod docs;
mod error;
mod fields;
mod frame;
mod metrics;
mod routes;
mod serving;
mod values;

pub use app::{App, AppOptions, loopback, router};
pub use hokusai_http::{Exposition, ListenOptions, Listener, Tls, TlsError};
pub use metrics::install as install_metrics;
pub use routes::audit::audit_entry;
pub use routes::refused_calls::refused_calls;
pub use serving::serve;
