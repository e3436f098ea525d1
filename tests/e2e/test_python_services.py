"""Services in Python that need a key: by the ASGI middleware, and by FastAPI's dependency."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hokusai
import pytest
import requests
from conftest import PATIENCE_SECONDS
from hokusai import AuthAdmin
from hokusai.verifier import Verifier
from wheel import Platform

FASTAPI = """
from fastapi import Depends, FastAPI, Request
from hokusai.asgi import ReportUsage
from hokusai.fastapi import require_api_key
from hokusai.verifier import Admitted

app = FastAPI()
app.add_middleware(ReportUsage)
who = require_api_key(scope="predict", service_id="prediction")

@app.get("/health")
def health() -> str:
    return "fine"

@app.get("/predict/{what}")
async def predict(what: str, admitted: Admitted = Depends(who)) -> dict[str, object]:
    return {"user_id": admitted.user_id, "remaining": admitted.remaining, "key_id": admitted.key_id}
"""
MIDDLEWARE = """
from fastapi import FastAPI, HTTPException, Request
from hokusai.asgi import HokusaiMiddleware

app = FastAPI()
app.add_middleware(HokusaiMiddleware, service_id="prediction", scope="predict", open_paths=["/health"])

@app.get("/health")
def health() -> str:
    return "fine"

@app.get("/predict/{what}")
async def predict(what: str, request: Request) -> dict[str, object]:
    admitted = request.scope["hokusai.admitted"]
    assert "authorization" not in request.headers and "x-api-key" not in request.headers
    return {"user_id": admitted.user_id, "remaining": admitted.remaining, "key_id": admitted.key_id}

@app.get("/fails")
async def fails() -> None:
    raise RuntimeError("as it was asked to")

@app.get("/refuses")
async def refuses() -> None:
    raise HTTPException(502, "as it was asked to")
"""


@contextmanager
def serving(
    program: str, platform: Platform, directory: Path, *command: str, **variables: str
) -> Iterator[str]:
    """Serves a program by uvicorn, or by another command."""
    (directory / "program.py").write_text(program)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    words = command or ("uvicorn", "program:app", "--port", "PORT", "--no-access-log")
    words = [word.replace("PORT", str(port)) for word in words]
    own = {**platform.variables, "HOKUSAI_SERVICE_TOKEN": platform.service_token, **variables}
    process = subprocess.Popen([sys.executable, "-m", *words], cwd=directory, env=own)
    url = f"http://127.0.0.1:{port}"
    try:
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert process.poll() is None and time.monotonic() < ends, "the program does not come up"
            try:
                requests.get(f"{url}/health", timeout=1)
                break
            except requests.RequestException:
                time.sleep(0.02)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


def ask(url: str, key: str | None = None, path: str = "/predict/one") -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return requests.get(url + path, headers=headers, timeout=PATIENCE_SECONDS)


def predictor(**more: object) -> hokusai.keys.CreatedKey:
    return AuthAdmin().create_key("predictor", **{"service_id": "prediction", "scopes": ["predict"], **more})


def soon(fact: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not fact():
        assert time.monotonic() < ends, "it does not come true"
        time.sleep(0.02)


@pytest.mark.parametrize("program", [FASTAPI, MIDDLEWARE], ids=["dependency", "middleware"])
def test_a_request_needs_a_good_key(person: Platform, tmp_path: Path, program: str) -> None:
    made, ten = predictor(), predictor(rate_limit_per_hour=10)
    stranger = AuthAdmin().create_key("stranger", service_id="prediction", scopes=["other"])
    with serving(program, person, tmp_path) as url:
        assert ask(url, path="/health").text == '"fine"'
        passed = ask(url, made.api_key)
        assert passed.json() == {"user_id": "admin", "remaining": 999, "key_id": made.key_id}
        nobody = ask(url)
        assert (nobody.status_code, nobody.json()["detail"]) == (401, "API key required")
        assert nobody.headers["www-authenticate"] == "Bearer"
        assert ask(url, "hk_live_00000000000000000000000000000000").status_code == 401
        assert ask(url, stranger.api_key).status_code == 403
        two = {"Authorization": f"Bearer {made.api_key}", "X-API-Key": ten.api_key}
        assert requests.get(f"{url}/predict/one", headers=two, timeout=PATIENCE_SECONDS).status_code == 400

        statuses = [ask(url, ten.api_key).status_code for _ in range(12)]
        assert statuses == [200] * 10 + [429] * 2
        assert 0 < int(ask(url, ten.api_key).headers["retry-after"]) <= 3600

        AuthAdmin().revoke_key(made.key_id)
        soon(lambda: ask(url, made.api_key).status_code == 401)


def test_the_whole_answer_is_given_where_it_is_asked_for(person: Platform, tmp_path: Path) -> None:
    program = FASTAPI + """
