//! Keys at the gateway: where they come in, who is refused and in which words, and that they go no further.

use std::time::Duration;

use serde_json::{Value, json};

use super::backend::{Backend, HELLO};
use super::wire::{Message, Wire};
use super::{Front, route, with_key};
use crate::clock::eventually;
use crate::http::Request;
use crate::program::{Process, Program};
use crate::site::{NewKey, OPERATOR, Site};

/// What the guides ask for.
const MODELS: &str = "/models";

/// A gateway before `backend`, with one route for each thing that can be asked of a key; it logs all it can.
fn strict(backend: &Backend) -> Front {
    Front::tuned(&strict_routes(backend), |gateway| gateway.env("HOKUSAI_GATEWAY_LOG", "trace"))
}

fn strict_routes(backend: &Backend) -> String {
    [
        route("/any", &backend.url(), ""),
        route(MODELS, &backend.url(), ""),
        route("/read", &backend.url(), "scopes = [\"model:read\", \"mlflow:read\"]"),
        route("/predict", &backend.url(), "service = \"prediction\""),
        route("/test", &backend.url(), "environments = [\"test\", \"development\"]"),
    ]
    .concat()
}

fn ask(front: &Front, line: &str, headers: &str) -> Message {
    let request = format!("{line} HTTP/1.1\r\nHost: gateway.test\r\n{headers}\r\n");
    Wire::to(front.address()).ask(request).unwrap()
}

fn get(front: &Front, path: &str, key: &NewKey) -> Message {
    ask(front, &format!("GET {path}"), &format!("X-API-Key: {}\r\n", key.text))
}

/// Nothing of a key but what everybody may see of it is in a text.
#[track_caller]
fn assert_without(key: &NewKey, text: &str) {
    let secret = key.text.rsplit('_').next().unwrap();
    assert!(!text.contains(secret), "the key is in {text}");
}

#[test]
fn a_key_comes_in_four_places_and_goes_no_further() {
    let backend = Backend::polite();
    let front = strict(&backend);
    let key = front.node.key_with(&json!({"user_id": "alice", "scopes": ["model:read", "predict"]}));
    let other = front.node.key_with(&json!({}));
    let (k, o) = (&key.text, &other.text);
    for (line, headers, onward) in [
        ("GET /any?a=1", format!("Authorization: Bearer {k}\r\n"), "GET /any?a=1"),
        ("GET /any?a=1", format!("authorization: apikey {k}\r\n"), "GET /any?a=1"),
        ("GET /any?a=1", format!("X-Api-Key: {k}\r\n"), "GET /any?a=1"),
        (&format!("GET /any?a=1&api_key={k}&b=2"), String::new(), "GET /any?a=1&b=2"),
        (&format!("GET /any?api%5fkey={k}"), String::new(), "GET /any"),
        (&format!("GET /any?api_key={k}&api_key={k}"), format!("X-API-Key: {k}\r\n"), "GET /any"),
        ("GET /any", format!("X-API-Key: {k}\r\nAuthorization: Bearer {k}\r\n"), "GET /any"),
        ("GET /any", format!("X-API-Key: {k}\r\nAuthorization: Basic dTpw\r\n"), "GET /any"),
        ("GET /any", format!("X-API-Key: {k}\r\nConnection: X-API-Key, Authorization\r\n"), "GET /any"),
    ] {
        let answer = ask(&front, line, &headers).expect(200);
        assert_eq!(answer.text(), "hello");
        let is_warned = line.contains("key=");
        assert_eq!(answer.header("deprecation").is_some(), is_warned, "{line}");
        assert_eq!(answer.header("warning").is_some(), is_warned, "{line}");
        let seen = backend.take_latest().unwrap();
        assert_eq!(seen.first_line(), format!("{onward} HTTP/1.1"));
        assert_without(&key, &seen.head);
        assert_eq!(seen.header("x-hokusai-user-id").as_deref(), Some("alice"), "{line} {headers}");
        assert_eq!(seen.header("x-hokusai-key-id").as_deref(), Some(&*key.id));
        assert_eq!(seen.header("x-hokusai-scopes").as_deref(), Some("model:read predict"));
        assert_eq!(seen.header("x-request-id"), answer.header("x-request-id"));
        let kept = headers.contains("Basic").then(|| "Basic dTpw".to_owned());
        assert_eq!(seen.header("authorization"), kept);
    }
    for (line, headers) in [
        ("GET /any", format!("X-API-Key: {k}\r\nAuthorization: Bearer {o}\r\n")),
        ("GET /any", format!("X-API-Key: {k}\r\nX-API-Key: {o}\r\n")),
        (&format!("GET /any?api_key={o}"), format!("Authorization: Bearer {k}\r\n")),
        (&format!("GET /any?api_key={k}&api_key={o}"), String::new()),
        ("GET /any?api_key=", format!("Authorization: Bearer {k}\r\n")),
    ] {
        let answer = ask(&front, line, &headers).expect(400);
        assert_eq!((answer.code(), backend.heads().len()), ("ambiguous_credentials".into(), 0), "{line}");
    }
    let has_all = |log: &String| log.matches("hokusai_gateway::access").count() >= 15;
    let log = eventually(Duration::from_secs(15), "a line for each request", || {
        Some(front.gateway.output()).filter(has_all)
    });
    assert_without(&key, &log);
    assert_without(&other, &log);
}

