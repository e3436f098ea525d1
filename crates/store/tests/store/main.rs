//! The contract of the store: facts that are stated once and hold on SQLite and on PostgreSQL alike.
#![cfg(test)]

mod acts;
mod alerts;
mod allotments;
mod audit;
mod bell;
mod bills;
mod change;
mod connection;
mod facts;
mod feed;
mod holders;
mod hours;
mod keys;
mod lost_messages;
mod models;
mod open;
mod postgres;
mod reading;
mod reconciliation;
mod refused_calls;
mod repeated_reports;
mod samples;
mod sqlite;
mod stores;
mod sums;
mod tokens;
mod usage;
mod validations;