from hokusai.fastapi import KeyRefusedError, answer_refused
app.add_exception_handler(KeyRefusedError, answer_refused)
"""
    with serving(program, person, tmp_path) as url:
        assert ask(url).json() == {"detail": "API key required", "code": "missing_key"}


@pytest.mark.parametrize("program", [FASTAPI, MIDDLEWARE], ids=["dependency", "middleware"])
def test_requests_are_reported_once_they_are_answered(person: Platform, tmp_path: Path, program: str) -> None:
    made = predictor()
    with serving(program, person, tmp_path) as url:
        for _ in range(3):
            assert ask(url, made.api_key).ok
    # The end of the process sent what was not sent before.
    stats = AuthAdmin().usage_stats(made.key_id)
    assert (stats.total_requests, stats.error_rate) == (3, 0)
    assert [(top.endpoint, top.count) for top in stats.top_endpoints] == [("/predict/{what}", 3)]


@pytest.mark.parametrize(("path", "status"), [("/fails", 500), ("/refuses", 502)])
def test_a_request_that_fails_is_reported_as_failed(
    person: Platform, tmp_path: Path, path: str, status: int
) -> None:
    made = predictor()
    with serving(MIDDLEWARE, person, tmp_path) as url:
        assert ask(url, made.api_key, path).status_code == status
    assert AuthAdmin().usage_stats(made.key_id).error_rate == 1


def test_a_service_that_is_away_is_no_bad_key(person: Platform, tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with serving(FASTAPI, person, tmp_path, HOKUSAI_AUTH_SERVICE_URL=url) as served:
            answer = ask(served, person.key)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("more", [(), ("--preload",)], ids=["after", "before"])
def test_the_workers_of_gunicorn_share_a_limit(person: Platform, tmp_path: Path, more: tuple[str, ...]) -> None:
    ten = predictor(rate_limit_per_hour=10)
    command = ["gunicorn", "program:app", "-k", "uvicorn_worker.UvicornWorker", "-w", "3", "-b", "127.0.0.1:PORT"]
    program = MIDDLEWARE + f"""
import os
@app.get("/process")
async def process() -> int:
    return os.getpid()
# What was used before the fork.
from hokusai import HokusaiClient
HokusaiClient(api_key="{person.key}").list_models()
"""
    with serving(program, person, tmp_path, *command, *more) as url:
        answers = [ask(url, ten.api_key).status_code for _ in range(30)]
        everybody = predictor(rate_limit_per_hour=1000).api_key
        soon(lambda: len({ask(url, everybody, "/process").json() for _ in range(20)}) > 1)
    assert answers.count(200) == 10 and answers.count(429) == 20


def test_a_verifier_without_a_framework(person: Platform) -> None:
    made = predictor(rate_limit_per_hour=10)
    verifier = Verifier(person.url, person.service_token)
    demand = {"service_id": "prediction", "scope": "predict"}
    assert verifier.admit(f" {made.api_key}\n", **demand).remaining == 9
    assert asyncio.run(verifier.admit_async(made.api_key, **demand)).remaining == 8
    for wrong, error in [
        ({"scope": "other"}, hokusai.AuthorizationError),
        ({"service_id": "platform"}, hokusai.AuthenticationError),
    ]:
        with pytest.raises(error) as caught:
            verifier.admit(made.api_key, **wrong)
        assert caught.value.code
    with pytest.raises(hokusai.RateLimitError) as caught:
        for _ in range(9):
            verifier.admit(made.api_key)
    assert caught.value.retry_after
    assert "hokusai_verifier_hits_total" in verifier.metrics()
    verifier.stop()
    with pytest.raises(hokusai.HokusaiAuthError, match="stopped"):
        verifier.admit(made.api_key)


def test_threads_together_pass_no_limit(person: Platform) -> None:
    made = predictor(rate_limit_per_hour=100)
    verifier = Verifier(person.url, person.service_token)
    admitted = []

    def try_often() -> None:
        for _ in range(10):
            try:
                admitted.append(verifier.admit(made.api_key))
            except hokusai.RateLimitError:
                pass

    threads = [threading.Thread(target=try_often) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verifier.stop()
    assert len(admitted) == 100


def test_a_forked_process_has_a_verifier_of_its_own(person: Platform, tmp_path: Path) -> None:
    made = predictor()
    verifier = Verifier(person.url, person.service_token, journal=tmp_path / "journal")
    assert verifier.admit(made.api_key).remaining == 999
    forked = os.fork()
    if forked == 0:
        status = 1
        try:
            status = 0 if verifier.admit(made.api_key).remaining < 999 else 2
            verifier.stop()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0
    assert verifier.admit(made.api_key).key_id == made.key_id
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == ["0", "1"]
    verifier.stop()


def test_a_missing_service_token_is_told(person: Platform) -> None:
    with pytest.raises(hokusai.AuthenticationError, match="HOKUSAI_SERVICE_TOKEN is not set"):
        Verifier()
    with pytest.raises(hokusai.ConfigurationError):
        Verifier("not a url", person.service_token)


def test_a_websocket_without_a_key_is_refused(person: Platform) -> None:
    from hokusai.asgi import HokusaiMiddleware

    sent = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def unreachable(*_: object) -> None:
        raise AssertionError("nobody was admitted")

    verifier = Verifier(person.url, person.service_token)
    scope = {"type": "websocket", "path": "/", "headers": [], "client": None}
    asyncio.run(HokusaiMiddleware(unreachable, verifier)(scope, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "API key required"}]
    sent.clear()
    scope["extensions"] = {"websocket.http.response": {}}
    asyncio.run(HokusaiMiddleware(unreachable, verifier)(scope, receive, send))
    assert sent[0]["status"] == 401 and b"missing_key" in sent[1]["body"]
    verifier.stop()
