//! The words on the wire: what requests and answers of the service look like as JSON.
//!
//! Shared by server and client. It knows no rule and no sibling crate.

pub mod admin_tokens;
pub mod alerts;
pub mod audit;
pub mod errors;
pub mod keys;
pub mod models;
pub mod time;
pub mod usage;
pub mod validate;
pub mod validations;
pub mod verifiers;