/// A command as a guide has it, with its host and its key replaced, and nothing else.
fn follow(guide: &str, front: &Front, token: &str, key: &str) -> String {
    let command = guide
        .replace("https://auth.hokus.ai", &format!("http://{}", front.node.address))
        .replace("https://api.hokus.ai/v1/models", &format!("http://{}{MODELS}", front.address()))
        .replace("YOUR_ADMIN_TOKEN", token)
        .replace("hk_live_your_api_key_here", key)
        .replace("hk_test_AbCdEfGhIjKlMnOpQrStUvWxYz123456", key)
        .replace("curl ", "curl --silent --show-error --fail-with-body ");
    let ended = Program::other("sh", std::path::Path::new("/")).args(["-c", &command]).run();
    assert_eq!(ended.status, Some(0), "{command}\n{}", ended.output);
    ended.output
}

/// Whether that is what the guides' last step shall show.
#[track_caller]
fn assert_models(output: &str) {
    assert_eq!(output, "hello");
}

#[test]
fn the_guides_commands_work_as_they_are_written() {
    let backend = Backend::polite();
    let front = strict(&backend);
    let key = front.node.key_with(&json!({}));
    for command in [
        "curl https://api.hokus.ai/v1/models \\\n  -H \"Authorization: Bearer hk_live_your_api_key_here\"",
        "curl https://api.hokus.ai/v1/models \\\n  -H \"X-API-Key: hk_live_your_api_key_here\"",
        "curl \"https://api.hokus.ai/v1/models?api_key=hk_live_your_api_key_here\"",
    ] {
        assert_models(&follow(command, &front, "", &key.text));
    }
    let created = follow(
        "curl -X POST https://auth.hokus.ai/api/v1/keys \\\n\
         -H \"Authorization: Bearer YOUR_ADMIN_TOKEN\" \\\n\
         -H \"Content-Type: application/json\" \\\n\
         -d '{\n\"name\": \"My First Key\",\n\"service_id\": \"prediction\",\n\"scopes\": [\"predict\"],\n\
         \"environment\": \"test\"\n}'",
        &front,
        OPERATOR,
        "",
    );
    let created: Value = serde_json::from_str(&created).unwrap();
    let first_key = created["api_key"].as_str().unwrap();
    let used = "curl https://api.hokus.ai/v1/models \\\n\
                -H \"Authorization: Bearer hk_test_AbCdEfGhIjKlMnOpQrStUvWxYz123456\"";
    assert_models(&follow(used, &front, "", first_key));
}

