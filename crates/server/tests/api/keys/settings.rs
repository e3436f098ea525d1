//! What the settings of a new key may be, and what each of them becomes.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Service, Setup};

const KEYS: &str = "/api/v1/keys";

/// What becomes of a key whose `field` has each of these values, written as JSON: the status, and what
/// the key's `shown` field says, or what was wrong. What was refused has made nothing.
async fn outcomes(service: &Service, field: &str, shown: &str, values: &[&str]) -> String {
    let before = service.count_keys().await;
    let (mut lines, mut made) = (String::new(), 0);
    for value in values {
        let name = if field == "name" { "" } else { r#""name":"A key","# };
        let answer = service.operator.post_text(KEYS, format!("{{{name}\"{field}\":{value}}}")).await;
        let outcome = match answer.status.as_u16() {
            201 => format!("201 {}", shortened(&answer.json()["key_info"][shown].to_string())),
            _ => answer.detail(),
        };
        made += usize::from(answer.status == 201);
        lines.push_str(&format!("{} -> {outcome}\n", shortened(value)));
    }
    assert_eq!(service.count_keys().await, before + made);
    lines
}

fn shortened(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    if start.len() < text.len() { format!("{start}… ({} characters)", text.chars().count()) } else { start }
}

#[tokio::test]
async fn older_names_of_the_platform_service_are_taken() {
    let service = Service::start().await;
    let values =
        [r#""platform""#, r#""website""#, r#""ml-platform""#, r#""prediction""#, r#""mlflow""#, "null"];
    assert_snapshot!(outcomes(&service, "service_id", "service_id", &values).await, @r#"
    "platform" -> 201 "platform"
    "website" -> 201 "platform"
    "ml-platform" -> 201 "platform"
    "prediction" -> 201 "prediction"
    "mlflow" -> 422 service_id: must be one of: platform, prediction
    null -> 422 service_id: must be one of: platform, prediction
    "#);
}

#[tokio::test]
async fn a_name_has_1_to_100_characters_and_no_control_characters() {
    let service = Service::start().await;
    let [most, too_many] = [100, 101].map(|count| format!("\"{}\"", "é".repeat(count)));
    let values = [
        r#""""#,
        r#""   ""#,
        &most,
        &too_many,
        r#""two\nlines""#,
        r#""nul\u0000""#,
        r#""🗝️ key""#,
        "7",
        "null",
    ];
    assert_snapshot!(outcomes(&service, "name", "name", &values).await, @r#"
    "" -> 422 name: must be 1 to 100 characters without control characters
    "   " -> 422 name: must be 1 to 100 characters without control characters
    "ééééééééééééééééééééééééééééééééééééééé… (102 characters) -> 201 "ééééééééééééééééééééééééééééééééééééééé… (102 characters)
    "ééééééééééééééééééééééééééééééééééééééé… (103 characters) -> 422 name: must be 1 to 100 characters without control characters
    "two\nlines" -> 422 name: must be 1 to 100 characters without control characters
    "nul\u0000" -> 422 name: must be 1 to 100 characters without control characters
    "🗝️ key" -> 201 "🗝️ key"
    7 -> 422 name: must be 1 to 100 characters without control characters
    null -> 422 name: must be 1 to 100 characters without control characters
    "#);
}

#[tokio::test]
async fn a_limit_is_a_whole_number_from_10_to_100000() {
    let service = Service::start().await;
    let values =
        ["9", "10", "100000", "100001", "1e3", "1000.0", "10.5", "-10", "1e400", r#""1000""#, "true", "null"];
    assert_snapshot!(outcomes(&service, "rate_limit_per_hour", "rate_limit_per_hour", &values).await, @r#"
    9 -> 422 rate_limit_per_hour: must be a whole number from 10 to 100000
    10 -> 201 10
    100000 -> 201 100000
    100001 -> 422 rate_limit_per_hour: must be a whole number from 10 to 100000
    1e3 -> 201 1000
    1000.0 -> 201 1000
    10.5 -> 422 rate_limit_per_hour: must be a whole number from 10 to 100000
    -10 -> 422 rate_limit_per_hour: must be a whole number from 10 to 100000
    1e400 -> 400 The body is not JSON (line 1, column 43)
    "1000" -> 422 rate_limit_per_hour: must be a whole number from 10 to 100000
    true -> 422 rate_limit_per_hour: must be a whole number from 10 to 100000
    null -> 422 rate_limit_per_hour: must be a whole number from 10 to 100000
    "#);
}

#[tokio::test]
async fn a_life_in_days_is_1_to_365_from_now() {
    let service = Service::start().await;
    let values = ["0", "1", "365", "366", "-1", r#""30""#, "null"];
    assert_snapshot!(outcomes(&service, "expires_in_days", "expires_at", &values).await, @r#"
    0 -> 422 expires_in_days: must be a whole number from 1 to 365
    1 -> 201 "2026-03-05T10:30:00Z"
    365 -> 201 "2027-03-04T10:30:00Z"
    366 -> 422 expires_in_days: must be a whole number from 1 to 365
    -1 -> 422 expires_in_days: must be a whole number from 1 to 365
    "30" -> 422 expires_in_days: must be a whole number from 1 to 365
    null -> 201 null
    "#);
}

#[tokio::test]
async fn an_expiry_is_a_time_with_zone_in_the_future() {
    let service = Service::start().await;
    let values = [
        r#""2026-03-04T10:30:00.000001Z""#,
        r#""2026-03-04T12:30:00.250+01:00""#,
        r#""2026-03-04T10:30:00Z""#,
        r#""2026-03-04T10:29:59Z""#,
        r#""2027-03-04T10:30:00""#,
        r#""2027-03-04""#,
        r#""2127-03-04T10:30:00Z""#,
        r#""9999-12-31T23:59:59Z""#,
        r#""tomorrow""#,
        r#""""#,
        "1800000000",
        "null",
    ];
    assert_snapshot!(outcomes(&service, "expires_at", "expires_at", &values).await, @r#"
    "2026-03-04T10:30:00.000001Z" -> 201 "2026-03-04T10:30:00.000001Z"
    "2026-03-04T12:30:00.250+01:00" -> 201 "2026-03-04T11:30:00.250Z"
    "2026-03-04T10:30:00Z" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "2026-03-04T10:29:59Z" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "2027-03-04T10:30:00" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "2027-03-04" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "2127-03-04T10:30:00Z" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "9999-12-31T23:59:59Z" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "tomorrow" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    1800000000 -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    null -> 201 null
    "#);
}

#[tokio::test]
async fn a_local_time_and_days_count_the_days_from_now() {
    let service = Service::start().await;
    let values = [
        r#""2026-01-01T00:00:00+30d""#,
        r#""2026-01-01T00:00:00.123456+365d""#,
        r#""2026-01-01T00:00:00+366d""#,
        r#""2026-01-01T00:00:00+0d""#,
        r#""2026-01-01T00:00:00+030d""#,
        r#""2026-01-01T00:00:00Z+30d""#,
        r#""+30d""#,
        r#""2026-01-01T00:00:00+30h""#,
    ];
    assert_snapshot!(outcomes(&service, "expires_at", "expires_at", &values).await, @r#"
    "2026-01-01T00:00:00+30d" -> 201 "2026-04-03T10:30:00Z"
    "2026-01-01T00:00:00.123456+365d" -> 201 "2027-03-04T10:30:00Z"
    "2026-01-01T00:00:00+366d" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "2026-01-01T00:00:00+0d" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "2026-01-01T00:00:00+030d" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "2026-01-01T00:00:00Z+30d" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "+30d" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "2026-01-01T00:00:00+30h" -> 422 expires_at: must be an RFC 3339 time in the future, with zone, at most 100 years ahead
    "#);
}

#[tokio::test]
async fn addresses_are_single_ones_or_blocks_and_at_most_100() {
    let service = Service::start().await;
    let [most, too_many] = [100, 101].map(|count| {
        let entries: Vec<String> = (0..count).map(|n| format!("\"10.0.0.{n}\"")).collect();
        format!("[{}]", entries.join(","))
    });
    let values = [
        r#"["198.51.100.42"]"#,
        r#"["10.0.0.0/8", "::1"]"#,
        r#"["::ffff:203.0.113.7"]"#,
        r#"["::ffff:203.0.113.0/120"]"#,
        r#"["300.1.1.1"]"#,
        r#"["10.0.0.0/33"]"#,
        r#"["localhost"]"#,
        r#"["10.0.0.1:80"]"#,
        r#"[7]"#,
        r#""10.0.0.1""#,
        "[]",
        "null",
        &most,
        &too_many,
    ];
    assert_snapshot!(outcomes(&service, "allowed_ips", "allowed_ips", &values).await, @r#"
    ["198.51.100.42"] -> 201 ["198.51.100.42"]
    ["10.0.0.0/8", "::1"] -> 201 ["10.0.0.0/8","::1"]
    ["::ffff:203.0.113.7"] -> 201 ["203.0.113.7"]
    ["::ffff:203.0.113.0/120"] -> 201 ["203.0.113.0/24"]
    ["300.1.1.1"] -> 422 allowed_ips: "300.1.1.1" is no IP address or CIDR block
    ["10.0.0.0/33"] -> 422 allowed_ips: "10.0.0.0/33" is no IP address or CIDR block
    ["localhost"] -> 422 allowed_ips: "localhost" is no IP address or CIDR block
    ["10.0.0.1:80"] -> 422 allowed_ips: "10.0.0.1:80" is no IP address or CIDR block
    [7] -> 422 allowed_ips: 7 is no IP address or CIDR block
    "10.0.0.1" -> 422 allowed_ips: must be a list of at most 100 IPv4 or IPv6 addresses or CIDR blocks
    [] -> 201 []
    null -> 201 []
    ["10.0.0.0","10.0.0.1","10.0.0.2","10.0.… (1191 characters) -> 201 ["10.0.0.0","10.0.0.1","10.0.0.2","10.0.… (1191 characters)
    ["10.0.0.0","10.0.0.1","10.0.0.2","10.0.… (1204 characters) -> 422 allowed_ips: must be a list of at most 100 IPv4 or IPv6 addresses or CIDR blocks
    "#);
}

#[tokio::test]
async fn scopes_are_words_or_patterns() {
    let service = Service::start().await;
    let [most, too_many] = [64, 65].map(|count| format!("[\"{}\"]", "a".repeat(count)));
    let many = format!("[{}]", vec!["\"a\""; 65].join(","));
    let values = [
        r#"["model:read", "mlflow:access"]"#,
        r#"["model:*", "*"]"#,
        "[]",
        r#"["Model:read"]"#,
        r#"["model*"]"#,
        r#"["model read"]"#,
        r#"[""]"#,
        &most,
        &too_many,
        &many,
        r#""model:read""#,
        "null",
    ];
    assert_snapshot!(outcomes(&service, "scopes", "scopes", &values).await, @r#"
    ["model:read", "mlflow:access"] -> 201 ["model:read","mlflow:access"]
    ["model:*", "*"] -> 201 ["model:*","*"]
    [] -> 201 []
    ["Model:read"] -> 422 scopes: must be a list of at most 64 scopes, each 1 to 64 of a-z 0-9 : . _ -, or such a text ending in ':*', or '*'
    ["model*"] -> 422 scopes: must be a list of at most 64 scopes, each 1 to 64 of a-z 0-9 : . _ -, or such a text ending in ':*', or '*'
    ["model read"] -> 422 scopes: must be a list of at most 64 scopes, each 1 to 64 of a-z 0-9 : . _ -, or such a text ending in ':*', or '*'
    [""] -> 422 scopes: must be a list of at most 64 scopes, each 1 to 64 of a-z 0-9 : . _ -, or such a text ending in ':*', or '*'
    ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa… (68 characters) -> 201 ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa… (68 characters)
    ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa… (69 characters) -> 422 scopes: must be a list of at most 64 scopes, each 1 to 64 of a-z 0-9 : . _ -, or such a text ending in ':*', or '*'
    ["a","a","a","a","a","a","a","a","a","a"… (261 characters) -> 422 scopes: must be a list of at most 64 scopes, each 1 to 64 of a-z 0-9 : . _ -, or such a text ending in ':*', or '*'
    "model:read" -> 422 scopes: must be a list of at most 64 scopes, each 1 to 64 of a-z 0-9 : . _ -, or such a text ending in ':*', or '*'
    null -> 422 scopes: must be a list of at most 64 scopes, each 1 to 64 of a-z 0-9 : . _ -, or such a text ending in ':*', or '*'
    "#);
}

#[tokio::test]
async fn environments_and_plans_are_of_a_known_set() {
    let service = Service::start().await;
    let environments = [r#""production""#, r#""test""#, r#""development""#, r#""live""#, "null"];
    assert_snapshot!(outcomes(&service, "environment", "environment", &environments).await, @r#"
    "production" -> 201 "production"
    "test" -> 201 "test"
    "development" -> 201 "development"
    "live" -> 422 environment: must be production, test or development
    null -> 422 environment: must be production, test or development
    "#);
    let plans = [r#""free""#, r#""gold""#, "null"];
    assert_snapshot!(outcomes(&service, "billing_plan", "billing_plan", &plans).await, @r#"
    "free" -> 201 "free"
    "gold" -> 422 billing_plan: must be one of: free
    null -> 422 billing_plan: must be one of: free
    "#);
}

#[tokio::test]
async fn a_monthly_limit_is_a_whole_number_or_none() {
    let service = Service::start().await;
    let values = ["0", "5000", "-1", "1.5", "9007199254740991", "9007199254740992", r#""5000""#, "null"];
    let field = "monthly_prediction_limit";
    assert_snapshot!(outcomes(&service, field, field, &values).await, @r#"
    0 -> 201 0
    5000 -> 201 5000
    -1 -> 422 monthly_prediction_limit: must be a whole number from 0 to 9007199254740991
    1.5 -> 422 monthly_prediction_limit: must be a whole number from 0 to 9007199254740991
    9007199254740991 -> 201 9007199254740991
    9007199254740992 -> 422 monthly_prediction_limit: must be a whole number from 0 to 9007199254740991
    "5000" -> 422 monthly_prediction_limit: must be a whole number from 0 to 9007199254740991
    null -> 201 null
    "#);
}

#[tokio::test]
async fn metadata_is_a_flat_object_of_texts_up_to_4_kib() {
    let service = Service::start().await;
    let [most, too_much] = [4096, 4097].map(|bytes| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8)));
    let values = [
        r#"{"team":"evaluation","note":"line\nline\u0000"}"#,
        r#"{"a":1}"#,
        r#"{"a":{"b":"c"}}"#,
        r#"{"a":null}"#,
        "[]",
        "{}",
        "null",
        &most,
        &too_much,
    ];
    assert_snapshot!(outcomes(&service, "metadata", "metadata", &values).await, @r#"
    {"team":"evaluation","note":"line\nline\… (47 characters) -> 201 {"note":"line\nline\u0000","team":"evalu… (47 characters)
    {"a":1} -> 422 metadata: must be an object with text values, at most 4096 bytes as JSON
    {"a":{"b":"c"}} -> 422 metadata: must be an object with text values, at most 4096 bytes as JSON
    {"a":null} -> 422 metadata: must be an object with text values, at most 4096 bytes as JSON
    [] -> 422 metadata: must be an object with text values, at most 4096 bytes as JSON
    {} -> 201 {}
    null -> 201 {}
    {"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (4096 characters) -> 201 {"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (4096 characters)
    {"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (4097 characters) -> 422 metadata: must be an object with text values, at most 4096 bytes as JSON
    "#);
}

#[tokio::test]
async fn a_user_is_named_in_plain_characters() {
    let service = Service::start().await;
    let values = [r#""ada@example.org""#, r#""ada lovelace""#, r#""""#, r#""ada\n""#, "7", "null"];
    assert_snapshot!(outcomes(&service, "user_id", "user_id", &values).await, @r#"
    "ada@example.org" -> 201 "ada@example.org"
    "ada lovelace" -> 422 user_id: must be 1 to 100 of A-Z a-z 0-9 . _ @ : -
    "" -> 422 user_id: must be 1 to 100 of A-Z a-z 0-9 . _ @ : -
    "ada\n" -> 422 user_id: must be 1 to 100 of A-Z a-z 0-9 . _ @ : -
    7 -> 422 user_id: must be 1 to 100 of A-Z a-z 0-9 . _ @ : -
    null -> 201 "admin"
    "#);
}

#[tokio::test]
async fn services_and_plans_are_those_of_the_configuration() {
    let mut setup = Setup::with_plans(&["basic", "gold"]);
    setup.app.services = vec!["search".into(), "mail".into()];
    let service = Service::with(setup).await;
    let answer = service.operator.post(KEYS, json!({"name": "A key"})).await.created();
    assert_eq!(answer["key_info"]["service_id"], "search");
    assert_eq!(answer["key_info"]["billing_plan"], "basic");
    let values = [r#""mail""#, r#""platform""#, r#""website""#];
    assert_snapshot!(outcomes(&service, "service_id", "service_id", &values).await, @r#"
    "mail" -> 201 "mail"
    "platform" -> 422 service_id: must be one of: search, mail
    "website" -> 422 service_id: must be one of: search, mail
    "#);
}
