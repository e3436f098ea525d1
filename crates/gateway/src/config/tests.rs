use super::*;

fn surroundings() -> Surroundings {
    Surroundings {
        listen: "127.0.0.1:4659".parse().unwrap(),
        services: Some(vec!["platform".into(), "prediction".into()]),
        has_mlflow: false,
    }
}

fn faults(text: &str) -> Vec<(usize, String, String)> {
    let faults = RouteTable::read(text, &surroundings()).unwrap_err();
    faults.into_iter().map(|fault| (fault.line, fault.what, fault.hint)).collect()
}

/// A route with `lines` besides what it needs; they begin at line 5.
fn with(lines: &str) -> String {
    format!(
        "[gateway]\n[[gateway.routes]]\nprefix = \"/predict\"\nupstream = \"http://127.0.0.1:9000\"\n{lines}\n"
    )
}

#[test]
fn a_route_is_read_with_all_of_its_fields() {
    let text = with(
        r#"strip_prefix = true
scopes = ["predict", "model:read"]
service = "prediction"
environments = ["production", "test"]
connect_timeout_seconds = 1
first_byte_timeout_seconds = 2
idle_timeout_seconds = 3
keep_alive_seconds = 5
max_connections = 7
max_body_bytes = 1_000"#,
    );
    let table = RouteTable::read(&text, &surroundings()).unwrap();
    let route = table.0.find("/predict/now").unwrap();
    assert_eq!(route.onward("/predict/now"), "/now");
    assert_eq!(route.onward("/predict"), "/");
    assert_eq!(&*route.key_prefixes, ["hk_live_", "hk_test_"]);
    let (first_byte, idle) = (Duration::from_secs(2), Duration::from_secs(3));
    assert_eq!(route.limits, Limits { first_byte, idle, body: Some(1000) });
    let summary = &table.summaries()[0];
    assert_eq!((&*summary.prefix, &*summary.upstream), ("/predict", "127.0.0.1:9000"));
    assert_eq!(summary.scopes, ["predict", "model:read"]);
    assert_eq!(summary.service.as_deref(), Some("prediction"));
}

#[test]
fn a_file_without_routes_has_none() {
    for text in ["", "[gateway]\n", "listen = \"127.0.0.1:1\"\n"] {
        assert!(RouteTable::read(text, &surroundings()).unwrap().summaries().is_empty(), "{text}");
    }
}

#[test]
fn the_longest_prefix_leads_and_case_opens_no_other_way() {
    let route = |prefix: &str| {
        format!("[[gateway.routes]]\nprefix = \"{prefix}\"\nupstream = \"http://127.0.0.1:9000\"\n")
    };
    let text = [route("/models/"), route("/models/admin"), route("/Models2")].concat();
    let table = RouteTable::read(&text, &surroundings()).unwrap();
    for (path, expected) in [
        ("/models", Some("/models")),
        ("/models/", Some("/models")),
        ("/models/x", Some("/models")),
        ("/modelsx", None),
        ("/models/admin", Some("/models/admin")),
        ("/models/admin/x", Some("/models/admin")),
        ("/models/administrators", Some("/models")),
        ("/models/Admin", None),
        ("/MODELS/x", None),
        ("/models2", None),
        ("/Models2", Some("/Models2")),
        ("/", None),
        ("/é", None),
    ] {
        assert_eq!(table.0.find(path).map(|route| route.name()), expected, "{path}");
    }
}

