"""Models at the gateway, and what becomes of strange names and answers."""

from __future__ import annotations

import json

import hokusai
import pytest
from hokusai import AuthAdmin, HokusaiClient, ModelRegistry
from wheel import Platform, tell

NAMES = ["Quotes ' and \"", "Emoji 🚀", "a?b=c&d#e", "a+b c"]
WRITER = {"scopes": ["model:write"], "service_id": "platform"}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_any_name_is_registered_and_found(person: Platform, name: str) -> None:
    registry = ModelRegistry(api_key=AuthAdmin().create_key("writer", **WRITER).api_key)
    made = registry.register_model(name, "of_names", description="as it is", tags={"a": "b"})
    version = registry.register_version(name, source="s3://models/1")
    assert (made.name, made.latest_version, version.version) == (name, None, 1)
    found = HokusaiClient().get_model(name)
    assert (found.name, found.tags, [v.source for v in found.versions]) == (name, {"a": "b"}, ["s3://models/1"])
    assert found.created_at.tzinfo is not None
    assert name in [model.name for model in registry.list_models_by_type("of_names")]


@pytest.mark.parametrize("name", ["a/b", "..", "", "a\nb", "%2e", "x" * 101])
def test_what_is_no_name_is_told_before_anybody_is_asked(person: Platform, name: str) -> None:
    with pytest.raises(hokusai.InvalidRequestError) as caught:
        HokusaiClient().get_model(name)
    assert caught.value.errors[0][0] == "name" and caught.value.status is None


@pytest.mark.parametrize("name", [None, b"name", 7])
def test_a_name_is_a_text(person: Platform, name: object) -> None:
    with pytest.raises(TypeError, match="name must be a str"):
        HokusaiClient().get_model(name)


def test_errors_say_what_and_which_request(person: Platform) -> None:
    with pytest.raises(hokusai.NotFoundError) as caught:
        HokusaiClient().get_model("Nobody's")
    assert caught.value.status == 404 and caught.value.request_id
    reader = AuthAdmin().create_key("reader", scopes=["model:read"]).api_key
    with pytest.raises(hokusai.AuthorizationError) as caught:
        ModelRegistry(api_key=reader).register_model("Mine", "test")
    assert (caught.value.status, caught.value.code) == (403, "insufficient_scope")
    with pytest.raises(hokusai.AuthenticationError) as caught:
        HokusaiClient(api_key="hk_live_00000000000000000000000000000000").list_models()
    assert (caught.value.status, caught.value.code) == (401, "invalid_key")


def test_a_taken_name_is_a_conflict(person: Platform) -> None:
    registry = ModelRegistry(api_key=AuthAdmin().create_key("writer", **WRITER).api_key)
    registry.register_model("Taken", "test")
    with pytest.raises(hokusai.ConflictError) as caught:
        registry.register_model("Taken", "test")
    assert caught.value.code == "conflict"


def test_a_used_up_key_says_when_to_come_again(person: Platform) -> None:
    key = AuthAdmin().create_key("ten an hour", rate_limit_per_hour=10).api_key
    client = HokusaiClient(api_key=key)
    with pytest.raises(hokusai.RateLimitError) as caught:
        for _ in range(12):
            client.list_models()
    assert caught.value.status == 429 and 0 < caught.value.retry_after <= 3600


def test_lists_print_as_tables(person: Platform) -> None:
    AuthAdmin().create_model("Shown <b>", "of_tables", tags={"team": "growth"})
    models = ModelRegistry().list_models_by_type("of_tables")
    head, row = str(models).splitlines()
    assert head.split() == ["name", "model_type", "latest_version", "description", "tags", "updated_at"]
    assert row.startswith("Shown <b>  of_tables") and "team=growth" in row
    assert "<td>Shown &lt;b&gt;</td>" in models._repr_html_()
    assert "<th>name</th><td>Shown &lt;b&gt;</td>" in models[0]._repr_html_()
    assert repr(models).startswith("[Model(name='Shown <b>'")


def page(*names: str, cursor: str | None) -> bytes:
    time = "2026-01-01T00:00:00Z"
    model = {"model_type": "t", "description": "", "tags": {}, "latest_version": None, "created_by": "admin"}
    models = [{"name": name, **model, "created_at": time, "updated_at": time} for name in names]
    return json.dumps({"models": models, "next_cursor": cursor}).encode()


def test_pages_are_followed_to_the_end(person: Platform, somebody) -> None:
    asked: list[str] = []

    def answer(request) -> None:
        asked.append(request.path)
        tell(request, 200, page("a", cursor="b") if len(asked) == 1 else page("b", cursor=None))

    models = HokusaiClient(api_endpoint=somebody(answer)).list_models()
    assert [model.name for model in models] == ["a", "b"]
    assert "cursor=b" in asked[1]


def test_a_list_that_goes_round_in_circles_ends(person: Platform, somebody) -> None:
    url = somebody(lambda request: tell(request, 200, page("a", cursor="same")))
    with pytest.raises(hokusai.UnexpectedAnswerError):
        HokusaiClient(api_endpoint=url).list_models()


def test_a_page_that_ends_early_is_no_shorter_list(person: Platform, somebody) -> None:
    whole = page("a", "b", cursor=None)

    def answer(request) -> None:
        request.send_response(200)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(whole)))
        request.end_headers()
        request.wfile.write(whole[: len(whole) // 2])
        request.close_connection = True

    with pytest.raises(hokusai.ServiceUnavailableError) as caught:
        HokusaiClient(api_endpoint=somebody(answer)).list_models()
    assert caught.value.code == "connection_lost"


@pytest.mark.parametrize("status", [200, 404, 500, 502])
def test_html_is_never_taken_for_an_answer(person: Platform, somebody, status: int) -> None:
    url = somebody(lambda request: tell(request, status, b"<html>Hello</html>", content_type="text/html"))
    with pytest.raises((hokusai.UnexpectedAnswerError, hokusai.ServiceUnavailableError)) as caught:
        HokusaiClient(api_endpoint=url).list_models()
    assert caught.value.status == status


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"models": 1}', b"\xff", b"null"])
def test_what_is_no_list_of_models_is_told(person: Platform, somebody, body: bytes) -> None:
    url = somebody(lambda request: tell(request, 200, body))
    with pytest.raises(hokusai.UnexpectedAnswerError) as caught:
        HokusaiClient(api_endpoint=url).list_models()
    assert caught.value.code == "not_hokusai"


@pytest.mark.parametrize("limit", [0, -1, "x", 2.5])
def test_a_wrong_limit_is_no_crash(person: Platform, limit: object) -> None:
    if limit == 0:
        assert HokusaiClient().list_models(limit=limit) == []
    else:
        with pytest.raises(hokusai.InvalidRequestError, match="an argument"):
            HokusaiClient().list_models(limit=limit)


def test_mlflow_is_set_up_in_one_call(person: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    import hokusai.mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "before")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "before")
    hokusai.mlflow.configure()
    assert os.environ["MLFLOW_TRACKING_URI"] == person.gateway
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == person.key
    with pytest.raises(hokusai.ConfigurationError, match="plain http"):
        hokusai.mlflow.configure(api_endpoint="http://192.0.2.1")
