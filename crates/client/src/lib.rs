//! The Rust client of the service.
