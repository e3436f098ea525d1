//! `/api/v1/admin-tokens`: for operators alone.

mod create;
mod list;
mod revoke;
