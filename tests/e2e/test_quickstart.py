"""The quickstart, run literally: its blocks, with only host, token and key put in."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from conftest import PATIENCE_SECONDS, ROOT, Service, Start
from documents import blocks

QUICKSTART = ROOT / "docs/quickstart.md"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?Z"

# What the published quickstart shows; a pattern stands where each answer has its own text.
CREATED = {
    "api_key": re.compile(r"hk_test_[0-9A-Za-z]{32}"),
    "key_info": {
        "key_id": re.compile(UUID),
        "name": "My First Key",
        "key_prefix": re.compile(r"hk_test_[0-9A-Za-z]{3}\*\*\*"),
        "service_id": "prediction",
        "scopes": ["predict"],
        "environment": "test",
        "is_active": True,
        "rate_limit_per_hour": 1000,
        "created_at": re.compile(TIME),
    },
}
VALIDATED = {
    "is_valid": True,
    "key_id": re.compile(UUID),
    "user_id": "admin",
    "service_id": "prediction",
    "scopes": ["predict"],
    "rate_limit_per_hour": 1000,
    "billing_plan": "free",
}


@pytest.fixture
def dev(start: Start) -> Service:
    return start("dev", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0")


def test_curl_creates_and_validates_a_key(dev: Service) -> None:
    _, create, validate, use = blocks(QUICKSTART, "bash")
    created = json.loads(execute(["bash", "-euc", filled_in(create, dev)]))
    assert_shows(created, CREATED)
    assert created["key_info"]["key_prefix"][:11] == created["api_key"][:11]

    validated = json.loads(execute(["bash", "-euc", filled_in(validate, dev, created["api_key"])]))
    assert_shows(validated, VALIDATED)
    assert validated["key_id"] == created["key_info"]["key_id"]

    models = json.loads(execute(["bash", "-euc", filled_in(use, dev, created["api_key"])]))
    assert models == {"models": [], "next_cursor": None}


def test_python_creates_and_validates_a_key(dev: Service) -> None:
    create, validate = blocks(QUICKSTART, "python")
    # The second block goes on from the first, and the key is known only once that has run.
    key = re.search(r"hk_test_\w{32}", validate)[0]
    script = "\n".join([
        filled_in(create, dev),
        f"block = {filled_in(validate, dev)!r}.replace({key!r}, api_key)",
        "exec(block)",
        "import json",
        "print(json.dumps([data, result]))",
    ])
    lines = execute([sys.executable, "-c", script]).splitlines()
    created, validated = json.loads(lines[-1])
    assert_shows(created, CREATED)
    assert_shows(validated, VALIDATED)
    assert lines[:-1] == [f"Your API key: {created['api_key']}", "Valid: True", "Scopes: ['predict']"]


def test_the_answers_in_the_document_are_whole(dev: Service) -> None:
    shown_created, shown_validated, shown_models = (json.loads(block) for block in blocks(QUICKSTART, "json"))
    _, create, validate, use = blocks(QUICKSTART, "bash")
    created = json.loads(execute(["bash", "-euc", filled_in(create, dev)]))
    validated = json.loads(execute(["bash", "-euc", filled_in(validate, dev, created["api_key"])]))
    assert form(created) == form(shown_created)
    models = json.loads(execute(["bash", "-euc", filled_in(use, dev, created["api_key"])]))
    assert form(validated) == form(shown_validated)
    assert models == shown_models


def filled_in(block: str, dev: Service, key: str | None = None) -> str:
    token = dev.wait_for(r"export HOKUSAI_ADMIN_TOKEN=(\S+)\n")
    block = block.replace("http://127.0.0.1:4658", dev.url)
    block = block.replace("http://127.0.0.1:4659", dev.gateway_url).replace("YOUR_ADMIN_TOKEN", token)
    return re.sub(r"hk_test_\w{32}", key, block) if key else block


def execute(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_shows(answer: dict, shape: dict) -> None:
    """Every field of the shape is there, with its value or a text of its form."""
    for name, wanted in shape.items():
        assert name in answer, f"{name} is missing"
        if isinstance(wanted, dict):
            assert_shows(answer[name], wanted)
        elif isinstance(wanted, re.Pattern):
            assert wanted.fullmatch(answer[name]), f"{name} is {answer[name]!r}"
        else:
            assert answer[name] == wanted and type(answer[name]) is type(wanted), f"{name} is {answer[name]!r}"


def form(value: object) -> object:
    """A value with what differs from answer to answer left out: names and kinds stay, in their order."""
    if isinstance(value, dict):
        return [(name, form(field)) for name, field in value.items()]
    if isinstance(value, list):
        return [form(item) for item in value]
    return type(value).__name__
