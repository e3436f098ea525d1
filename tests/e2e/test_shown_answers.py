"""The lines of the documents on usage and models, run in their order, are answered as the documents show."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from conftest import OPERATOR, PATIENCE_SECONDS, ROOT, Start
from person import KEYS, Person

DOCUMENTS = [ROOT / f"docs/{name}.md" for name in ["usage", "billing", "alerts", "models"]]
# A block to be run, and the answer that follows it after a blank line, if one is shown.
EXAMPLE = re.compile(r"^```bash\n(.*?)^```$(?:\n\n^```json\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
DAY = re.compile(r"\d{4}-\d\d-\d\d")
SHORTEST = 2


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_answers_are_as_they_are_shown(start: Start, tmp_path: Path, document: Path) -> None:
    person, key = somebody(start, tmp_path)
    examples = EXAMPLE.findall(document.read_text())
    assert len(examples) >= SHORTEST
    for lines, shown in examples:
        lines = lines.replace("http://127.0.0.1:4658", person.service.url).replace("KEY_ID", key["key_id"])
        lines = lines.replace("sqlite://hokusai.db", f"sqlite://{tmp_path}/hokusai.db")
        done = person.pipe(lines)
        assert done.returncode == 0, f"{lines}\n{done.stderr}"
        if shown:
            assert form(json.loads(done.stdout)) == form(json.loads(shown)), lines


def somebody(start: Start, tmp_path: Path) -> tuple[Person, dict]:
    """An operator, and a key with a limit of predictions, that expires soon and was validated."""
    service = start("serve", HOKUSAI_BILLING_PLANS="free=0.001,fixed")
    home = tmp_path / "home"
    home.mkdir()
    person = Person(service, OPERATOR, "", home)
    wish = {"name": "Reports", "monthly_prediction_limit": 1000, "expires_in_days": 7}
    key = person.ask("POST", KEYS, json=wish)
    assert person.validate(key["api_key"]) == (200, None)
    # A refusal, and time until both are counted.
    wrong = person.service.request("POST", f"{KEYS}/validate", bearer=key["api_key"], json={"service_id": "other"})
    assert wrong.status_code == 401
    ends = time.monotonic() + PATIENCE_SECONDS
    while not all(counted(person, key, outcome) for outcome in ["valid", "service_mismatch"]):
        assert time.monotonic() < ends, "the validations are not counted"
    return person, key


def counted(person: Person, key: dict, outcome: str) -> int:
    hours = person.ask("GET", f"{KEYS}/{key['key_id']}/validations")["hours"]
    return sum(hour[outcome] for hour in hours)


def form(value: object, name: str = "") -> object:
    """A value with what differs from run to run left out. Figures have to be as shown."""
    if isinstance(value, dict):
        return [(DAY.sub("DAY", name), form(field, name)) for name, field in value.items()]
    if isinstance(value, list):
        return [form(item) for item in value]
    if isinstance(value, (int, float)):
        return value
    is_chosen = name in {"message", "error", "kind", "name", "endpoint", "billing_plan"}
    return re.sub(r"\d{4}-\S+Z", "TIME", value) if isinstance(value, str) and is_chosen else type(value).__name__
