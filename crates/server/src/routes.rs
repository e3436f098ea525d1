//! One file per noun: read the request, call the use-case, write the answer.

pub(crate) mod admin_tokens;
pub(crate) mod health;
pub(crate) mod ids;
pub(crate) mod keys;
pub(crate) mod pages;
pub(crate) mod validate;
