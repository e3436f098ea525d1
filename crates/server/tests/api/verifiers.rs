//! What verifiers ask: to be vouched for keys, units of limits, and changes; and what revocations know of them.

mod allotments;
mod callers;
mod changes;
mod effective;
mod vouch;
