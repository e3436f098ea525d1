//! Reading the fields of a table, and collecting what is wrong with them.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Fault;

/// Where something stands in the text, in bytes.
pub(super) type Place = usize;

/// Reads a file, and gathers its faults.
pub(super) struct Reading<'a> {
    text: &'a str,
    pub(super) faults: Vec<Fault>,
}

pub(super) fn fault(text: &str, at: Place, what: impl Into<String>, hint: impl Into<String>) -> Fault {
    let line = text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
    Fault { line, what: what.into(), hint: hint.into() }
}

/// The candidate that somebody may have meant.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distances = candidates.map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate));
    distances.min().filter(|(distance, _)| *distance <= 2).map(|(_, candidate)| candidate)
}

impl<'a> Reading<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, faults: Vec::new() }
    }

    pub(super) fn fault(&mut self, at: Place, what: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(fault(self.text, at, what, hint));
    }

    pub(super) fn line(&self, at: Place) -> usize {
        fault(self.text, at, "", "").line
    }

    /// Where a field stands.
    pub(super) fn place(&self, table: &DeTable<'_>, name: &str) -> Place {
        table.get(name).map_or(0, |value| value.span().start)
    }

    pub(super) fn known_fields(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for field in table.keys() {
            let name = field.get_ref().as_ref();
            if !known.contains(&name) {
                let hint = match nearest(name, known.iter().copied()) {
                    Some(nearest) => format!("did you mean {nearest}?"),
                    None => format!("a route has {}", known.join(", ")),
                };
                self.fault(field.span().start, format!("unknown field {name}"), hint);
            }
        }
    }

    /// A value of one kind; `None` if it is not there, or of another kind.
    fn of_kind<'t, T>(
        &mut self,
        table: &'t DeTable<'_>,
        name: &str,
        kind: &str,
        read: impl FnOnce(&'t DeValue<'_>) -> Option<T>,
    ) -> Option<(T, Place)> {
        let value: &Spanned<DeValue<'_>> = table.get(name)?;
        let place = value.span().start;
        let read = read(value.get_ref());
        if read.is_none() {
            self.fault(place, format!("{name} must be {kind}"), "docs/gateway.md shows all fields");
        }
        Some((read?, place))
    }

    pub(super) fn table<'t, 'i>(&mut self, table: &'t DeTable<'i>, name: &str) -> Option<&'t DeTable<'i>> {
        let value = table.get(name)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                let hint = format!("begin its lines with [{name}]");
                self.fault(value.span().start, format!("{name} must be a table"), hint);
                None
            }
        }
    }

    pub(super) fn tables<'t, 'i>(
        &mut self,
        table: &'t DeTable<'i>,
        name: &str,
    ) -> Vec<(&'t DeTable<'i>, Place)> {
        let Some(value) = table.get(name) else { return Vec::new() };
        let hint = "begin each route with [[gateway.routes]]";
        let DeValue::Array(items) = value.get_ref() else {
            self.fault(value.span().start, format!("{name} must be a list of tables"), hint);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => tables.push((table, item.span().start)),
                _ => self.fault(item.span().start, "a route must be a table", hint),
            }
        }
        tables
    }

    pub(super) fn text(&mut self, table: &DeTable<'_>, name: &str) -> Option<(String, Place)> {
        self.of_kind(table, name, "a text in quotes", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn flag(&mut self, table: &DeTable<'_>, name: &str) -> Option<bool> {
        Some(self.of_kind(table, name, "true or false", |value| value.as_bool())?.0)
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&mut self, table: &DeTable<'_>, name: &str, least: u64, most: u64) -> Option<u64> {
        let kind = format!("a whole number from {least} to {most}");
        let number = |value: &DeValue<'_>| {
            let number = value.as_integer()?;
            let number = u64::from_str_radix(number.as_str(), number.radix()).ok()?;
            (least..=most).contains(&number).then_some(number)
        };
        Some(self.of_kind(table, name, &kind, number)?.0)
    }

    pub(super) fn texts(&mut self, table: &DeTable<'_>, name: &str) -> Option<Vec<(String, Place)>> {
        let read = |value: &DeValue<'_>| {
            let items = value.as_array()?.iter();
            items.map(|item| Some((item.get_ref().as_str()?.to_owned(), item.span().start))).collect()
        };
        Some(self.of_kind(table, name, "a list of texts", read)?.0)
    }
}
