//! What a GraphQL request asks for. All of MLflow's are a POST to one path, so the body has to tell.
//!
//! This reads less than GraphQL is: whatever it does not understand, or does not know to be harmless, does not
//! pass. What goes on is what was read, and nothing else of the body.

use bytes::Bytes;
use hokusai_client::Denial;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::table;

/// The largest request, in bytes.
pub(crate) const LARGEST: u64 = 256 * 1024;
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

/// A piece of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    /// A number or a text.
    Value,
    Dots,
    Mark(u8),
}

/// Why a document does not pass.
#[derive(Debug, PartialEq, Eq)]
enum Fault<'a> {
    NotUnderstood,
    Unknown(&'a str),
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

/// Looks at the fields at the top of every operation. Fragments may stand further down only.
fn check(document: &str) -> Result<(), Fault<'_>> {
    let tokens = tokens(document).ok_or(Fault::NotUnderstood)?;
    let mut rest = tokens.as_slice();
    while let Some(first) = rest.first() {
        let is_known: Option<fn(&str) -> bool> = match first {
            Token::Mark(b'{') | Token::Name("query") => Some(table::is_query),
            Token::Name("mutation") => Some(table::is_mutation),
            Token::Name("fragment") => None,
            _ => return Err(Fault::NotUnderstood),
        };
        while !matches!(rest.first(), Some(Token::Mark(b'{'))) {
            rest = skip_one(rest)?;
        }
        rest = match is_known {
            None => skip_one(rest)?,
            Some(is_known) => check_fields(&rest[1..], is_known)?,
        };
    }
    if tokens.is_empty() { Err(Fault::NotUnderstood) } else { Ok(()) }
}

/// Reads the fields between two braces; what follows the second.
fn check_fields<'t, 'a>(
    mut rest: &'t [Token<'a>],
    is_known: fn(&str) -> bool,
) -> Result<&'t [Token<'a>], Fault<'a>> {
    loop {
        let field = match rest {
            [Token::Mark(b'}'), after @ ..] => return Ok(after),
            [Token::Name(_), Token::Mark(b':'), Token::Name(field), after @ ..]
            | [Token::Name(field), after @ ..] => {
                rest = after;
                *field
            }
            _ => return Err(Fault::NotUnderstood),
        };
        if !is_known(field) && !OF_TYPES.contains(&field) {
            return Err(Fault::Unknown(field));
        }
        // Arguments, directives with theirs, and what is wanted of the field.
        loop {
            rest = match rest {
                [Token::Mark(b'('), ..] => skip_one(rest)?,
                [Token::Mark(b'@'), Token::Name(_), after @ ..] => after,
                [Token::Mark(b'{'), ..] => {
                    rest = skip_one(rest)?;
                    break;
                }
                _ => break,
            };
        }
    }
}

/// Skips a token, or all that is between two brackets.
fn skip_one<'t, 'a>(tokens: &'t [Token<'a>]) -> Result<&'t [Token<'a>], Fault<'a>> {
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark(b'(') => open.push(b')'),
            Token::Mark(b'[') => open.push(b']'),
            Token::Mark(b'{') => open.push(b'}'),
            Token::Mark(mark @ (b')' | b']' | b'}')) if open.pop() != Some(*mark) => break,
            _ => {}
        }
        if open.is_empty() {
            return Ok(&tokens[at + 1..]);
        }
    }
    Err(Fault::NotUnderstood)
}

/// The document in pieces. `None`, if one is not understood: blocks of text are among them.
fn tokens(document: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = document;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => 1,
            b'#' => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            b'"' => {
                tokens.push(Token::Value);
                text_length(rest)?
            }
            b'.' if rest.starts_with("...") => {
                tokens.push(Token::Dots);
                3
            }
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}' => {
                tokens.push(Token::Mark(first));
                1
            }
            b'-' | b'0'..=b'9' => {
                tokens.push(Token::Value);
                length_of(rest, |b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                let length = length_of(rest, |b| b.is_ascii_alphanumeric() || b == b'_');
                tokens.push(Token::Name(&rest[..length]));
                length
            }
            _ => return None,
        };
        rest = &rest[length..];
    }
    Some(tokens)
}

fn length_of(text: &str, belongs: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(|byte| !belongs(byte)).unwrap_or(text.len())
}

/// The length of a text with its quotes.
fn text_length(rest: &str) -> Option<usize> {
    if rest.starts_with("\"\"\"") {
        return None;
    }
    let mut bytes = rest.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => drop(bytes.next()?),
            b'\n' | b'\r' => return None,
            _ => {}
        }
    }
    None
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
            ("{ test(a: \"\"\"\" } { \"\"\") }", None),
            ("{ test(a: \"\n\") }", None),
            ("{ test(a: [)] }", None),
            ("{ test", None),
            ("{ test }}", None),
            ("{ test ? }", None),
            ("\u{feff}{ test }", None),
            ("", None),
            ("query", None),
        ] {
            let expected = unknown.map_or(Fault::NotUnderstood, Fault::Unknown);
            assert_eq!(check(document), Err(expected), "{document}");
        }
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
