//! `POST /api/v1/keys/validate`.

mod accepted;
mod addresses;
mod credentials;
mod dry_run;
mod limits;
mod lookups;
mod outage;
mod refusals;
