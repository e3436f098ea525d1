//! `/api/v1/keys`: making keys and everything that can be done with one.

mod create;
mod list;
mod members;
mod revoke;
mod rotate;
mod settings;
mod show;
mod update;
