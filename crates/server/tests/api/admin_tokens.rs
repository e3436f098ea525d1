//! `/api/v1/admin-tokens`: for operators alone.

mod create;
mod current;
mod list;
mod revoke;
