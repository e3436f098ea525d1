//! The program as its users meet it: real processes, real databases, real signals.
//!
//! Each fact starts what it needs and stops it by its process id. Limits are of clock hours, so facts about
//! them count by the hour that the service names in its answers.
#![cfg(test)]

mod audit;
mod auth;
mod clock;
mod crashes;
mod databases;
mod dev;
mod disk;
mod first_token;
mod gateway;
mod http;
mod limits;
mod outage;
mod pooler;
mod profiles;
mod program;
mod protected;
mod protected_clocks;
mod protected_limits;
mod proxy;
mod revocation;
mod secrets;
mod settings;
mod sim;
mod site;
mod startup;
mod tally;
mod terminal;
mod usage_crashes;
mod usage_ledger;
mod usage_load;
mod usage_memory;
mod usage_outage;
mod usage_reconcile;
mod usage_reports;
mod usage_settings;
mod validation_counts;
mod verifiers;
