//! Many rows as parameters of one statement: for PostgreSQL an array for each column, which it need not
//! parse; for SQLite one JSON text, because it knows no arrays.

use std::borrow::Cow;

use hokusai_core::usage::RecordId;
use serde::ser::{Serialize, SerializeSeq as _, Serializer};
use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;

use crate::StoreError;
use crate::usage::sums::json;

/// Columns of the same length, in the order of the statement.
#[derive(Default)]
pub(crate) struct Columns<'a>(Vec<Column<'a>>);

/// The values of one column, from the first row to the last.
enum Column<'a> {
    Numbers(Vec<i64>),
    Texts(Vec<Cow<'a, str>>),
    Names(Vec<Option<&'a str>>),
    Records(Vec<RecordId>),
}

impl<'a> Columns<'a> {
    pub(crate) fn numbers(self, values: impl Iterator<Item = i64>) -> Self {
        self.and(Column::Numbers(values.collect()))
    }

    pub(crate) fn texts<T: Into<Cow<'a, str>>>(self, values: impl Iterator<Item = T>) -> Self {
        self.and(Column::Texts(values.map(T::into).collect()))
    }

    /// Texts of which some are missing.
    pub(crate) fn names(self, values: impl Iterator<Item = Option<&'a str>>) -> Self {
        self.and(Column::Names(values.collect()))
    }

    pub(crate) fn records(self, values: impl Iterator<Item = RecordId>) -> Self {
        self.and(Column::Records(values.collect()))
    }

    fn and(mut self, column: Column<'a>) -> Self {
        self.0.push(column);
        self
    }
}

impl Column<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Names(values) => values.len(),
            Self::Records(values) => values.len(),
        }
    }
}

/// The parameters of a statement: what is the same for all rows first.
pub(crate) fn for_postgres(first: &[i64], columns: Columns<'_>) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    let add_all = || {
        first.iter().try_for_each(|value| arguments.add(*value))?;
        columns.0.into_iter().try_for_each(|column| match column {
            Column::Numbers(values) => arguments.add(values),
            Column::Texts(values) => arguments.add(values),
            Column::Names(values) => arguments.add(values),
            Column::Records(values) => {
                arguments.add(values.iter().map(|id| id.as_bytes().as_slice()).collect::<Vec<_>>())
            }
        })
    };
    add_all().map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}

/// The same for SQLite.
pub(crate) fn for_sqlite(first: &[i64], columns: Columns<'_>) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    let mut add_all = || {
        first.iter().try_for_each(|value| arguments.add(*value))?;
        arguments.add(json(&columns))
    };
    add_all().map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}

/// A list of rows, each a list of its values.
impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.0.first().map_or(0, Column::len)).map(|row| RowOf(self, row)))
    }
}

struct RowOf<'a>(&'a Columns<'a>, usize);

impl Serialize for RowOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Columns(columns), row) = *self;
        let mut values = serializer.serialize_seq(Some(columns.len()))?;
        for column in columns {
            match column {
                Column::Numbers(numbers) => values.serialize_element(&numbers[row])?,
                Column::Texts(texts) => values.serialize_element(&texts[row])?,
                Column::Names(names) => values.serialize_element(&names[row])?,
                Column::Records(ids) => values.serialize_element(&format_args!("{}", ids[row]))?,
            }
        }
        values.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_is_given_a_list_of_rows() {
        let columns = Columns::default()
            .numbers([1, 2].into_iter())
            .texts(["a\"", "b"].into_iter())
            .names([None, Some("c")].into_iter())
            .records([RecordId::random([10; 16]); 2].into_iter());
        let id = "0a".repeat(16);
        assert_eq!(json(&columns), format!(r#"[[1,"a\"",null,"{id}"],[2,"b","c","{id}"]]"#));
        assert_eq!(json(&Columns::default().numbers(std::iter::empty())), "[]");
    }
}
