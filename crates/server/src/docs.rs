//! Pages for people, made from the OpenAPI document. They load nothing from elsewhere and run no script.

use std::fmt::Write as _;

use serde_json::Value;

/// The contract, as it is served.
const OPENAPI: &str = include_str!("../openapi.json");

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1a2330;background:#fff}h1{font-size:1.7rem}h2{margin-top:2.5rem;border-bottom:1px solid #d5dbe3}\
code,pre{font:14px/1.5 ui-monospace,monospace;background:#f3f5f8;border-radius:4px;padding:.1em .3em}\
pre{padding:.8em;overflow:auto}details{margin:.6rem 0;border:1px solid #d5dbe3;border-radius:6px;padding:.5rem .8rem}\
summary{cursor:pointer}b.get{color:#0b6e4f}b.post{color:#1f5fbf}b.patch{color:#8a5a00}b.delete{color:#b3261e}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;\
border-top:1px solid #e6eaf0}.ok{color:#0b6e4f}.bad{color:#b3261e}\
@media(prefers-color-scheme:dark){body{background:#12161c;color:#dde3ea}code,pre{background:#1d242e}\
h2,details,td,th{border-color:#2c3542}b.get,.ok{color:#5fd0a5}b.post{color:#7db1ff}b.patch{color:#e6b455}\
b.delete,.bad{color:#ff8a80}}";

/// What the service tells about itself.
pub(crate) struct Documents {
    /// The OpenAPI document.
    pub(crate) openapi: String,
    /// The page for people.
    pub(crate) page: String,
}

impl Documents {
    /// Puts this service's own settings into the embedded document.
    pub(crate) fn build(services: &[String], billing_plans: &[String]) -> Self {
        let mut document: Value = serde_json::from_str(OPENAPI).expect("the embedded document is JSON");
        document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
        let mut services = services.to_vec();
        if services.iter().any(|service| service == "platform") {
            services.extend(["website".to_owned(), "ml-platform".to_owned()]);
        }
        document["components"]["schemas"]["ServiceId"]["enum"] = services.into();
        document["components"]["schemas"]["BillingPlan"]["enum"] = billing_plans.into();
        Self { openapi: document.to_string(), page: docs_page(&document) }
    }
}

/// One static page on whether the service is ready.
pub(crate) fn status_page(ready: bool, version: &str) -> String {
    let (class, text) = if ready {
        ("ok", "All is well: the service is ready, and its database answers.")
    } else {
        (
            "bad",
            "The service runs, but its database does not answer. Requests are answered 503 while that lasts.",
        )
    };
    let mut body = String::new();
    let _ = write!(body, "<h1>Hokusai Auth</h1><p class=\"{class}\"><strong>{text}</strong></p>");
    let _ = write!(body, "<p>Version {version}. <a href=\"/docs\">API documentation</a></p>");
    page("Status", &body)
}

fn docs_page(document: &Value) -> String {
    let mut body = String::new();
    let info = &document["info"];
    let _ = write!(body, "<h1>{}</h1>{}", text(&info["title"]), paragraphs(&info["description"]));
    body.push_str("<p>The same as a document for programs: <a href=\"/openapi.json\">/openapi.json</a></p>");
    for (path, methods) in entries(&document["paths"]) {
        let _ = write!(body, "<h2><code>{}</code></h2>", escape(path));
        for (method, operation) in entries(methods) {
            if operation.get("responses").is_some() {
                write_operation(&mut body, document, method, operation);
            }
        }
    }
    page("API", &body)
}

fn write_operation(out: &mut String, document: &Value, method: &str, operation: &Value) {
    let summary = text(&operation["summary"]);
    let (class, shown) = (escape(method), escape(&method.to_uppercase()));
    let _ = write!(out, "<details><summary><b class=\"{class}\">{shown}</b> {summary}</summary>");
    out.push_str(&paragraphs(&operation["description"]));
    write_parameters(out, document, operation);
    let request = resolve(document, &operation["requestBody"]);
    if let Some(schema) = request.pointer("/content/application~1json/schema") {
        out.push_str("<h4>Request</h4>");
        write_schema(out, document, schema);
    }
    out.push_str("<h4>Answers</h4><table>");
    for (status, response) in entries(&operation["responses"]) {
        let response = resolve(document, response);
        let _ =
            write!(out, "<tr><td>{}</td><td>{}</td></tr>", escape(status), text(&response["description"]));
    }
    out.push_str("</table></details>");
}

fn write_parameters(out: &mut String, document: &Value, operation: &Value) {
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    if parameters.is_empty() {
        return;
    }
    out.push_str("<h4>Parameters</h4><table>");
    for parameter in parameters {
        let parameter = resolve(document, parameter);
        let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
        let _ = write!(
            out,
            "<tr><td><code>{name}</code></td><td>{place}</td><td>{}</td></tr>",
            text(&parameter["description"])
        );
    }
    out.push_str("</table>");
}

fn write_schema(out: &mut String, document: &Value, schema: &Value) {
    let schema = resolve(document, schema);
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    out.push_str("<table>");
    for (name, property) in entries(&schema["properties"]) {
        let property = resolve(document, property);
        let need = if required.contains(&name) { "required" } else { "" };
        let _ = write!(
            out,
            "<tr><td><code>{}</code></td><td>{need}</td><td>{}</td></tr>",
            escape(name),
            text(&property["description"])
        );
    }
    out.push_str("</table>");
    if let Some(example) = schema.get("example").or_else(|| schema.pointer("/examples/0")) {
        let shown = serde_json::to_string_pretty(example).unwrap_or_default();
        let _ = write!(out, "<pre>{}</pre>", escape(&shown));
    }
}

/// Follows a `$ref` within the document.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn paragraphs(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.split("\n\n")
        .filter(|part| !part.is_empty())
        .map(|part| format!("<p>{}</p>", escape(part)))
        .collect()
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title} · Hokusai Auth</title><style>{STYLE}</style></head>\
         <body>{body}</body></html>"
    )
}
