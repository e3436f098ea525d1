//! Requests that try to be read in two ways: what the gateway answers, and what reaches the upstream.
//!
//! The key of all of them has no right to `/closed` and `/open/Admin`.

use std::time::Duration;

use serde_json::json;

use super::backend::Backend;
use super::wire::{Message, Wire};
use super::{Front, route, with_key};
use crate::clock::eventually;
use crate::site::NewKey;

/// What is sent, what is answered (status and code), and what reaches the upstream (method, path, framing of
/// the body, body).
type Row = (&'static str, &'static str, Option<&'static str>);

const NOTHING: Option<&str> = None;

/// Targets of `GET`.
const TARGETS: [Row; 60] = [
    ("/open", "200", Some("GET /open")),
    ("/open/", "200", Some("GET /open/")),
    ("/open/a?b=//../c;%2f", "200", Some("GET /open/a?b=//../c;%2f")),
    ("/open/x?", "200", Some("GET /open/x?")),
    ("/open/%61%2db", "200", Some("GET /open/a-b")),
    ("/%6fpen/x", "200", Some("GET /open/x")),
    ("/open/caf%c3%a9", "200", Some("GET /open/caf%C3%A9")),
    ("/open/a%20b", "200", Some("GET /open/a%20b")),
    ("/open/100%25", "200", Some("GET /open/100%25")),
    ("/open/.../x", "200", Some("GET /open/.../x")),
    ("/open/Administrator", "200", Some("GET /open/Administrator")),
    ("/stripped", "200", Some("GET /base/")),
    ("/stripped/a", "200", Some("GET /base/a")),
    ("/stripped/?q", "200", Some("GET /base/?q")),
    ("/strippedx", "404 not_found", NOTHING),
    ("/", "404 not_found", NOTHING),
    ("/closed/x", "403 insufficient_scope", NOTHING),
    ("/%63losed/x", "403 insufficient_scope", NOTHING),
    ("/open/Admin/x", "403 insufficient_scope", NOTHING),
    ("/open/%41dmin/x", "403 insufficient_scope", NOTHING),
    ("/open/Admin", "403 insufficient_scope", NOTHING),
    ("/open/admin/x", "404 not_found", NOTHING),
    ("/open/%61dmin", "404 not_found", NOTHING),
    ("/OPEN/Admin/x", "404 not_found", NOTHING),
    ("/OPEN/x", "404 not_found", NOTHING),
    ("/CLOSED/x", "404 not_found", NOTHING),
    ("//closed/x", "400 bad_path", NOTHING),
    ("//open", "400 bad_path", NOTHING),
    ("/open//closed", "400 bad_path", NOTHING),
    ("/open/x//", "400 bad_path", NOTHING),
    ("/./open", "400 bad_path", NOTHING),
    ("/open/.", "400 bad_path", NOTHING),
    ("/open/../closed/x", "400 bad_path", NOTHING),
    ("/open/%2e%2e/closed/x", "400 bad_path", NOTHING),
    ("/open/.%2E/closed/x", "400 bad_path", NOTHING),
    ("/open/%252e%252e/closed/x", "400 bad_path", NOTHING),
    ("/open/%25%32%65./closed/x", "400 bad_path", NOTHING),
    ("/open/..;/closed/x", "400 bad_path", NOTHING),
    ("/open/..%3b/closed/x", "400 bad_path", NOTHING),
    ("/open/x;/../../closed/x", "400 bad_path", NOTHING),
    ("/open%2f..%2fclosed/x", "400 bad_path", NOTHING),
    ("/open/a%2Fb", "400 bad_path", NOTHING),
    ("/open/..%5cclosed/x", "400 bad_path", NOTHING),
    ("/open/..\\closed/x", "400 bad_path", NOTHING),
    ("/open/%u002e%u002e/closed/x", "400 bad_path", NOTHING),
    ("/open/%c0%ae%c0%ae/closed/x", "400 bad_path", NOTHING),
    ("/open/%", "400 bad_path", NOTHING),
    ("/open/a%00", "400 bad_path", NOTHING),
    ("/open/%0d%0aX-Injected:%201", "400 bad_path", NOTHING),
    ("/open/a|b", "400 bad_path", NOTHING),
    ("/open/caf\u{e9}", "400 bad_path", NOTHING),
    ("/open/x y", "400", NOTHING),
    ("/open/\tx", "400", NOTHING),
    ("open/x", "400", NOTHING),
    ("*", "400 bad_path", NOTHING),
    ("http://elsewhere.test/open/x", "200", Some("GET /open/x")),
    ("http://elsewhere.test/closed/x", "403 insufficient_scope", NOTHING),
    ("http://elsewhere.test/open/../closed/x", "400 bad_path", NOTHING),
    ("http://elsewhere.test//closed/x", "400 bad_path", NOTHING),
    ("http://elsewhere.test", "404 not_found", NOTHING),
];

/// First lines, headers and bodies; `{K}` is the line with the key.
const HEADS: [Row; 63] = [
    // Lengths.
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length: 3\r\n\r\nabc",
        "200",
        Some("POST /open/x length 3 abc"),
    ),
    (
        "GET /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length: 3\r\n\r\nabc",
        "200",
        Some("GET /open/x length 3 abc"),
    ),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "200",
        Some("POST /open/x length 3 abc"),
    ),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "400",
        NOTHING,
    ),
    ("POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length: 3, 3\r\n\r\nabc", "400", NOTHING),
    ("POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length: +3\r\n\r\nabc", "400", NOTHING),
    ("POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length: -1\r\n\r\nabc", "400", NOTHING),
    ("POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length: 0x3\r\n\r\nabc", "400", NOTHING),
    ("POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length:\r\n\r\n", "400", NOTHING),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length: 99999999999999999999\r\n\r\nabc",
        "400",
        NOTHING,
    ),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length: 3\r\nConnection: content-length\r\n\r\nabc",
        "200",
        Some("POST /open/x length 3 abc"),
    ),
    // Codings.
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "200",
        Some("POST /open/x chunked abc"),
    ),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding:\tCHUNKED \r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
        "200",
        Some("POST /open/x chunked abc"),
    ),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Content-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /closed/x HTTP/1.1\r\nHost: g\r\n\r\n",
        "200",
        Some("POST /open/x chunked"),
    ),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n0\r\n\r\nGET /closed/x HTTP/1.1\r\nHost: g\r\n\r\n",
        "200",
        Some("POST /open/x chunked"),
    ),
    ("POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400", NOTHING),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "400",
        NOTHING,
    ),
    ("POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding: identity\r\n\r\n", "400", NOTHING),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "501 unknown_coding",
        NOTHING,
    ),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding: xchunked, chunked\r\n\r\n0\r\n\r\n",
        "501 unknown_coding",
        NOTHING,
    ),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "501 unknown_coding",
        NOTHING,
    ),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "400",
        NOTHING,
    ),
    ("POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400", NOTHING),
    ("POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", "400", NOTHING),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "400",
        NOTHING,
    ),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "200",
        Some("POST /open/x length 5 0\r\n\r\n"),
    ),
    ("POST /open/x HTTP/1.0\r\nHost: g\r\n{K}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400", NOTHING),
    (
        "POST /open/x HTTP/1.1\r\nHost: g\r\n{K}Trailer: X-Hokusai-User-Id\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Hokusai-User-Id: root\r\n\r\n",
        "200",
        Some("POST /open/x chunked abc"),
    ),
    // Lines.
    ("GET /open/x HTTP/1.1\r\nHost: g\r\n{K}X-A: a\r\n b\r\n\r\n", "400", NOTHING),
    ("GET /open/x HTTP/1.1\r\n Host: g\r\n{K}\r\n", "400", NOTHING),
    ("GET /open/x HTTP/1.1\nHost: g\n{K}\n", "200", Some("GET /open/x")),
    ("GET /open/x HTTP/1.1\r\nHost: g\r\n{K}X-A: a\rb\r\n\r\n", "400", NOTHING),
    ("GET /open/x HTTP/1.1\r\nHost: g\r\n{K}X-A: a\0b\r\n\r\n", "400", NOTHING),
    ("GET /open/x HTTP/1.1\r\nHost: g\r\n{K}X-A\0: a\r\n\r\n", "400", NOTHING),
    ("GET /open/x HTTP/1.1\r\nHost: g\r\n{K}X A: a\r\n\r\n", "400", NOTHING),
    ("GET /open/x HTTP/1.1\r\nHost: g\r\n{K}: a\r\n\r\n", "400", NOTHING),
    ("GET /open/x HTTP/1.1\r\nHost: g\r\n{K}no colon\r\n\r\n", "400", NOTHING),
    ("GET  /open/x HTTP/1.1\r\nHost: g\r\n{K}\r\n", "400", NOTHING),
    ("GET /open/x HTTP/1.1 \r\nHost: g\r\n{K}\r\n", "400", NOTHING),
    ("GET /open/x HTTP/1.2\r\nHost: g\r\n{K}\r\n", "400", NOTHING),
    ("GET /open/x HTTP/2.0\r\nHost: g\r\n{K}\r\n", "400", NOTHING),
    ("GET /open/x\r\n\r\n", "400", NOTHING),
    ("PRI * HTTP/2.0\r\n\r\n", "400", NOTHING),
    // Methods.
    ("get /open/x HTTP/1.1\r\nHost: g\r\n{K}\r\n", "200", Some("get /open/x")),
    ("get /closed/x HTTP/1.1\r\nHost: g\r\n{K}\r\n", "403 insufficient_scope", NOTHING),
    ("G@T /open/x HTTP/1.1\r\nHost: g\r\n{K}\r\n", "400", NOTHING),
    ("CONNECT g:443 HTTP/1.1\r\nHost: g\r\n{K}\r\n", "405 method_not_allowed", NOTHING),
    ("CONNECT /open/x HTTP/1.1\r\nHost: g\r\n{K}\r\n", "405 method_not_allowed", NOTHING),
    ("TRACE /open/x HTTP/1.1\r\nHost: g\r\n{K}\r\n", "405 method_not_allowed", NOTHING),
    ("OPTIONS * HTTP/1.1\r\nHost: g\r\n{K}\r\n", "400 bad_path", NOTHING),
    // Hosts.
    ("GET /open/x HTTP/1.1\r\n{K}\r\n", "400 bad_host", NOTHING),
    ("GET /open/x HTTP/1.1\r\nHost: g\r\nHost: g\r\n{K}\r\n", "400 bad_host", NOTHING),
    ("GET /open/x HTTP/1.0\r\n{K}\r\n", "200", Some("GET /open/x")),
    ("GET /open/x HTTP/1.0\r\nHost: g\r\nHost: h\r\n{K}\r\n", "400 bad_host", NOTHING),
    ("GET http://h/open/x HTTP/1.1\r\n{K}\r\n", "400 bad_host", NOTHING),
    // Claims, which the check of every row looks for.
    (
        "GET /open/x HTTP/1.1\r\nHost: g\r\n{K}X-Hokusai-User-Id: root\r\nx_hokusai_user_id: root\r\nX-Hokusai_Scopes: *\r\nX_HOKUSAI_KEY_ID: 1\r\nX-Hokusai-Admin: 1\r\n\r\n",
        "200",
        Some("GET /open/x"),
    ),
    (
        "GET /open/x HTTP/1.1\r\nHost: g\r\n{K}X-Forwarded-For: 9.9.9.9\r\nX_Forwarded_For: 9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\nX-Forwarded-Prefix: /closed\r\n\r\n",
        "200",
        Some("GET /open/x"),
    ),
    (
        "GET /open/x HTTP/1.1\r\nHost: g\r\n{K}Connection: X-Hokusai-User-Id, x-hokusai-key-id, X-Hokusai-Scopes, Host, X-Forwarded-For\r\n\r\n",
        "200",
        Some("GET /open/x"),
    ),
    (
        "GET /open/x HTTP/1.1\r\nHost: g\r\n{K}X-Original-URL: /closed/x\r\nX-Rewrite-URL: /closed/x\r\nX_Original_Url: /closed/x\r\n\r\n",
        "200",
        Some("GET /open/x"),
    ),
    (
        "GET /open/x HTTP/1.1\r\nHost: g\r\n{K}X-HTTP-Method-Override: DELETE\r\nX-HTTP-Method: DELETE\r\nX_Method_Override: DELETE\r\n\r\n",
        "200",
        Some("GET /open/x"),
    ),
    (
        "GET /open/x HTTP/1.1\r\nHost: g\r\n{K}X_API_Key: {KEY}\r\nReferer: http://g/?api_key={KEY}\r\nTransfer_Encoding: gzip\r\nKeep_Alive: 5\r\nX_Request_Id: 1\r\n\r\n",
        "200",
        Some("GET /open/x"),
    ),
    (
        "GET /open/x HTTP/1.1\r\nHost: g\r\n{K}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "200",
        Some("GET /open/x"),
    ),
    (
        "GET /open/x HTTP/1.1\r\nHost: g\r\n{K}Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        "200",
        Some("GET /open/x"),
    ),
];

