//! The table of MLflow's routes, read from `routes.txt`: which there are, and what each asks of a key.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use hokusai_client::{Demand, Scope};
use http::Method;

const TEXT: &str = include_str!("routes.txt");
/// The most segments of a path. What has more is not looked for: that could take a while.
const MOST_SEGMENTS: usize = 64;
/// What a path has that is there with and without this.
const EITHER: &str = "/(ajax-)api/";

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(TEXT).expect("tests have read the table"));

/// What a call does, and so what it asks of a key; the later, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Power {
    /// Nothing that concerns what MLflow stores.
    Public,
    /// Reads the model registry.
    ModelRead,
    /// Reads.
    Read,
    /// Reads what the fields in its body name.
    Graphql,
    /// Changes the model registry.
    ModelWrite,
    /// Changes something.
    Write,
    /// As [`Power::Write`], with a body of any size.
    Upload,
    /// Makes the server itself do something.
    Admin,
}

/// One route, for one or more methods.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its place in the table.
    pub(crate) index: usize,
    pub(crate) power: Power,
    /// As the table has it; its name in logs, metrics and reports of usage.
    pub(crate) path: Box<str>,
    methods: Vec<Method>,
    pieces: Vec<Piece>,
}

/// One piece of a path between slashes.
#[derive(Debug)]
enum Piece {
    Is(Box<str>),
    /// Any segment that ends so, and has more than that.
    One(Box<str>),
    /// One segment or more.
    Rest,
}

/// What the table says of a method on a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Row(&'static Row),
    /// The path is there for other methods.
    OtherMethod,
    Nothing,
}

#[derive(Debug)]
struct Table {
    rows: Vec<Row>,
    /// Rows without a placeholder, by path.
    plain: HashMap<Box<str>, Vec<usize>>,
    /// The others.
    shaped: Vec<usize>,
    queries: HashSet<Box<str>>,
    mutations: HashSet<Box<str>>,
}

/// Looks up a method on a path in its one form. If several rows fit, the one that asks the most counts.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    TABLE.find(method, path)
}

/// How many rows there are.
pub(crate) fn size() -> usize {
    TABLE.rows.len()
}

/// Whether a field of GraphQL queries is known, and only reads.
pub(crate) fn is_query(field: &str) -> bool {
    TABLE.queries.contains(field)
}

/// Whether a field of GraphQL mutations is known, and only reads all the same.
pub(crate) fn is_mutation(field: &str) -> bool {
    TABLE.mutations.contains(field)
}

impl Power {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "public" => Self::Public,
            "model-read" => Self::ModelRead,
            "read" => Self::Read,
            "graphql" => Self::Graphql,
            "model-write" => Self::ModelWrite,
            "write" => Self::Write,
            "upload" => Self::Upload,
            "admin" => Self::Admin,
            _ => return None,
        })
    }

    /// What it asks of a key.
    pub(crate) fn demand(self) -> Demand<'static> {
        static READING: LazyLock<[Scope; 3]> =
            LazyLock::new(|| scopes(["mlflow:read", "mlflow:access", "model:read"]));
        static WRITING: LazyLock<[Scope; 3]> =
            LazyLock::new(|| scopes(["mlflow:write", "mlflow:access", "model:write"]));
        static RUNNING: LazyLock<[Scope; 1]> = LazyLock::new(|| scopes(["mlflow:admin"]));
        match self {
            Self::Public => Demand::Nothing,
            Self::ModelRead => Demand::ReadWith(&READING[..]),
            Self::Read | Self::Graphql => Demand::ReadWith(&READING[..2]),
            Self::ModelWrite => Demand::ChangeWith(&WRITING[..]),
            Self::Write | Self::Upload => Demand::ChangeWith(&WRITING[..2]),
            Self::Admin => Demand::ChangeWith(&RUNNING[..]),
        }
    }
}

fn scopes<const N: usize>(texts: [&str; N]) -> [Scope; N] {
    texts.map(|text| Scope::parse(text).expect("it has the form of a scope"))
}

