//! One command, one file, one function `run`.

pub(crate) mod admin_token;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod completions;
pub(crate) mod dev;
pub(crate) mod gateway;
pub(crate) mod migrate;
pub(crate) mod serve;
pub(crate) mod sim;
pub(crate) mod usage;
