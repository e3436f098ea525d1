//! The use-cases: validate, issue, rotate, revoke.
