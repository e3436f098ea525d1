"""The rules that are shipped for Prometheus speak of what the service really exposes."""

from __future__ import annotations

import re
import subprocess

import pytest
import requests
from conftest import PATIENCE_SECONDS, ROOT, Service, Start
from documents import blocks

RULES = ROOT / "deploy/prometheus/hokusai.rules.yml"
OPERATION = ROOT / "docs/operation.md"
KEYS = "/api/v1/keys"
USED = {"service_id": "platform", "endpoint": "/v1/models", "status_code": 200, "response_time_ms": 1}
UNKNOWN_KEY = "01936f2c-4d5a-7c3e-9b1a-2f6d8e0c4a71"
# A metric, or a sum that is recorded, and what belongs to it in braces.
SELECTOR = re.compile(r"([\w:]*hokusai_[\w:]+)(?:\{([^}]*)\})?")
# Names with which a histogram is told.
OF_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def test_every_metric_and_label_in_the_rules_is_exposed(exposed: dict[str, dict[str, set[str]]]) -> None:
    recorded = dict(re.findall(r"record: (\S+)\n +expr: (?:\|\n)?((?:.*\n)+?)(?= *(?:- |#|\n))", RULES.read_text()))
    selectors = [selector for line in expressions() for selector in SELECTOR.findall(line)]
    assert len(selectors) > 20
    for name, matchers in selectors:
        source = SELECTOR.search(recorded[name])[1] if ":" in name else name
        assert source in exposed, f"{source} is not exposed"
        for label, is_regular, value in re.findall(r'(\w+)!?=(~?)"([^"]*)"', matchers):
            known = exposed[source].get(label, set())
            for wanted in value.split("|") if is_regular else [re.escape(value)]:
                assert any(re.fullmatch(wanted, one) for one in known), f"{name} has no {label}={wanted}: {known}"
    grouped = {
        label
        for line in expressions()
        for labels in re.findall(r"by \(([^)]*)\)", line)
        for label in labels.split(", ")
    }
    labels = {label for known in exposed.values() for label in known}
    # These two are Prometheus' own.
    assert grouped - {"job", "instance"} <= labels


def test_every_metric_is_described_and_no_other(exposed: dict[str, dict[str, set[str]]]) -> None:
    described = set(re.findall(r"^\| `(hokusai_\w+)` \|", OPERATION.read_text(), re.MULTILINE))
    assert described == {OF_HISTOGRAM.sub("", name) for name in exposed}


def test_the_lines_of_the_document_find_the_rules_good() -> None:
    (lines,) = [block for block in blocks(OPERATION, "bash") if "promtool" in block]
    done = subprocess.run(["bash", "-euc", lines], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alarm_is_described_with_its_severity() -> None:
    shipped = re.findall(r"alert: (\w+)\n(?:(?!alert:).*\n)*? +severity: (\w+)", RULES.read_text())
    assert shipped == re.findall(r"^\| `(Hokusai\w+)` \| (\w+) \|", OPERATION.read_text(), re.MULTILINE)


def expressions() -> list[str]:
    """What the rules compute, in lines."""
    text = re.sub(r"^\s*#.*$", "", RULES.read_text(), flags=re.MULTILINE)
    found = re.findall(r"^ +expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", text, re.MULTILINE)
    assert len(found) == text.count("expr:")
    return [" ".join((block or line).split()) for block, line in found]


@pytest.fixture
def exposed(start: Start) -> dict[str, dict[str, set[str]]]:
    """The metrics of a service that met everything once, with the values of their labels."""
    stranger = create(start("serve", HOKUSAI_DATABASE="sqlite://another.db"))
    service = start("serve", HOKUSAI_LOOKUPS_PER_SECOND="10")
    meet_everything(service, stranger["api_key"])
    found: dict[str, dict[str, set[str]]] = {}
    lines = re.findall(r"^(hokusai_\w+)(?:\{(.*)\})? \S+$", read(service), re.MULTILINE)
    for name, labels in lines:
        known = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
            known.setdefault(label, set()).add(value)
    return found


def meet_everything(service: Service, stranger: str) -> None:
    key = create(service, rate_limit_per_hour=10)
    assert {validate(service, key["api_key"]) for _ in range(22)} == {200, 429}
    usage = f"/api/v1/usage/{key['key_id']}"
    assert service.request("POST", usage, json=USED).status_code == 200
    assert service.request("POST", f"/api/v1/usage/{UNKNOWN_KEY}", json=USED).status_code == 404
    # The key of a stranger is looked up so often, and not any more.
    assert {validate(service, stranger) for _ in range(200)} == {401, 503}


def create(service: Service, **wish: object) -> dict:
    return service.request("POST", KEYS, json={"name": "a key"} | wish).json()


def validate(service: Service, key: str) -> int:
    return service.request("POST", f"{KEYS}/validate", bearer=key).status_code


def read(service: Service) -> str:
    return requests.get(f"{service.url}/metrics", timeout=PATIENCE_SECONDS).text
