//! Reading the fields of a JSON object: every fault is named, unknown fields too.

use hokusai_api::errors::FieldError;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// What a field's value has to be; the error says what would be right.
pub(crate) type Parsed<T> = Result<T, String>;

/// The fields of an object that were not read yet, and the faults of those that were.
pub(crate) struct Fields {
    rest: Map<String, Value>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Fields {
    pub(crate) fn new(object: Map<String, Value>) -> Self {
        Self { rest: object, known: Vec::new(), errors: Vec::new() }
    }

    /// A field that has to be there. `None` if it is not, or is wrong; [`Fields::finish`] then fails.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Value) -> Parsed<T>,
    ) -> Option<T> {
        if !self.rest.contains_key(name) {
            self.known.push(name);
            self.fault(name, "is required".into());
            return None;
        }
        self.optional(name, parse)
    }

    /// A field that may be left out, but not null.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Value) -> Parsed<T>,
    ) -> Option<T> {
        self.known.push(name);
        let value = self.rest.remove(name)?;
        self.parsed(name, value, parse)
    }

    /// A field that may be left out (`None`) or null (`Some(None)`).
    pub(crate) fn nullable<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Value) -> Parsed<T>,
    ) -> Option<Option<T>> {
        self.known.push(name);
        match self.rest.remove(name)? {
            Value::Null => Some(None),
            value => self.parsed(name, value, parse).map(Some),
        }
    }

    /// Notes a fault that lies between fields.
    pub(crate) fn fault(&mut self, field: &str, message: String) {
        self.errors.push(FieldError { field: field.to_owned(), message });
    }

    /// Ends the reading: fails if anything was wrong.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::fields(self.errors)) }
    }

    /// Ends the reading of an object within another: its faults are named with their place.
    pub(crate) fn finish_within(self, place: &str) -> Result<(), ApiError> {
        let named = |error: FieldError| FieldError { field: format!("{place}.{}", error.field), ..error };
        let errors: Vec<FieldError> = self.errors.into_iter().map(named).collect();
        if errors.is_empty() { Ok(()) } else { Err(ApiError::fields(errors)) }
    }

    /// Ends the reading: fails if anything was wrong or is left over.
    pub(crate) fn finish_all_known(mut self) -> Result<(), ApiError> {
        let unknown: Vec<String> = self.rest.keys().cloned().collect();
        self.errors.extend(unknown.iter().map(|name| unknown_field("field", name, &self.known)));
        self.finish()
    }

    fn parsed<T>(
        &mut self,
        name: &'static str,
        value: Value,
        parse: impl FnOnce(Value) -> Parsed<T>,
    ) -> Option<T> {
        match parse(value) {
            Ok(parsed) => Some(parsed),
            Err(message) => {
                self.fault(name, message);
                None
            }
        }
    }
}

/// What is wrong with a name that is none of the known ones.
pub(crate) fn unknown_field(what: &str, name: &str, known: &[&str]) -> FieldError {
    let message = match nearest(name, known) {
        Some(known) => format!("is not a known {what}; did you mean {known}?"),
        None => format!("is not a known {what}"),
    };
    FieldError { field: name.chars().filter(|c| !c.is_control()).take(64).collect(), message }
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &&&str| strsim::damerau_levenshtein(name, candidate);
    known.iter().min_by_key(distance).filter(|candidate| distance(candidate) <= 3).copied()
}