/// A gateway with open and closed routes, and a key for the open ones.
fn guarded(backend: &Backend) -> (Front, NewKey) {
    let routes = [
        route("/open", &backend.url(), ""),
        route("/open/Admin", &backend.url(), "scope = \"mlflow:write\""),
        route("/closed", &backend.url(), "scope = \"mlflow:write\""),
        route("/stripped", &format!("{}/base", backend.url()), "strip_prefix = true"),
    ];
    let front = Front::with(&routes.concat());
    let key = front.node.key_with(&json!({"user_id": "alice", "scopes": ["model:read"]}));
    (front, key)
}

#[test]
fn no_request_gets_past_a_rule() {
    let backend = Backend::polite();
    let (front, key) = guarded(&backend);
    let key_line = format!("X-API-Key: {}\r\n", key.text);
    let targets = TARGETS.iter().map(|(target, answer, onward)| {
        (format!("GET {target} HTTP/1.1\r\nHost: g\r\n{key_line}\r\n"), *answer, *onward)
    });
    let heads = HEADS.iter().map(|(head, answer, onward)| {
        (head.replace("{K}", &key_line).replace("{KEY}", &key.text), *answer, *onward)
    });
    let mut wrong = Vec::new();
    for (request, answer, onward) in targets.chain(heads) {
        let (got, reached) = outcome(&front, &backend, &request, onward.is_some());
        let seen = reached.as_ref().map(shown);
        if (got.as_str(), seen.as_deref()) != (answer, onward) {
            wrong.push(format!("{request:?}\n  is answered {got:?}, and sends on {seen:?}\n"));
        }
        if let Some(reached) = reached {
            check_what_arrives(&reached, &key, &backend, &request);
        }
    }
    assert!(wrong.is_empty(), "{} rows are wrong:\n{}", wrong.len(), wrong.concat());
}