#[test]
fn every_mistake_is_named_with_its_line_and_a_hint() {
    let text = r#"[gateway]
[[gateway.routes]]
prefix = "/a"
upstrem = "http://127.0.0.1:9000"
[[gateway.routes]]
prefix = "a"
upstream = "ftp://127.0.0.1"
scope = "model:reed"
environments = ["live"]
max_body_bytes = -1
"#;
    let expected = [
        (2, "a route needs an upstream", r#"write it like upstream = "http://127.0.0.1:9000""#),
        (4, "unknown field upstrem", "did you mean upstream?"),
        (6, "the prefix a does not begin with a slash", r#"write it like prefix = "/predict""#),
        (
            7,
            "the upstream ftp://127.0.0.1 is neither http nor https",
            r#"write it like upstream = "http://127.0.0.1:9000""#,
        ),
        (
            8,
            "the scope model:reed is unknown",
            r#"did you mean model:read? If it is meant so, name it in scopes = ["model:reed"] below [gateway]"#,
        ),
        (9, "the environment live is unknown", "the environments are production, test and development"),
        (
            10,
            "max_body_bytes must be a whole number from 0 to 1125899906842624",
            "docs/gateway.md shows all fields",
        ),
    ];
    let expected = expected.map(|(line, what, hint)| (line, what.to_owned(), hint.to_owned()));
    assert_eq!(faults(text), expected);
}

#[test]
fn fields_that_can_not_be_meant_are_refused() {
    check_faults(&[
        ("prefix = 1", 5, "duplicate key"),
        ("scope = \"Model\"", 5, "\"Model\" is no scope that a route can need"),
        ("scope = \"model:*\"", 5, "\"model:*\" is no scope that a route can need"),
        ("scope = \"predict\"\nscopes = [\"predict\"]", 5, "a route has either scope or scopes"),
        ("service = \"predictions\"", 5, "the service predictions is unknown"),
        ("scopes = []", 5, "no scope is named"),
        ("environments = []", 5, "no key could pass"),
        ("strip_prefix = 1", 5, "strip_prefix must be true or false"),
        ("idle_timeout_seconds = 0", 5, "idle_timeout_seconds must be a whole number from 1 to 3600"),
    ]);
}

#[test]
fn places_that_can_not_be_meant_are_refused() {
    check_faults(&[
        (
            "[[gateway.routes]]\nprefix = \"/predict/\"\nupstream = \"http://h\"",
            5,
            "the prefix /predict has a route already, in line 2",
        ),
        (
            "[[gateway.routes]]\nprefix = \"/Predict\"\nupstream = \"http://h\"",
            5,
            "the prefix /Predict has a route already, in line 2, but for the case of its letters",
        ),
        (
            "[[gateway.routes]]\nprefix = \"/x//\"\nupstream = \"http://h\"",
            6,
            "the prefix /x// can't be matched",
        ),
        ("[[gateway.routes]]\nprefix = \"//\"\nupstream = \"http://h\"", 6, "the prefix // can't be matched"),
        (
            "[[gateway.routes]]\nprefix = \"/v1/models/x\"\nupstream = \"http://h\"",
            6,
            "the gateway itself answers below /v1/models",
        ),
        (
            "[[gateway.routes]]\nprefix = \"/Metrics\"\nupstream = \"http://h\"",
            6,
            "the gateway itself answers below /metrics",
        ),
        (
            "[[gateway.routes]]\nprefix = \"/a//b\"\nupstream = \"http://h\"",
            6,
            "the prefix /a//b can't be matched",
        ),
        (
            "[[gateway.routes]]\nprefix = \"/a%20b\"\nupstream = \"http://h\"",
            6,
            "the prefix /a%20b can't be matched",
        ),
        (
            "[[gateway.routes]]\nprefix = \"/..\"\nupstream = \"http://h\"",
            6,
            "the prefix /.. can't be matched",
        ),
    ]);
}

#[test]
fn upstreams_that_can_not_be_meant_are_refused() {
    let with_upstream =
        |url: &str| with(&format!("[[gateway.routes]]\nprefix = \"/x\"\nupstream = \"{url}\""));
    for (url, what) in [
        ("http://127.0.0.1:4659/x", "http://127.0.0.1:4659/x is the gateway itself"),
        ("http://localhost:4659", "http://localhost:4659 is the gateway itself"),
        ("http://localhost.:4659", "http://localhost.:4659 is the gateway itself"),
        ("http://0.0.0.0:4659", "http://0.0.0.0:4659 is the gateway itself"),
        ("http://[::ffff:127.0.0.1]:4659", "http://[::ffff:127.0.0.1]:4659 is the gateway itself"),
        ("http://127.0.0.1:0", "http://127.0.0.1:0 has no port that can be connected to"),
        ("http://u:secret@h", "has a user or password in its URL; the gateway sends none"),
        ("http://u:secret@h:99999", "that is named is no URL: invalid port number"),
        ("u:secret@h:9000", "that is named is neither http nor https"),
        ("http://h?q", "http://h?q has a query or fragment"),
        ("h:80", "h:80 is neither http nor https"),
    ] {
        let found = faults(&with_upstream(url));
        assert_eq!((found[0].0, &*found[0].1), (7, &*format!("the upstream {what}")), "{url}: {found:?}");
    }
}

/// Each line besides a good route, with the line and the text of its first fault.
fn check_faults(table: &[(&str, usize, &str)]) {
    for (lines, line, what) in table {
        let found = faults(&with(lines));
        assert_eq!((found[0].0, &*found[0].1), (*line, *what), "{lines}: {found:?}");
    }
}

#[test]
fn a_scope_of_ones_own_is_taken_once_it_is_named() {
    let own = "scope = \"reports:monthly\"";
    assert!(RouteTable::read(&with(own), &surroundings()).is_ok());
    let named = with("scope = \"model:reed\"").replace("[gateway]", "[gateway]\nscopes = [\"model:reed\"]");
    assert!(RouteTable::read(&named, &surroundings()).is_ok());
    let other = with(own).replace("[gateway]", "[gateway]\nscopes = [\"model:reed\"]");
    assert_eq!(faults(&other)[0].1, "the scope reports:monthly is unknown");
}

#[test]
fn no_route_takes_a_path_of_mlflow() {
    let text = "[[gateway.routes]]\nprefix = \"/graphql/x\"\nupstream = \"http://127.0.0.1:9000\"\n";
    let text = format!("[gateway]\n{text}");
    assert!(RouteTable::read(&text, &surroundings()).is_ok());
    let faults = RouteTable::read(&text, &Surroundings { has_mlflow: true, ..surroundings() }).unwrap_err();
    assert_eq!((faults[0].line, &*faults[0].what), (3, "MLflow is below /graphql"));
}
