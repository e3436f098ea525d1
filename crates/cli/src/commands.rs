//! One command, one file, one function `run`.

pub(crate) mod admin_token;
pub(crate) mod dev;
pub(crate) mod migrate;
pub(crate) mod serve;
