//! The listener: TLS, bounds on connections, and an end that loses nothing.

mod drain;
mod limits;
mod tls;
