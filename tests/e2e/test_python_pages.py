"""The examples of the pages on Python, run as they stand, with only host and key put in."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from documents import blocks
from hokusai import AuthAdmin
from test_python_services import ask, serving
from wheel import Platform, run_python

CLIENTS = ROOT / "docs/python.md"
KEYS = ROOT / "docs/python-keys.md"
SERVICES = ROOT / "docs/python-services.md"
README = ROOT / "crates/python/README.md"
EXAMPLES = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in (README, CLIENTS, KEYS)
    for number, block in enumerate(blocks(page, "python"))
]
SAMPLE_KEY = re.compile(r"hk_live_your_api_key_here|hk_test_\w{32}")


@pytest.mark.parametrize("block", EXAMPLES)
def test_an_example_runs(person: Platform, tmp_path: Path, block: str) -> None:
    key = AuthAdmin().create_key("of an example", scopes=["model:write", "model:read"]).api_key
    variables = {**person.variables, "HOKUSAI_API_KEY": key, "HOKUSAI_ADMIN_TOKEN": person.token}
    done = run_python(sys.executable, SAMPLE_KEY.sub(key, block), variables, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_examples_of_services_let_a_good_key_through(person: Platform, tmp_path: Path) -> None:
    key = AuthAdmin().create_key("p", service_id="prediction", scopes=["predict"]).api_key
    dependency, whole, middleware, own = blocks(SERVICES, "python")
    answer = {"item": "one", "for": "admin", "left_this_hour": 999}
    for program, answers, code in [
        (dependency, answer, None),
        (middleware, {"item": "one", "for": "admin"}, "missing_key"),
        (whole.replace("app = FastAPI()\n", dependency), {**answer, "left_this_hour": 997}, "missing_key"),
    ]:
        with serving(program, person, tmp_path) as url:
            assert ask(url, key).json() == answers
            refused = ask(url)
            assert (refused.status_code, refused.json().get("code")) == (401, code)
    variables = {**person.variables, "HOKUSAI_SERVICE_TOKEN": person.service_token}
    done = run_python(sys.executable, SAMPLE_KEY.sub(key, own), variables, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
