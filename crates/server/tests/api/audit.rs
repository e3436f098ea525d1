//! `/api/v1/audit`: what was done, and what was refused; for operators alone.

mod list;
mod refused;
