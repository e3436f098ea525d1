"""The gateway: its page is run as it stands, and the guide's ways to send a key work."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from conftest import BINARY, PATIENCE_SECONDS, ROOT, Service, Start, run
from documents import blocks
from tracking import free_port

GATEWAY = ROOT / "docs/gateway.md"
# How the guide says that a key is sent; host and key are put in.
FORMS = [
    'curl {host}/v1/models -H "Authorization: Bearer {key}"',
    'curl {host}/v1/models -H "X-API-Key: {key}"',
    'curl "{host}/v1/models?api_key={key}"',
]


def shell(lines: str, directory: Path) -> str:
    variables = {"PATH": f"{BINARY.parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(directory)}
    done = subprocess.run(
        ["bash", "-euc", lines],
        cwd=directory,
        env=variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[int]:
    """The model server of the page, on a port of its own."""
    port = free_port()
    (echo,) = blocks(GATEWAY, "python")
    process = subprocess.Popen(
        [sys.executable, "-c", echo.replace("9000", str(port))], stderr=subprocess.DEVNULL, cwd=tmp_path
    )
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.01)
    yield port
    process.kill()
    process.wait()


def dev(start: Start, *more: str) -> Service:
    return start("dev", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0", *more)


def test_a_service_is_protected_by_the_lines_of_the_page(start: Start, upstream: int, tmp_path: Path) -> None:
    routes, _ = blocks(GATEWAY, "toml")
    (tmp_path / "hokusai.toml").write_text(routes.replace("9000", str(upstream)))
    check, together, use, without, operators, models = blocks(GATEWAY, "bash")
    assert "/predict" in shell(check, tmp_path)
    words = shlex.split(together)
    assert words[:2] == ["hokusai", "dev"]
    service = dev(start, *words[2:])

    def here(lines: str) -> str:
        return lines.replace("http://127.0.0.1:4658", service.url).replace(
            "http://127.0.0.1:4659", service.gateway_url
        )

    (answered,) = blocks(GATEWAY, "text")
    assert shell(here(use), tmp_path) == answered
    refused, *_ = blocks(GATEWAY, "json")
    assert json.loads(shell(here(without), tmp_path)) == json.loads(refused)
    shown = shell(here(use + models), tmp_path).removeprefix(answered)
    assert json.loads(shown) == {"models": [], "next_cursor": None}
    shell(here(use + operators), tmp_path)


def test_a_key_is_sent_as_the_guide_says(start: Start, tmp_path: Path) -> None:
    service = dev(start)
    operator = (tmp_path / ".hokusai-dev/admin-token").read_text().strip()
    wish = {"name": "My First Key", "service_id": "prediction", "scopes": ["predict"], "environment": "test"}
    key = service.request("POST", "/api/v1/keys", bearer=operator, json=wish).json()["api_key"]
    for form in FORMS:
        shown = shell(form.format(host=service.gateway_url, key=key), tmp_path)
        assert json.loads(shown)["models"] == [], form
    assert key not in service.output
    nobody = requests.get(f"{service.gateway_url}/v1/models", timeout=PATIENCE_SECONDS)
    assert (nobody.status_code, nobody.json()["detail"]) == (401, "API key required")
    wrong = requests.get(
        f"{service.gateway_url}/v1/models", headers={"X-API-Key": key[:-1] + "!"}, timeout=PATIENCE_SECONDS
    )
    assert (wrong.status_code, wrong.json()["detail"]) == (401, "Invalid API key")


def test_a_key_past_its_limit_is_told_so(start: Start, tmp_path: Path) -> None:
    service = dev(start)
    operator = (tmp_path / ".hokusai-dev/admin-token").read_text().strip()
    wish = {"name": "Ten", "rate_limit_per_hour": 10}
    key = service.request("POST", "/api/v1/keys", bearer=operator, json=wish).json()["api_key"]
    by_hour: dict[str, list[int]] = {}
    with requests.Session() as session:
        session.headers["X-API-Key"] = key
        while (answer := session.get(f"{service.gateway_url}/v1/models", timeout=PATIENCE_SECONDS)).ok:
            by_hour.setdefault(answer.headers["X-RateLimit-Reset"], []).append(answer.status_code)
            assert sum(map(len, by_hour.values())) <= 20
    assert (answer.status_code, answer.json()) == (429, {"detail": "Rate limit exceeded"})
    assert 1 <= int(answer.headers["Retry-After"]) <= 3600
    assert len(by_hour[max(by_hour)]) == 10


def test_models_are_added_with_a_key_that_may_write(start: Start, tmp_path: Path) -> None:
    service = dev(start)
    operator = (tmp_path / ".hokusai-dev/admin-token").read_text().strip()

    def key_with(*scopes: str) -> dict[str, str]:
        wish = {"name": "a key", "scopes": list(scopes)}
        return {"X-API-Key": service.request("POST", "/api/v1/keys", bearer=operator, json=wish).json()["api_key"]}

    writer, reader, nothing = key_with("model:write"), key_with("model:read"), key_with()
    models, model = f"{service.gateway_url}/v1/models", {"name": "Leads \u2603", "model_type": "lead_scoring"}

    def ask(method: str, url: str, headers: dict[str, str], **more: object) -> tuple[int, dict]:
        answer = requests.request(method, url, headers=headers, timeout=PATIENCE_SECONDS, **more)
        return answer.status_code, answer.json()

    for headers in [reader, nothing]:
        status, refused = ask("POST", models, headers, json=model)
        assert (status, refused["required_scope"]) == (403, "model:write")
    status, created = ask("POST", models, writer, json=model)
    assert (status, created["name"], created["created_by"]) == (201, "Leads \u2603", "admin")
    assert ask("POST", models, writer, json=model)[0] == 409
    assert ask("POST", models, writer, json=model | {"name": "x", "user_id": "somebody else"})[0] == 422
    assert ask("POST", models, writer, json=model | {"name": "x", "owner": "me"})[0] == 422
    one = f"{models}/Leads%20%E2%98%83"
    assert ask("POST", f"{one}/versions", writer, json={"source": "s3://here"})[1]["version"] == 1
    status, shown = ask("GET", one, nothing)
    assert (status, shown["latest_version"], shown["versions"][0]["source"]) == (200, 1, "s3://here")
    assert [found["name"] for found in ask("GET", f"{models}?model_type=lead_scoring", reader)[1]["models"]] == [
        "Leads \u2603"
    ]
    assert ask("GET", f"{models}?model_type=other", reader)[1]["models"] == []
    assert ask("GET", f"{models}?modeltype=other", reader)[0] == 422
    assert ask("GET", f"{models}/nothing", reader)[0] == 404


def test_the_settings_in_the_page_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| `(\S+)` \| `(\S+)` \|", GATEWAY.read_text(), re.MULTILINE)
    for name, flag, variable in rows:
        assert (flag, variable) == ("--" + name.replace("_", "-"), "HOKUSAI_GATEWAY_" + name.upper())
    flags = set(re.findall(r"^ +(--[a-z-]+)", run("gateway", "--help").stdout, re.MULTILINE))
    assert {flag for _, flag, _ in rows} == flags - {"--help", "--version", "--config", "--check"}