/// What is answered to a request on a connection of its own, and what the upstream sees of it.
fn outcome(front: &Front, backend: &Backend, request: &str, arrives: bool) -> (String, Option<Message>) {
    backend.take_latest();
    let answer = Wire::to(front.address()).ask(request);
    let got = answer.map_or_else(
        || "nothing".to_owned(),
        |answer| format!("{} {}", answer.status(), answer.code()).trim().to_owned(),
    );
    if arrives {
        // A request that is refused half-way is answered before the upstream has noticed.
        eventually(Duration::from_secs(5), request, || (!backend.requests().is_empty()).then_some(()));
    }
    let came = backend.heads().len();
    assert!(came <= 1, "{request:?} came {came} times");
    assert_eq!(came == 1, !backend.requests().is_empty(), "{request:?}");
    (got, backend.take_latest())
}

/// Method, path, framing and body.
fn shown(request: &Message) -> String {
    let line = request.first_line().strip_suffix(" HTTP/1.1").unwrap_or("no HTTP/1.1");
    let framing = match (request.header("content-length"), request.header("transfer-encoding")) {
        (None, None) => String::new(),
        (Some(length), None) => format!("length {length} "),
        (None, Some(coding)) => format!("{coding} "),
        both => format!("{both:?} "),
    };
    let body = if request.is_whole { request.text() } else { "broken".to_owned() };
    let shown = format!("{line} {framing}{body}");
    shown.strip_suffix(' ').map_or(shown.clone(), str::to_owned)
}

