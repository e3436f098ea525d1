//! `/api/v1/usage/{key_id}/debit` and `…/billing`: what a month may hold, and what it costs.

mod bill;
mod debit;
