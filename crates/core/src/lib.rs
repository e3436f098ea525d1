//! The rules of API keys: what a key looks like, who may pass, how a limit is shared, how changes spread.
//!
//! `core` is pure. It does no IO, never reads the clock, never asks the system for chance and keeps no
//! global: time and randomness are arguments. So every rule here can be tested in a line, and run by a
//! simulator as well as by the service.

pub mod account;
pub mod address;
pub mod allotment;
pub mod audit;
pub mod billing;
pub mod calendar;
pub mod debt;
pub mod feed;
pub mod grant;
pub mod id;
pub mod key;
pub mod lookup_cap;
pub mod model;
pub mod policy;
pub mod refused_calls;
pub mod scope;
pub mod secret;
pub mod shared;
pub mod time;
pub mod token;
pub mod usage;
pub mod verifier;