/// What holds of every request that arrives, whatever was sent.
fn check_what_arrives(request: &Message, key: &NewKey, backend: &Backend, sent: &str) {
    let path = request.first_line().split(' ').nth(1).unwrap_or_default();
    let path = worst_reading(path.split('?').next().unwrap_or_default());
    for closed in ["/closed", "/open/admin/", "/open/admin"] {
        let is_below = path == closed || path.starts_with(&format!("{closed}/"));
        assert!(!is_below, "{sent:?} reaches {path}");
    }
    assert!(!request.head.contains(&key.text), "{sent:?} carries the key on");
    assert_eq!(request.trailers, "", "{sent:?}");
    assert_eq!(request.header("host"), Some(backend.address.to_string()), "{sent:?}");
    let id = request.header("x-request-id").unwrap_or_default();
    for (name, value) in request.headers() {
        let name = name.replace('_', "-");
        let expected = match name.as_str() {
            "x-hokusai-user-id" => "alice",
            "x-hokusai-key-id" => &key.id,
            "x-hokusai-scopes" => "model:read",
            "x-forwarded-for" => "127.0.0.1",
            "x-forwarded-proto" => "http",
            "x-forwarded-host" => "g",
            "x-request-id" => &id,
            "transfer-encoding" => {
                assert!(value == "chunked", "{sent:?} carries {name}: {value}");
                continue;
            }
            name => {
                let claims = ["x-hokusai-", "x-forwarded-", "x-real-ip", "forwarded", "x-original-"];
                let others = [
                    "x-rewrite-",
                    "x-http-method",
                    "x-method-",
                    "x-api-key",
                    "upgrade",
                    "connection",
                    "keep-alive",
                    "expect",
                ];
                let is_claim = claims.iter().chain(&others).any(|claim| name.starts_with(claim));
                assert!(!is_claim, "{sent:?} carries {name}: {value}");
                continue;
            }
        };
        assert_eq!(value, expected, "{sent:?} carries {name}");
    }
    for name in ["x-hokusai-user-id", "x-hokusai-key-id", "x-hokusai-scopes", "x-forwarded-for"] {
        assert!(request.header(name).is_some(), "{sent:?} lacks {name}");
    }
}

