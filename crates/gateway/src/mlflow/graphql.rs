//! What a GraphQL request asks for. All of MLflow's are a POST to one path, so the body has to tell.
//!
//! Whatever is not understood, or not known to be harmless, does not pass. What goes on is what was read, and
//! nothing else of the body.

use apollo_parser::Parser;
use apollo_parser::cst::{Definition, OperationDefinition, Selection};
use bytes::Bytes;
use hokusai_client::Denial;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::table;

/// The largest request, in bytes.
pub(crate) const LARGEST: u64 = 256 * 1024;
/// The most words and marks in a document; MLflow's own have some hundred.
const MOST_TOKENS: usize = 20_000;
/// How deep a document may go; MLflow's own go to some ten.
const DEEPEST: usize = 64;
/// Fields that every schema has: about types, not about data.
const OF_TYPES: [&str; 3] = ["__typename", "__schema", "__type"];

#[derive(Deserialize, Serialize)]
struct Asked<'a> {
    query: String,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    variables: Option<&'a RawValue>,
    #[serde(rename = "operationName", default, skip_serializing_if = "Option::is_none")]
    operation_name: Option<String>,
}

/// Why a document does not pass.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    NotUnderstood,
    Unknown(String),
}

/// The body as it goes on, if it only reads what is known.
///
/// # Errors
/// The answer, if it does not.
pub(super) fn checked(body: &[u8]) -> Result<Bytes, Denial> {
    let asked: Asked<'_> = serde_json::from_slice(body).map_err(|_| not_understood())?;
    check(&asked.query).map_err(|fault| match fault {
        Fault::NotUnderstood => not_understood(),
        Fault::Unknown(field) => {
            let detail = format!("The gateway does not pass the GraphQL field {field} on");
            Denial::new(StatusCode::FORBIDDEN, "graphql_field_refused", detail)
        }
    })?;
    let written = serde_json::to_vec(&asked).expect("what was read as JSON can be written");
    Ok(written.into())
}

fn not_understood() -> Denial {
    let detail = "The gateway does not understand this GraphQL request, and does not pass it on";
    Denial::new(StatusCode::BAD_REQUEST, "graphql_not_understood", detail)
}

/// Looks at the fields at the top of every operation.
fn check(document: &str) -> Result<(), Fault> {
    let tree = Parser::new(document).recursion_limit(DEEPEST).token_limit(MOST_TOKENS).parse();
    if tree.errors().next().is_some() {
        return Err(Fault::NotUnderstood);
    }
    for definition in tree.document().definitions() {
        match definition {
            Definition::OperationDefinition(operation) => check_operation(&operation)?,
            // It stands below a field, or its use at the top is refused.
            Definition::FragmentDefinition(_) => {}
            _ => return Err(Fault::NotUnderstood),
        }
    }
    Ok(())
}

