//! One file per noun: read the request, call the use-case, write the answer.

pub(crate) mod admin_tokens;
pub(crate) mod alerts;
pub(crate) mod audit;
pub(crate) mod health;
pub(crate) mod ids;
pub(crate) mod keys;
pub(crate) mod models;
pub(crate) mod pages;
pub(crate) mod refused_calls;
pub(crate) mod usage;
pub(crate) mod validate;
pub(crate) mod validations;
pub(crate) mod verifiers;