/// A path as the most careless of servers might read it: decoded again and again, with all that looks like a
/// slash taken for one, parameters dropped, dots resolved, and no regard to case.
fn worst_reading(path: &str) -> String {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..3 {
        bytes = decoded(&bytes);
    }
    let text = String::from_utf8_lossy(&bytes).to_lowercase().replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment.split([';', '\0']).next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let (mut written, mut rest) = (Vec::new(), bytes);
    while let [byte, after @ ..] = rest {
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let hidden = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let (byte, length) = match (byte, hidden) {
            (b'%', Some(hidden)) => (hidden, 3),
            _ => (*byte, 1),
        };
        written.push(byte);
        rest = &rest[length..];
    }
    written
}

/// Such a request may be on its way before the fault is seen: then the upstream sees that it is not whole.
#[test]
fn a_body_in_broken_chunks_is_never_whole_to_the_upstream() {
    let backend = Backend::polite();
    let (front, key) = guarded(&backend);
    for chunks in ["zz\r\nabc\r\n0\r\n\r\n", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n", "3\nabc\n0\n\n"] {
        let head = with_key("POST /open/x", &key) + "Transfer-Encoding: chunked\r\n\r\n";
        let answer = Wire::to(front.address()).ask(head + chunks).unwrap();
        assert_eq!((answer.status(), answer.code().as_str()), (400, "body_broken"), "{chunks:?}");
    }
    // A whole one is the only one that is.
    let head = with_key("POST /open/whole", &key) + "Transfer-Encoding: chunked\r\n\r\n";
    Wire::to(front.address()).ask(head + "3\r\nabc\r\n0\r\n\r\n").unwrap().expect(200);
    let whole: Vec<String> =
        backend.requests().iter().filter(|request| request.is_whole).map(shown).collect();
    assert_eq!(whole, ["POST /open/whole chunked abc"]);
}

