"""The table of MLflow's routes is that of the installed server: a new version can't open a hole unseen."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from conftest import ROOT
from tracking import OWN, QUIET

TABLE = ROOT / "crates/gateway/src/mlflow/routes.txt"
PROGRAM = Path(__file__).parent / "mlflow_routes.py"
READS = {"public", "model-read", "read", "graphql"}
# How the names of MLflow's own checks begin, of calls that change nothing.
READING = re.compile(r"_?(validate_can|allow)_(read|view|get|search|list|query|batch_get|authenticated)(_|$)")


@cache
def installed() -> dict:
    settings = OWN | QUIET | {"MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test"}
    done = subprocess.run(
        [sys.executable, str(PROGRAM)], env=settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@cache
def table() -> dict[tuple[str, str], str]:
    """The power of each method on each path, with placeholders that have no name."""
    powers: dict[tuple[str, str], str] = {}
    for power, *methods, path in lines():
        if methods:
            shape = re.sub(r"\{\w+(\.\.\.)?\}", lambda found: "{" + (found[1] or "") + "}", path)
            for each in [shape.replace("(ajax-)", ""), shape.replace("(ajax-)", "ajax-")]:
                for method in methods:
                    assert powers.setdefault((method, each), power) == power, f"{method} {each} stands twice"
    return powers


def lines() -> list[list[str]]:
    return [line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]


def test_the_table_has_every_route_of_the_server_and_no_other() -> None:
    # HEAD goes with GET, and OPTIONS is never passed on.
    registered = {(method, path) for method, path in installed()["routes"] if method not in {"HEAD", "OPTIONS"}}
    assert registered - set(table()) == set(), "routes that the table does not have"
    assert set(table()) - registered == set(), "routes that the server does not have"
    assert len(registered) > 400


def test_the_table_has_every_field_of_graphql_and_no_other() -> None:
    for kind, fields in installed()["graphql"].items():
        assert {line[1] for line in lines() if line[0] == kind} == set(fields)


def test_nothing_reads_that_changes_something_for_the_server_itself() -> None:
    """MLflow's own authentication has its own list, made by others: nothing there is less than it is here."""
    seen = 0
    for method, path, check in installed()["checks"]:
        power = table().get((method, path))
        if power in READS:
            assert READING.match(check), f"{method} {path} is {power} here, and {check} there"
            seen += 1
    assert seen > 80


def test_both_doors_to_a_call_ask_the_same() -> None:
    for (method, path), power in table().items():
        twin = path.replace("/ajax-api/", "/api/")
        assert table().get((method, twin), power) == power, f"{method} {path}"