#[test]
fn a_key_that_does_not_fit_is_refused_in_the_services_words() {
    let backend = Backend::polite();
    let front = strict(&backend);
    let key = |settings: Value| front.node.key_with(&settings);
    let scoped = key(json!({"scopes": ["predict"]}));
    let revoked = key(json!({}));
    front.node.revoke(&revoked);
    let unknown = NewKey { id: String::new(), text: "hk_live_AbCdEfGhIjKlMnOpQrStUvWxYz123456".into() };
    let nonsense = NewKey { id: String::new(), text: "nonsense".into() };
    let elsewhere = key(json!({"allowed_ips": ["203.0.113.7"]}));
    let of_test = key(json!({"environment": "test"}));
    let for_prediction = key(json!({"service_id": "prediction"}));
    for (path, key, status, code, detail) in [
        ("/any", &unknown, 401, "invalid_key", "Invalid API key"),
        ("/any", &nonsense, 401, "invalid_key", "Invalid API key"),
        ("/test", &nonsense, 401, "invalid_key", "Invalid API key"),
        ("/any", &revoked, 401, "revoked", "API key is inactive or has been revoked"),
        ("/any", &elsewhere, 401, "ip_not_allowed", "IP address not in allowlist: 127.0.0.1"),
        ("/predict", &scoped, 401, "service_mismatch", "Key not authorized for this service"),
        ("/test", &scoped, 401, "environment_mismatch", "Key not authorized for this environment"),
        ("/read", &scoped, 403, "insufficient_scope", "Insufficient permissions for this operation"),
    ] {
        let answer = get(&front, path, key).expect(status);
        let body = answer.json();
        assert_eq!((&body["detail"], &body["code"]), (&json!(detail), &json!(code)), "{path}");
        let asks = answer.header("www-authenticate");
        assert_eq!(asks.as_deref(), (status == 401).then_some("Bearer"), "{path}");
    }
    let lacking = get(&front, "/read", &scoped).json();
    assert_eq!(lacking["required_scope"], "model:read");
    assert_eq!(lacking["accepted_scopes"], json!(["model:read", "mlflow:read"]));
    let none = ask(&front, "GET /any", "").expect(401);
    assert_eq!(
        (none.json()["detail"].as_str(), none.code()),
        (Some("API key required"), "missing_key".into())
    );
    let basic = ask(&front, "GET /any", "Authorization: Basic dTpw\r\n").expect(401);
    assert_eq!(basic.json(), none.json());
    assert!(backend.heads().is_empty(), "{:?}", backend.heads());
    get(&front, "/test", &of_test).expect(200);
    get(&front, "/predict", &for_prediction).expect(200);
}

#[test]
fn a_key_without_scopes_only_reads() {
    let backend = Backend::that(|visit| {
        let is_head = visit.head.starts_with("HEAD ");
        visit.answer(if is_head { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" } else { HELLO })
    });
    let front = strict(&backend);
    let key = front.node.key_with(&json!({"scopes": []}));
    let header = format!("X-API-Key: {}\r\n", key.text);
    for (method, status) in [
        ("GET", 200),
        ("HEAD", 200),
        ("OPTIONS", 200),
        ("POST", 403),
        ("DELETE", 403),
        ("get", 403),
        ("X", 403),
    ] {
        assert_eq!(ask(&front, &format!("{method} /read"), &header).status(), status, "{method}");
    }
    // Told to be another method, it stays what it was judged as.
    ask(&front, "GET /read", &format!("{header}X-HTTP-Method-Override: DELETE\r\n")).expect(200);
    assert!(!backend.take_latest().unwrap().head.contains("DELETE"));
    let able = front.node.key_with(&json!({"scopes": ["mlflow:read"]}));
    let header = format!("X-API-Key: {}\r\nX-HTTP-Method-Override: PATCH\r\n", able.text);
    ask(&front, "POST /read", &header).expect(200);
    assert!(backend.take_latest().unwrap().head.contains("PATCH"));
}

/// A moment that is near, as the service reads it.
#[expect(clippy::disallowed_methods, reason = "a test of real processes measures real time")]
fn soon(after: Duration) -> String {
    jiff::Timestamp::try_from(std::time::SystemTime::now() + after).unwrap().to_string()
}

#[test]
fn a_key_in_use_ends_at_its_time() {
    let backend = Backend::polite();
    let front = strict(&backend);
    let key = front.node.key_with(&json!({"expires_at": soon(Duration::from_secs(3))}));
    get(&front, "/any", &key).expect(200);
    let refused = eventually(Duration::from_secs(5), "the end of a key", || {
        Some(get(&front, "/any", &key)).filter(|answer| answer.status() != 200)
    });
    let body = refused.expect(401).json();
    assert_eq!(
        (body["detail"].as_str(), body["code"].as_str()),
        (Some("API key has expired"), Some("expired"))
    );
}

#[test]
fn the_limit_is_told_in_headers_and_its_end_in_the_guides_words() {
    let backend = Backend::polite();
    let front = strict(&backend);
    let spend = || {
        let key = front.node.create_key(10);
        let answers: Vec<Message> = (0..12).map(|_| get(&front, "/any", &key)).collect();
        let resets: Vec<_> = answers.iter().filter_map(|answer| answer.header("x-ratelimit-reset")).collect();
        (answers, resets.windows(2).all(|pair| pair[0] == pair[1]))
    };
    let (mut answers, is_of_one_hour) = spend();
    if !is_of_one_hour {
        answers = spend().0;
    }
    for (number, answer) in answers.iter().take(10).enumerate() {
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("x-ratelimit-limit").as_deref(), Some("10"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some((9 - number).to_string()));
    }
    for answer in &answers[10..] {
        assert_eq!((answer.status(), answer.json()), (429, json!({"detail": "Rate limit exceeded"})));
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=3600).contains(&seconds), "{seconds}");
    }
    assert!(backend.requests().len() >= 10);
}

