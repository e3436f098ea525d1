"""MLflow behind the gateway: its client works with a key as its token, and a key does what its scopes say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from conftest import PATIENCE_SECONDS, Service, Start, clock_at
from test_mlflow_routes import lines
from tracking import TrackingServer, client

PLENTY = 100_000
LARGE = 2 * 1024**3
DENIED = "Insufficient permissions for this operation: the key needs"


class Gateway:
    """`hokusai dev` in front of MLflow, and keys for it."""

    def __init__(self, start: Start, tracking: TrackingServer, directory: Path, *more: str, **variables: str) -> None:
        settings = f'[gateway]\nmlflow_url = "{tracking.url}"\n' + "".join(f"{line}\n" for line in more)
        (directory / "hokusai.toml").write_text(settings)
        both = ("--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0")
        self.service: Service = start("dev", *both, "--config", "hokusai.toml", **variables)
        self.url = self.service.gateway_url
        self._operator = (directory / ".hokusai-dev/admin-token").read_text().strip()

    def key(self, *scopes: str, limit: int = PLENTY) -> str:
        wish = {"name": "a key", "scopes": list(scopes), "rate_limit_per_hour": limit}
        return self.service.request("POST", "/api/v1/keys", bearer=self._operator, json=wish).json()["api_key"]

    def ask(self, method: str, path: str, key: str, **more: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=PATIENCE_SECONDS, **more)


@pytest.fixture
def gateway(start: Start, tracking: TrackingServer, tmp_path: Path) -> Gateway:
    return Gateway(start, tracking, tmp_path)


def test_the_client_needs_two_variables_and_a_key_that_reads_changes_nothing(gateway: Gateway) -> None:
    known = client("write.py", gateway.url, gateway.key("mlflow:access"))
    outcomes = client("read.py", gateway.url, gateway.key("mlflow:read"), json.dumps(known))
    assert len(outcomes) >= 30
    off = outcomes.pop("create_webhook")
    assert off == "ENDPOINT_NOT_FOUND: This part of MLflow is not passed on: mlflow_admin is off"
    for name, outcome in outcomes.items():
        assert f"{DENIED} mlflow:write" in outcome, f"{name}: {outcome}"


# What a key needs for each power: what will do, and what will not.
NEEDED = {
    "public": ({"predict"}, set()),
    "model-read": ({"mlflow:read", "mlflow:access", "model:read"}, {"mlflow:write", "model:write", "predict"}),
    "model-write": ({"mlflow:write", "mlflow:access", "model:write"}, {"mlflow:read", "model:read", None}),
    "read": ({"mlflow:read", "mlflow:access", None}, {"mlflow:write", "model:read", "model:write", "predict"}),
    "write": ({"mlflow:write", "mlflow:access"}, {"mlflow:read", "model:read", "model:write", None}),
    "upload": ({"mlflow:write", "mlflow:access"}, {"mlflow:read", "model:read", "model:write", None}),
    "graphql": ({"mlflow:read", "mlflow:access"}, {"mlflow:write", "model:read", "predict"}),
    "admin": ({"mlflow:admin"}, {"mlflow:access", "mlflow:write", "mlflow:read", None}),
}


def test_each_route_takes_the_keys_that_it_should(start: Start, tracking: TrackingServer, tmp_path: Path) -> None:
    gateway = Gateway(start, tracking, tmp_path, "mlflow_admin = true")
    scopes = {scope for good, bad in NEEDED.values() for scope in good | bad}
    keys = {scope: gateway.key(*([scope] if scope else [])) for scope in scopes}
    asked = 0
    with requests.Session() as session:
        for power, *methods, path in lines():
            for method in methods:
                for door in {"ajax-", ""} if "(ajax-)" in path else {""}:
                    url = gateway.url + re.sub(r"\{\w+(\.\.\.)?\}", "x", path.replace("(ajax-)", door))
                    for scope in NEEDED[power][1]:
                        answer = session.request(method, url, headers={"X-API-Key": keys[scope]})
                        assert answer.status_code == 403, f"{method} {url} with {scope}: {answer.text}"
                        asked += 1
                    if url != f"{gateway.url}/health" and url != f"{gateway.url}/version":
                        assert session.request(method, url).status_code == 401, f"{method} {url}"
    assert asked > 1000


def test_each_power_is_given_by_each_of_its_scopes(gateway: Gateway) -> None:
    graphql = {"json": {"query": "{ test(inputString: \"a\") { output } }"}}
    calls = {
        "public": ("GET", "/api/3.0/mlflow/server-info", {}),
        "model-read": ("GET", "/api/2.0/mlflow/registered-models/search", {}),
        "model-write": ("POST", "/api/2.0/mlflow/registered-models/create", {"json": {"name": ""}}),
        "read": ("POST", "/ajax-api/2.0/mlflow/runs/search", {"json": {"experiment_ids": []}}),
        "write": ("POST", "/api/2.0/mlflow/experiments/create", {"json": {"name": ""}}),
        "graphql": ("POST", "/graphql", graphql),
    }
    for power, (method, path, more) in calls.items():
        for scope in NEEDED[power][0]:
            answer = gateway.ask(method, path, gateway.key(*([scope] if scope else [])), **more)
            # MLflow's own answer: there can be no thing without a name.
            status, code = (400, "INVALID_PARAMETER_VALUE") if more.get("json") == {"name": ""} else (200, None)
            assert (answer.status_code, answer.json().get("error_code")) == (status, code), f"{power} {scope}"
            assert "code" not in answer.json()


def test_what_the_server_does_itself_is_off_and_then_needs_a_scope_of_its_own(
    start: Start, tracking: TrackingServer, tmp_path: Path
) -> None:
    path = "/api/2.0/mlflow/webhooks"
    gateway = Gateway(start, tracking, tmp_path)
    assert gateway.ask("GET", path, gateway.key("*")).status_code == 404
    gateway.service.stop()
    gateway = Gateway(start, tracking, tmp_path, "mlflow_admin = true")
    assert gateway.ask("GET", path, gateway.key("mlflow:admin")).status_code == 200
    refused = gateway.ask("GET", path, gateway.key("mlflow:*"))
    assert (refused.status_code, refused.json()["required_scope"]) == (403, "mlflow:admin")


def test_all_of_it_is_below_two_prefixes_as_well_and_nothing_else_is(gateway: Gateway) -> None:
    key = gateway.key("mlflow:access")
    for prefix in ["", "/mlflow", "/api/mlflow"]:
        assert gateway.ask("GET", f"{prefix}/version", key).text == "3.17.2"
        page = gateway.ask("GET", f"{prefix}/", key)
        assert "<title>MLflow</title>" in page.text
        script = re.search(r'src="(?:\./)?(static-files/[^"]+\.js)"', page.text)
        assert script and gateway.ask("GET", f"{prefix}/{script[1]}", key).ok
        assert client("ask.py", gateway.url + prefix, key, "1")["took"]
    for path in ["/api/2.0/mlflow/users/get", "/mlflow/signup", "/ajax-api/2.0/x", "/graphql/x", "/mlflow/nothing"]:
        refused = gateway.ask("GET", path, key)
        assert (refused.status_code, refused.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND"), path
    refused = gateway.ask("GET", "/api/2.0/mlflow-artifacts/artifacts/a%5Cb", key).json()
    assert (refused["error_code"], refused["message"]) == ("BAD_REQUEST", refused["detail"])
    assert "error_code" not in gateway.ask("GET", "/nothing", key).json()
    own = requests.get(f"{gateway.url}/version", timeout=PATIENCE_SECONDS).json()
    assert set(own) == {"version", "commit"}


def test_a_page_of_another_origin_gets_nothing_and_one_of_our_own_may_write(gateway: Gateway) -> None:
    key = gateway.key("mlflow:access")
    path = "/ajax-api/2.0/mlflow/experiments/create"
    headers = {"Origin": "https://api.example.com"}
    created = gateway.ask("POST", path, key, headers=headers, json={"name": "From the web page"})
    assert created.ok and "access-control-allow-origin" not in created.headers
    assert gateway.ask("OPTIONS", path, key, headers=headers).status_code == 405


def test_the_registry_is_the_catalogue_of_models(gateway: Gateway) -> None:
    writer, reader = gateway.key("model:write"), gateway.key("predict")

    def models(query: str = "") -> dict:
        return gateway.ask("GET", f"/v1/models{query}", reader).json()

    def names(query: str) -> list[str]:
        return [model["name"] for model in models(query)["models"]]

    model = {"name": "Churn \u2603 'x'", "model_type": "churn", "description": "Who leaves.", "tags": {"team": "a'b"}}
    made = gateway.ask("POST", "/v1/models", writer, json=model)
    assert (made.status_code, made.json()["created_by"], made.json()["latest_version"]) == (201, "admin", None)
    assert model.items() <= made.json().items()
    assert gateway.ask("POST", "/v1/models", writer, json=model).status_code == 409
    assert gateway.ask("POST", "/v1/models", reader, json=model).status_code == 403
    assert gateway.ask("POST", "/v1/models", writer, json=model | {"name": "a/b"}).status_code == 422
    one = "/v1/models/Churn%20%E2%98%83%20'x'"
    for number in [1, 2, 3]:
        version = gateway.ask("POST", f"{one}/versions", writer, json={"source": f"s3://models/{number}"})
        assert (version.status_code, version.json()["version"]) == (201, number), version.text
    assert gateway.ask("POST", f"{one}/versions", writer, json={}).status_code == 422
    assert gateway.ask("POST", "/v1/models/nothing/versions", writer, json={"source": "s3://a"}).status_code == 404

    known = client("registry.py", gateway.url, gateway.key("model:read", "model:write"), model["name"])
    assert known == {"model_type": "churn", "team": "a'b", "hokusai.created_by": "admin", "versions": [1, 2, 3]}
    shown = gateway.ask("GET", f"{one}?limit=2", reader).json()
    assert (shown["latest_version"], [version["version"] for version in shown["versions"]]) == (3, [3, 2])
    rest = gateway.ask("GET", f"{one}?limit=2&cursor={quote(shown['next_cursor'])}", reader).json()
    assert ([version["version"] for version in rest["versions"]], rest["next_cursor"]) == ([1], None)
    # MLflow's client made one without a type that is called `churn`, one with that type, and a prompt.
    assert names("?model_type=churn") == ["churn", "A churner", model["name"]]
    first = models("?model_type=churn&limit=1")
    second = models(f"?model_type=churn&limit=1&cursor={quote(first['next_cursor'])}")
    third = models(f"?model_type=churn&limit=1&cursor={quote(second['next_cursor'])}")
    found = [page["models"][0]["name"] for page in [first, second, third]]
    assert (found, third["next_cursor"]) == (["churn", "A churner", model["name"]], None)
    assert models("?model_type=churn")["models"][0]["model_type"] == "churn"
    assert names("?tag=team:a'b") == [model["name"]]
    assert names("?model_type=churn&tag=team:a'b") == [model["name"]]
    assert names("?model_type=nothing") == []
    assert "a_prompt" not in names("?limit=1000") and model["name"] in names("?limit=1000")
    prompts = gateway.ask("GET", "/v1/models?tag=mlflow.prompt.is_prompt:true", reader)
    assert (prompts.status_code, prompts.json()["errors"][0]["field"]) == (422, "tag")
    for path, status in [("/a_prompt", 404), ("/nothing", 404), ("?limit=0", 422), ("?tag=a", 422)]:
        assert gateway.ask("GET", f"/v1/models{path}", reader).status_code == status, path


def test_graphql_passes_what_it_is_known_to_read(gateway: Gateway) -> None:
    key = gateway.key("mlflow:read")

    def ask(document: str) -> tuple[int, object]:
        answer = gateway.ask("POST", "/graphql", key, json={"query": document, "operationName": None})
        return answer.status_code, answer.json().get("data") or answer.json().get("code")

    assert ask('query Q { a: test(inputString: "b") { output } }') == (200, {"a": {"output": "b"}})
    assert ask('mutation M { testMutation(inputString: "b") { output } }')[0] == 200
    assert ask("{ mlflowDeleteRun { x } }") == (403, "graphql_field_refused")
    assert ask("{ ... on Query { test { output } } }") == (400, "graphql_not_understood")
    assert ask("{ test { output } " * 10) == (400, "graphql_not_understood")
    large = gateway.ask("POST", "/graphql", key, data=b" " * 300_000)
    assert large.status_code == 413


def test_no_other_body_may_be_large(gateway: Gateway) -> None:
    """MLflow keeps them in memory as a whole."""

    def large() -> Iterator[bytes]:
        for _ in range(101):
            yield bytes(1024**2)

    key = gateway.key("mlflow:access")
    for path in ["/api/2.0/mlflow/runs/search", "/api/2.0/mlflow/experiments/create", "/v1/traces"]:
        headers = {"Content-Type": "application/json", "X-MLflow-Experiment-Id": "0"}
        answer = gateway.ask("POST", path, key, data=large(), headers=headers)
        assert (answer.status_code, "body_too_large" in answer.text) == (413, True), f"{path}: {answer.text[:300]}"


def test_a_large_artifact_passes_in_little_memory(gateway: Gateway) -> None:
    key = gateway.key("mlflow:access")
    client("ask.py", gateway.url, key, "1")
    before = gateway.service.most_memory
    took = client("artifact.py", gateway.url, key, str(LARGE), timeout=300)
    grown = gateway.service.most_memory - before
    print(f"2 GB: {took}, {before / 1e6:.1f} MB before, {grown / 1e6:.1f} MB more")
    assert grown < 32 * 1024**2


def test_the_client_waits_until_the_hour_turns_and_goes_on(
    start: Start, tracking: TrackingServer, tmp_path: Path, faketime_library: str
) -> None:
    """The gateway and the service are less than a minute before the hour; the client has its own clock."""
    gateway = Gateway(start, tracking, tmp_path, **clock_at(faketime_library, "2031-05-06 10:59:20"))
    key = gateway.key("mlflow:read", limit=10)
    use_up(gateway, key)
    took = client("ask.py", gateway.url, key, "5")["took"]
    assert len(took) == 5
    assert 1 < took[0] < 60, took


def test_nobody_is_told_to_wait_for_longer_than_a_minute(
    start: Start, tracking: TrackingServer, tmp_path: Path, faketime_library: str
) -> None:
    gateway = Gateway(start, tracking, tmp_path, **clock_at(faketime_library, "2031-05-06 10:30:00"))
    key = gateway.key("mlflow:read", limit=10)
    answer = use_up(gateway, key)
    assert (answer.json(), answer.headers["Retry-After"]) == ({"detail": "Rate limit exceeded"}, "60")
    # In front of everything else, the whole time is said.
    left = int(gateway.ask("GET", "/v1/models", key).headers["Retry-After"])
    assert 1200 < left <= 1800


def use_up(gateway: Gateway, key: str) -> requests.Response:
    """Asks until no more is let through; the answer that says so."""
    path = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
    for passed in range(11):
        answer = gateway.ask("GET", path, key)
        if answer.status_code == 429:
            assert passed == 10
            return answer
    raise AssertionError("the limit is not kept")
