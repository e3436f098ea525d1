use serde_json::json;

use super::*;

fn mlflow(passes_admin: bool) -> Mlflow {
    Mlflow::at("http://127.0.0.1:5000", "127.0.0.1:4659".parse().unwrap(), passes_admin).unwrap()
}

#[test]
fn a_call_is_found_at_the_root_and_below_the_mounts() {
    let mlflow = mlflow(false);
    for (path, expected) in [
        ("/api/2.0/mlflow/runs/search", Some(Ok("/api/2.0/mlflow/runs/search"))),
        ("/mlflow/api/2.0/mlflow/runs/search", Some(Ok("/api/2.0/mlflow/runs/search"))),
        ("/api/mlflow/ajax-api/2.0/mlflow/runs/search", Some(Ok("/ajax-api/2.0/mlflow/runs/search"))),
        ("/api/2.0/mlflow/runs/find", Some(Err(404))),
        ("/api/2.0/mlflow/runs/get", Some(Err(405))),
        ("/mlflow/api/2.0/mlflow/users/create", Some(Err(404))),
        ("/MLflow/api/2.0/mlflow/runs/search", Some(Err(404))),
        ("/API/2.0/mlflow/runs/search", Some(Err(404))),
        ("/gateway/openai/v1/embeddings", Some(Err(404))),
        ("/v1/traces", Some(Ok("/v1/traces"))),
        ("/v1/traces/", Some(Err(404))),
        ("/mlflow/mlflow/api/2.0/mlflow/runs/search", Some(Err(404))),
        ("/signup", None),
        ("/api/2.0/other", None),
        ("/predict", None),
        ("/mlflowx", None),
    ] {
        let found = mlflow.find(&Method::POST, path).map(|call| match call {
            Ok(call) => Ok(call.name().to_owned()),
            Err(denial) => Err(denial.status.as_u16()),
        });
        let expected = expected.map(|expected| expected.map(str::to_owned));
        assert_eq!(found, expected, "{path}");
    }
    let call = mlflow.find(&Method::GET, "/mlflow/version").unwrap().unwrap();
    assert_eq!((call.name(), call.mount.onward("/mlflow/version")), ("/version", "/version"));
    assert_eq!(mlflow.find(&Method::GET, "/mlflow").unwrap().unwrap().name(), "/");
}

#[test]
fn what_the_server_itself_can_do_is_passed_on_only_where_that_is_turned_on() {
    let (path, post) = ("/gateway/openai/v1/embeddings", Method::POST);
    assert_eq!(mlflow(false).find(&post, path).unwrap().unwrap_err().status, StatusCode::NOT_FOUND);
    let with_admin = mlflow(true);
    let call = with_admin.find(&post, path).unwrap().unwrap();
    assert!(matches!(call.demand(), Demand::ChangeWith([scope]) if scope.as_str() == "mlflow:admin"));
}

#[test]
fn prefixes_of_routes_must_be_apart_from_those_of_mlflow() {
    for (prefix, expected) in [
        ("/mlflow", Some("/mlflow")),
        ("/MLflow/x", Some("/mlflow")),
        ("/api/2.0/mlflow/runs", Some("/api/2.0/mlflow")),
        ("/graphql", Some("/graphql")),
        ("/api", None),
        ("", None),
        ("/predict", None),
    ] {
        assert_eq!(claims(prefix), expected, "{prefix}");
    }
}

#[test]
fn its_client_is_told_in_its_own_words_and_never_to_wait_for_more_than_a_minute() {
    let of = |status| Denial::new(status, "a_code", "Some words");
    let scoped =
        Denial { scopes: vec!["mlflow:write".into(), "mlflow:access".into()], ..of(StatusCode::FORBIDDEN) };
    assert_eq!(
        (&body(&scoped)["error_code"], &body(&scoped)["message"], &body(&scoped)["code"]),
        (&"PERMISSION_DENIED".into(), &"Some words: the key needs mlflow:write".into(), &"a_code".into())
    );
    for (status, error_code) in [
        (400, "BAD_REQUEST"),
        (401, "UNAUTHENTICATED"),
        (404, "ENDPOINT_NOT_FOUND"),
        (413, "BAD_REQUEST"),
        (502, "TEMPORARILY_UNAVAILABLE"),
    ] {
        let body = body(&of(StatusCode::from_u16(status).unwrap()));
        assert_eq!(
            (&body["error_code"], &body["message"]),
            (&error_code.into(), &"Some words".into()),
            "{status}"
        );
    }
    let limited = |seconds| Denial {
        code: None,
        retry_after: Some(seconds),
        ..Denial::new(StatusCode::TOO_MANY_REQUESTS, "", "Rate limit exceeded")
    };
    assert_eq!(body(&limited(7)), json!({"detail": "Rate limit exceeded"}));
    assert_eq!(denied(limited(7)).headers()["retry-after"], "7");
    assert_eq!(denied(limited(3000)).headers()["retry-after"], "60");
}

#[test]
fn what_leads_nowhere_belongs_to_mlflow_if_its_client_may_have_asked() {
    let mlflow = mlflow(false);
    for (path, expected) in [
        ("/api/2.0/mlflow/nothing", true),
        ("/api/2.0/mlflow-artifacts/artifacts/a%5Cb", true),
        ("/mlflow//nothing", true),
        ("/version", true),
        ("//api/2.0/mlflow/nothing", false),
        ("/predict", false),
    ] {
        assert_eq!(mlflow.owns(path), expected, "{path}");
    }
}