/// A request from another address of this machine.
fn from(source: &str, gateway: &Process, key: &NewKey, forwarded: Option<&str>) -> (u16, Value) {
    let url = format!("http://{}/any", gateway.address);
    let header = format!("X-API-Key: {}", key.text);
    let mut args = vec!["-s", "--interface", source, "-w", "\n%{http_code}", "-H", &header, &url];
    let forwarded = forwarded.map(|forwarded| format!("X-Forwarded-For: {forwarded}"));
    if let Some(forwarded) = &forwarded {
        args.extend(["-H", forwarded]);
    }
    let ended = Program::other("curl", std::path::Path::new("/")).args(args).run();
    let (body, status) = ended.output.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn a_key_of_one_address_is_good_from_there_only_whatever_is_claimed() {
    let site = Site::on_sqlite();
    let node = site.start();
    let backend = Backend::polite();
    let plain = site.gateway(&[&node], &strict_routes(&backend)).start();
    let trusting = site
        .gateway(&[&node], &strict_routes(&backend))
        .env("HOKUSAI_GATEWAY_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")
        .start();
    let near = node.key_with(&json!({"allowed_ips": ["127.0.0.2"]}));
    let far = node.key_with(&json!({"allowed_ips": ["203.0.113.7"]}));
    let good = "203.0.113.7";
    for (gateway, source, key, claim, seen, passes) in [
        (&plain, "127.0.0.2", &near, None, "127.0.0.2", true),
        (&plain, "127.0.0.3", &near, None, "127.0.0.3", false),
        (&plain, "127.0.0.3", &near, Some("127.0.0.2"), "127.0.0.3", false),
        (&plain, "127.0.0.1", &far, Some(good), "127.0.0.1", false),
        (&trusting, "127.0.0.1", &far, Some(good), good, true),
        (&trusting, "127.0.0.1", &far, Some("1.1.1.1, 203.0.113.7, 10.1.2.3"), good, true),
        (&trusting, "127.0.0.1", &far, Some("203.0.113.7, 1.1.1.1"), "1.1.1.1", false),
        (&trusting, "127.0.0.2", &far, Some(good), "127.0.0.2", false),
        (&trusting, "127.0.0.2", &near, Some(good), "127.0.0.2", true),
    ] {
        let case = format!("{source} {claim:?}");
        let (status, body) = from(source, gateway, key, claim);
        let latest = backend.take_latest();
        if passes {
            assert_eq!(status, 200, "{case} {body}");
            assert_eq!(latest.unwrap().header("x-forwarded-for").as_deref(), Some(seen), "{case}");
        } else {
            let detail = format!("IP address not in allowlist: {seen}");
            assert_eq!((status, body["detail"].as_str()), (401, Some(&*detail)), "{case}");
            assert!(latest.is_none(), "{case}");
        }
    }
}

#[test]
fn requests_of_one_connection_are_each_of_its_own_client() {
    let site = Site::on_sqlite();
    let node = site.start();
    let backend = Backend::polite();
    let trusting = site.gateway(&[&node], &strict_routes(&backend));
    let trusting = trusting.env("HOKUSAI_GATEWAY_TRUSTED_PROXIES", "127.0.0.1").start();
    let (url, key) = (format!("http://{}/any", trusting.address), node.key_with(&json!({})));
    let key = format!("X-API-Key: {}", key.text);
    let mut args = Vec::new();
    for claim in ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 1.1.1.1", "X-Other: none"] {
        args.extend(["--next", "-s", "-o", "/dev/null", "-w", "%{num_connects} %{http_code},"]);
        args.extend(["-H", &key, "-H", claim, &url]);
    }
    let ended = Program::other("curl", std::path::Path::new("/")).args(&args[1..]).run();
    assert_eq!(ended.output, "1 200,0 200,0 200,");
    let requests = backend.requests();
    let clients: Vec<_> = requests.iter().map(|request| request.header("x-forwarded-for").unwrap()).collect();
    assert_eq!(clients, ["203.0.113.7", "1.1.1.1", "127.0.0.1"]);
}

