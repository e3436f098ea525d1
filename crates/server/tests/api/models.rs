//! `/api/v1/models`: the catalogue, for gateways and operators.

mod create;
mod get;
mod list;
mod versions;