impl Table {
    /// `None`, if a line is not of its form.
    fn read(text: &str) -> Option<Self> {
        let mut table = Self {
            rows: Vec::new(),
            plain: HashMap::new(),
            shaped: Vec::new(),
            queries: HashSet::new(),
            mutations: HashSet::new(),
        };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["query", field] => drop(table.queries.insert((*field).into())),
                ["mutation", field] => drop(table.mutations.insert((*field).into())),
                [power, methods @ .., path] if !methods.is_empty() && path.starts_with('/') => {
                    let power = Power::parse(power)?;
                    let methods: Option<Vec<Method>> =
                        methods.iter().map(|method| method.parse().ok()).collect();
                    for path in either(path) {
                        table.add(power, methods.clone()?, path);
                    }
                }
                _ => return None,
            }
        }
        Some(table)
    }

    fn add(&mut self, power: Power, methods: Vec<Method>, path: String) {
        let (index, pieces) = (self.rows.len(), path[1..].split('/').map(Piece::read).collect());
        let row = Row { index, power, methods, pieces, path: path.into() };
        if row.pieces.iter().all(|piece| matches!(piece, Piece::Is(_))) {
            self.plain.entry(row.path.clone()).or_default().push(index);
        } else {
            self.shaped.push(index);
        }
        self.rows.push(row);
    }

    fn find(&'static self, method: &Method, path: &str) -> Found {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let segments: Vec<&str> =
            path.strip_prefix('/').unwrap_or(path).split('/').take(MOST_SEGMENTS + 1).collect();
        if segments.len() > MOST_SEGMENTS {
            return Found::Nothing;
        }
        let plain = self.plain.get(path).into_iter().flatten().map(|index| &self.rows[*index]);
        let shaped = self.shaped.iter().map(|index| &self.rows[*index]);
        let fitting: Vec<&Row> = plain.chain(shaped.filter(|row| fits(&row.pieces, &segments))).collect();
        let rows = fitting.iter().filter(|row| row.methods.contains(method));
        match rows.max_by_key(|row| row.power) {
            Some(row) => Found::Row(row),
            None if fitting.is_empty() => Found::Nothing,
            None => Found::OtherMethod,
        }
    }
}

/// The paths that one in the table stands for.
fn either(path: &str) -> Vec<String> {
    match path.strip_prefix(EITHER) {
        Some(rest) => vec![format!("/api/{rest}"), format!("/ajax-api/{rest}")],
        None => vec![path.to_owned()],
    }
}

impl Piece {
    fn read(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, "")) if name.ends_with("...") => Self::Rest,
            Some((_, ending)) => Self::One(ending.into()),
            None => Self::Is(text.into()),
        }
    }
}

