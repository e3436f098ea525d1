//! What the gateway says of itself: health, version and metrics.

use hokusai_client::Denial;
use hokusai_client::credential::presented;
use http::header::CONTENT_TYPE;
use http::request::Parts as Head;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use crate::answer;
use crate::body::AnswerBody;
use crate::gateway::{Caller, Parts};
use crate::receive::no_route;
use crate::routes::OWN_PATHS;

/// The answer, if the path is one of the gateway's own.
pub(crate) fn answer(
    head: &Head,
    path: &str,
    caller: &Caller,
    gateway: &Parts,
) -> Option<Result<Response<AnswerBody>, Denial>> {
    if !OWN_PATHS.contains(&path) || asks_mlflow(head, path, gateway) {
        return None;
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let detail = "Only GET is answered here";
        return Some(Err(Denial::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)));
    }
    let (version, commit) = &gateway.options.version;
    let body = match path {
        "/health" => json!({"status": "healthy"}),
        "/live" => json!({"status": "alive"}),
        "/version" => json!({"version": version, "commit": commit}),
        "/ready" => return Some(Ok(ready(gateway))),
        _ => return Some(metrics(caller, gateway)),
    };
    Some(Ok(answer::json(StatusCode::OK, body.to_string())))
}

/// MLflow's client asks for the version of its server where the gateway's own is. It bears a key.
fn asks_mlflow(head: &Head, path: &str, gateway: &Parts) -> bool {
    let bears_key = || !matches!(presented(&head.headers, std::iter::empty()), Ok(None));
    path == "/version" && gateway.options.mlflow.is_some() && bears_key()
}

/// Ready once the service was heard. From then on the gateway has work that it can do, also while the service
/// is away.
fn ready(gateway: &Parts) -> Response<AnswerBody> {
    let is_ready = gateway.verifier.was_heard();
    let (status, word) =
        if is_ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let body = json!({"status": word, "checks": {"auth_service": is_ready}});
    answer::json(status, body.to_string())
}

/// The figures, for those who are near: this machine, and the networks that were named.
fn metrics(caller: &Caller, gateway: &Parts) -> Result<Response<AnswerBody>, Denial> {
    let (client, options) = (caller.origin.client, &gateway.options);
    let is_here = client.is_loopback() && !options.behind_unnamed_proxy;
    let is_near = is_here || options.metrics_networks.iter().any(|network| network.contains(&client));
    if !(is_near && caller.origin.is_certain) {
        return Err(no_route());
    }
    let mut text = gateway.exposition.render();
    text.push_str(&gateway.verifier.metrics().to_prometheus());
    let mut response = answer::json(StatusCode::OK, text);
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    Ok(response)
}