fn check_operation(operation: &OperationDefinition) -> Result<(), Fault> {
    let is_known = match operation.operation_type() {
        None => table::is_query,
        Some(kind) if kind.query_token().is_some() => table::is_query,
        Some(kind) if kind.mutation_token().is_some() => table::is_mutation,
        Some(_) => return Err(Fault::NotUnderstood),
    };
    let fields = operation.selection_set().ok_or(Fault::NotUnderstood)?;
    for selection in fields.selections() {
        let Selection::Field(field) = selection else { return Err(Fault::NotUnderstood) };
        let name = field.name().ok_or(Fault::NotUnderstood)?.text().to_string();
        if !is_known(&name) && !OF_TYPES.contains(&&*name) {
            return Err(Fault::Unknown(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_what_is_known_passes() {
        for document in [
            "{ mlflowGetRun { run { info { runId } } } }",
            "query { mlflowGetRun(input: {runId: \"}{\"}) { run { ...X } } } fragment X on MlflowRun { data }",
            "query GetRun($data: MlflowGetRunInput! = {runId: \"a\"}) @component(name: \"x\") {\n  # a } word\n  \
             run: mlflowGetRun(input: $data) @skip(if: false) { __typename, apiError { code } }\n}",
            "mutation Search($a: [Int!]) { mlflowSearchRuns(input: {n: -1.5e+3, s: \"\\\"}\"}) { runs { x } } }",
            "fragment X on A { b } query { mlflowListArtifacts { ... on A { b } ...X } test }",
            "{ __schema { types { name } } __typename }",
            "{ test(a: \"\"\" } { \"\"\") }",
            "\u{feff}{ test }",
        ] {
            assert_eq!(check(document), Ok(()), "{document}");
        }
    }

    #[test]
    fn what_is_not_known_or_not_understood_does_not_pass() {
        for (document, unknown) in [
            ("mutation { mlflowDeleteRun { x } }", Some("mlflowDeleteRun")),
            ("mutation { mlflowGetRun { x } }", Some("mlflowGetRun")),
            ("{ mlflowGetRun: mlflowDeleteRun { x } }", Some("mlflowDeleteRun")),
            ("{ test } mutation M { mlflowDeleteRun }", Some("mlflowDeleteRun")),
            ("{ test @skip(if: true) other }", Some("other")),
            ("{ test(a: \"\\\\\") other(b: \"\") }", Some("other")),
            ("{ test # } \n other }", Some("other")),
            ("{ ...X } fragment X on Query { mlflowDeleteRun }", None),
            ("{ ... on Query { mlflowDeleteRun } }", None),
            ("{ ... @include(if: true) { mlflowDeleteRun } }", None),
            ("subscription { test }", None),
            ("type X { test: Int }", None),
            ("{ test(a: \"\"\" } \\\"\"\" \"\"\") other }", Some("other")),
            ("{ test(a: \"\"\" } { ) other }", None),
            ("{ test # } \r other }", Some("other")),
            ("{ test # } \r\n other }", Some("other")),
            ("{ test(a: \"b\n other(a: \") }", None),
            ("{ test(a: \"\"\"\\\"\"\" \"\"\\\\\"\"\" ) } \"\"\") other }", Some("other")),
            ("{ test(a: [)] }", None),
            ("{ test", None),
            ("{ test }}", None),
            ("{ test ? }", None),
            ("", None),
            ("query", None),
        ] {
            let expected = unknown.map_or(Fault::NotUnderstood, |field| Fault::Unknown(field.into()));
            assert_eq!(check(document), Err(expected), "{document}");
        }
    }

    #[test]
    fn what_is_too_deep_or_too_long_does_not_pass() {
        let deep = |levels: usize| format!("{}{}", "{ test ".repeat(levels), "}".repeat(levels));
        assert_eq!(check(&deep(DEEPEST / 2)), Ok(()));
        assert_eq!(check(&deep(100_000)), Err(Fault::NotUnderstood));
        assert_eq!(check(&format!("{{ {} }}", "test ".repeat(MOST_TOKENS))), Err(Fault::NotUnderstood));
    }

    #[test]
    fn only_what_was_read_goes_on() {
        let body =
            br#"{"query": "{ test }", "variables": {"n": 1e400, "a": [ ]}, "operationName": null, "x": "y"}"#;
        let written = checked(body).unwrap();
        assert_eq!(&*written, br#"{"query":"{ test }","variables":{"n": 1e400, "a": [ ]}}"#);
        for bad in [
            &br#"{"query": "{ test }", "query": "mutation { x }"}"#[..],
            br#"[{"query": "{ test }"}]"#,
            br#""{ test }""#,
            br#"{"query": null}"#,
            b"",
        ] {
            assert_eq!(checked(bad).unwrap_err().status, StatusCode::BAD_REQUEST);
        }
        let refused = checked(br#"{"query": "mutation { drop }"}"#).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code), (403, Some("graphql_field_refused")));
    }
}
