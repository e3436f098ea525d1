//! The service as its callers meet it: every fact is asked of a real server over a real connection.
//!
//! Each test has a server, a store and a clock of its own. They run on SQLite, or on PostgreSQL if
//! `HOKUSAI_TEST_STORE` says `postgres`; the facts are the same.
#![cfg(test)]

mod admin_tokens;
mod alerts;
mod audit;
mod billing;
mod keys;
mod listener;
mod models;
mod operation;
mod support;
mod usage;
mod validate;
mod validations;
mod verifiers;
