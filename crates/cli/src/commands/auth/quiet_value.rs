//! Values in whose place a secret is easily given: what is refused is not repeated on standard error.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

/// Reads a value with this function, and says of a refused one only what is wrong with it.
#[derive(Clone)]
pub(crate) struct Quiet<T>(pub(crate) fn(&str) -> Result<T, String>);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Quiet<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let Self(read) = self;
        read(&value.to_string_lossy()).map_err(|fault| {
            let name = arg.map(ToString::to_string).unwrap_or_default();
            let what = format!("the value of {name} {fault}\n\nFor more information, try '--help'.\n");
            Error::raw(ErrorKind::ValueValidation, what).with_cmd(command)
        })
    }
}