#[test]
fn the_worst_reading_finds_what_it_looks_for() {
    for path in
        ["/open/..;/closed", "/open%252f%252E.%5CCLOSED", "//closed", "/x/.././/closed;y", "/closed%00x"]
    {
        assert_eq!(worst_reading(path), "/closed", "{path}");
    }
}

#[test]
fn long_paths_and_many_headers_are_refused_before_anything_is_asked() {
    let backend = Backend::polite();
    let (front, key) = guarded(&backend);
    let long = |length: usize| {
        format!("GET /open/{} HTTP/1.1\r\nHost: g\r\nX-API-Key: {}\r\n\r\n", "a".repeat(length), key.text)
    };
    let many = |count: usize| {
        let headers: String = (0..count).map(|number| format!("X-{number}: a\r\n")).collect();
        format!("GET /open/x HTTP/1.1\r\nHost: g\r\nX-API-Key: {}\r\n{headers}\r\n", key.text)
    };
    for (request, answer, arrives) in [
        (long(8192 - 6), "200", true),
        (long(8192 - 5), "400 bad_path", false),
        (long(60_000), "400 bad_path", false),
        (long(70_000), "414", false),
        (many(90), "200", true),
        (many(101), "431", false),
    ] {
        let (got, reached) = outcome(&front, &backend, &request, arrives);
        assert_eq!((got.as_str(), reached.is_some()), (answer, arrives), "{} bytes", request.len());
    }
}

#[test]
fn what_stands_behind_a_refused_request_is_not_read_as_another() {
    let backend = Backend::polite();
    let (front, key) = guarded(&backend);
    let inner = format!("GET /open/hidden HTTP/1.1\r\nHost: g\r\nX-API-Key: {}\r\n\r\n", key.text);
    for (line, status) in [("POST /open/../x", 400), ("POST /closed/x", 403), ("POST /nowhere", 404)] {
        let mut wire = Wire::to(front.address());
        let outer = format!(
            "{line} HTTP/1.1\r\nHost: g\r\nX-API-Key: {}\r\nContent-Length: {}\r\n\r\n{inner}",
            key.text,
            inner.len()
        );
        assert_eq!(wire.ask(&outer).unwrap().status(), status);
        // The body was swallowed, or the connection is over; the body is no request.
        let next = wire.ask("GET /health HTTP/1.1\r\nHost: g\r\n\r\n");
        assert!(next.is_none_or(|next| next.text().contains("healthy")), "{line}");
        assert!(backend.heads().is_empty(), "{line}: {:?}", backend.heads());
    }
}