/// Whether segments are of this shape.
fn fits(pieces: &[Piece], segments: &[&str]) -> bool {
    let Some((piece, pieces)) = pieces.split_first() else { return segments.is_empty() };
    let Some((segment, rest)) = segments.split_first() else { return false };
    match piece {
        Piece::Is(text) => **text == **segment && fits(pieces, rest),
        Piece::One(ending) => {
            segment.len() > ending.len() && segment.ends_with(&**ending) && fits(pieces, rest)
        }
        Piece::Rest => !segment.is_empty() && (0..=rest.len()).any(|more| fits(pieces, &rest[more..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn power(method: &str, path: &str) -> Option<Power> {
        match find(&method.parse().unwrap(), path) {
            Found::Row(row) => Some(row.power),
            Found::OtherMethod | Found::Nothing => None,
        }
    }

    #[test]
    fn a_call_is_known_by_method_and_path() {
        for (method, path, expected) in [
            ("GET", "/", Some(Power::Public)),
            ("GET", "/api/3.0/mlflow/server-info", Some(Power::Public)),
            ("GET", "/static-files/static/js/main.js", Some(Power::Public)),
            ("GET", "/api/2.0/mlflow/runs/get", Some(Power::Read)),
            ("HEAD", "/api/2.0/mlflow/runs/get", Some(Power::Read)),
            ("POST", "/api/2.0/mlflow/runs/get", None),
            ("OPTIONS", "/api/2.0/mlflow/runs/get", None),
            ("POST", "/api/2.0/mlflow/runs/search", Some(Power::Read)),
            ("POST", "/ajax-api/2.0/mlflow/runs/search", Some(Power::Read)),
            ("POST", "/api/2.0/mlflow/runs/log-batch", Some(Power::Write)),
            ("POST", "/api/2.0/mlflow/runs/search/", None),
            ("POST", "/api/2.0/mlflow/Runs/search", None),
            ("GET", "/api/2.0/mlflow/registered-models/alias", Some(Power::ModelRead)),
            ("DELETE", "/api/2.0/mlflow/registered-models/alias", Some(Power::ModelWrite)),
            ("GET", "/model-versions/get-artifact", Some(Power::Read)),
            ("GET", "/api/2.0/mlflow-artifacts/artifacts", Some(Power::Read)),
            ("GET", "/api/2.0/mlflow-artifacts/artifacts/", None),
            ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/a%20b/c", Some(Power::Read)),
            ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/a/c", Some(Power::Upload)),
            ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/1/a/c", Some(Power::Write)),
            ("POST", "/api/2.0/mlflow-artifacts/mpu/create/1/a", Some(Power::Write)),
            ("GET", "/api/2.0/mlflow/logged-models/m-1", Some(Power::Read)),
            ("POST", "/api/2.0/mlflow/logged-models/search", Some(Power::Read)),
            ("DELETE", "/api/2.0/mlflow/logged-models/search", Some(Power::Write)),
            ("DELETE", "/api/2.0/mlflow/logged-models//tags/x", None),
            ("GET", "/api/3.0/mlflow/mcp-servers/a/b/versions/1", Some(Power::Read)),
            ("DELETE", "/api/3.0/mlflow/mcp-servers/a/versions/1/tags/x", Some(Power::Write)),
            ("GET", "/api/3.0/mlflow/mcp-servers/", None),
            ("POST", "/v1/traces", Some(Power::Write)),
            ("POST", "/graphql", Some(Power::Graphql)),
            ("POST", "/ajax-api/3.0/jobs/", Some(Power::Admin)),
            ("POST", "/gateway/gemini/v1beta/models/m:generateContent", Some(Power::Admin)),
            ("POST", "/gateway/gemini/v1beta/models/:generateContent", None),
            ("POST", "/gateway/gemini/v1beta/models/m:other", None),
            ("GET", "/api/2.0/mlflow/users/get", None),
            ("GET", "/api/2.0/mlflow", None),
            ("GET", "/metrics", None),
            ("GET", "/nothing", None),
        ] {
            assert_eq!(power(method, path), expected, "{method} {path}");
        }
        let below = |segments| format!("/api/2.0/mlflow-artifacts/artifacts{}", "/a".repeat(segments));
        assert_eq!(power("GET", &below(MOST_SEGMENTS - 4)), Some(Power::Read));
        assert_eq!(power("GET", &below(MOST_SEGMENTS - 3)), None);
        let other = find(&Method::DELETE, "/api/2.0/mlflow/runs/search");
        assert!(matches!(other, Found::OtherMethod), "{other:?}");
    }

    #[test]
    fn no_line_gives_less_than_another_that_fits_the_same_path() {
        for row in &TABLE.rows {
            let sample: String = row.path.replace("...", "").replace(['{', '}'], "");
            for method in &row.methods {
                assert_eq!(power(method.as_str(), &sample), Some(row.power), "{method} {}", row.path);
            }
        }
    }

    #[test]
    fn a_line_of_another_form_is_noticed() {
        let good = "read GET /a/{b}/{c...}\nquery x\n# a word\n\nwrite PUT POST /(ajax-)api/x";
        assert_eq!(Table::read(good).unwrap().rows.len(), 3);
        for bad in ["read /a", "reed GET /a", "read GET a", "read G=T /a", "query", "query a b"] {
            assert!(Table::read(bad).is_none(), "{bad}");
        }
    }
}
