//! `/api/v1/usage`: what is reported of requests, and what is told of it.

mod aggregate;
mod backlog;
mod batch;
mod endpoints;
mod fields;
mod instants;
mod record;
mod reporters;
mod stats;
