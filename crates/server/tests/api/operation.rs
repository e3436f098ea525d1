//! What every request meets, and what the service tells about itself.

mod bodies;
mod docs;
mod headers;
mod health;
mod hosts;
mod metrics;
mod openapi;
mod ready;
mod secrets;
mod version;