#[test]
fn headers_of_64_kib_are_too_many() {
    let backend = Backend::polite();
    let front = strict(&backend);
    let key = front.node.key_with(&json!({}));
    let line = format!("X-API-Key: {}\r\nX-Large: {{}}\r\n", key.text);
    let with = |length: usize| ask(&front, "GET /any", &line.replace("{}", &"a".repeat(length)));
    with(48 * 1024).expect(200);
    assert_eq!(with(64 * 1024).status(), 431);
    assert_eq!(backend.heads().len(), 1);
}

/// A gateway whose five connections are in use, a request, and the connections, each of which has made it once.
fn all_in_use(backend: &Backend) -> (Front, String, Vec<Wire>) {
    let front =
        Front::tuned(&strict_routes(backend), |gateway| gateway.env("HOKUSAI_GATEWAY_MAX_CONNECTIONS", "5"));
    let key = front.node.key_with(&json!({}));
    let request = with_key("GET /any", &key) + "\r\n";
    let mut five: Vec<Wire> = (0..5).map(|_| Wire::to(front.address())).collect();
    for wire in &mut five {
        wire.ask(&request).unwrap().expect(200);
    }
    (front, request, five)
}

#[test]
fn no_more_connections_than_the_cap_are_served() {
    let backend = Backend::polite();
    let (front, request, mut five) = all_in_use(&backend);
    let mut sixth = Wire::to(front.address());
    sixth.send(&request).unwrap();
    assert!(sixth.is_silent_for(Duration::from_millis(300)));
    // The five are as well off as before.
    five[4].ask(&request).unwrap().expect(200);
    assert_eq!(backend.heads().len(), 6);
    drop(five.pop());
    sixth.message(super::wire::Kind::Answer).unwrap().expect(200);
}

#[test]
fn connections_that_do_nothing_make_room_for_others() {
    let backend = Backend::polite();
    let (front, request, five) = all_in_use(&backend);
    Wire::to(front.address()).ask(&request).unwrap().expect(200);
    drop(five);
    let mut five: Vec<Wire> = (0..5).map(|_| Wire::to(front.address())).collect();
    for wire in &mut five {
        wire.send("G").unwrap();
    }
    Wire::to(front.address()).ask(&request).unwrap().expect(200);
}

#[test]
fn a_client_that_sends_all_before_it_reads_learns_why_it_is_refused() {
    const LARGE: u64 = 10_000_000;
    let backend = Backend::polite();
    let routes =
        [route("/any", &backend.url(), ""), route("/small", &backend.url(), "max_body_bytes = 1000")];
    let front = Front::with(&routes.concat());
    let key = front.node.key_with(&json!({}));
    let keyless = "POST /any HTTP/1.1\r\nHost: gateway.test\r\n".to_owned();
    for (head, status) in [(keyless, 401), (with_key("POST /small", &key), 413)] {
        let mut wire = Wire::to(front.address());
        wire.send(format!("{head}Content-Length: {LARGE}\r\n\r\n")).unwrap();
        assert_eq!(wire.pour(LARGE), LARGE, "{status}");
        wire.message(super::wire::Kind::Answer).unwrap().expect(status);
        assert!(wire.ends());
    }
    assert!(backend.heads().is_empty());
}

#[test]
fn the_gateways_own_pages_need_no_key_and_tell_strangers_no_figures() {
    let backend = Backend::polite();
    let front = strict(&backend);
    for path in ["/health", "/live", "/ready", "/version", "/metrics"] {
        front.gateway.send(Request::new("GET", path)).expect(200);
        assert_eq!(ask(&front, &format!("POST {path}"), "").status(), 405, "{path}");
    }
    // Somebody behind a proxy that is not known: who, nobody can say.
    assert_eq!(ask(&front, "GET /metrics", "X-Forwarded-For: 127.0.0.1\r\n").status(), 404);
    let metrics = front.gateway.send(Request::new("GET", "/metrics")).text;
    assert!(metrics.contains("hokusai_gateway_requests_total"), "{metrics}");
    // Everybody may be a proxy that nobody named.
    let behind = Front::tuned(&strict_routes(&backend), |gateway| {
        gateway.env("HOKUSAI_GATEWAY_BEHIND_TLS_PROXY", "true")
    });
    behind.gateway.send(Request::new("GET", "/metrics")).expect(404);
    behind.gateway.send(Request::new("GET", "/live")).expect(200);
    assert!(backend.heads().is_empty());
}
