"""What people see of usage, bills and alerts, on a narrow terminal and on a wide one."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unicodedata import east_asian_width

import pytest
from conftest import Start
from person import KEYS, Person

SCREENS = Path(__file__).parent / "screens"
# Endpoints, how often each was used on the last days of the month before, and the status of the answers.
USED = [
    ("platform", "/v1/models", [120, 340, 0, 85], 200),
    ("prediction", "/v1/models/a-model-with-a-rather-long-name/versions/17/predictions", [0, 0, 61, 7], 500),
    ("prediction", "/v1/模型/预测", [9, 0, 0, 0], 200),
    ("platform", "=cmd|' /C calc'!A0", [0, 1, 0, 0], 404),
    ("platform", "/v1/\u202e\u200bslledom", [0, 0, 0, 3], 200),
]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_screens_of_usage_look_as_they_did(start: Start, tmp_path: Path, columns: int) -> None:
    person, key_id, days = somebody(start, tmp_path)
    seen: list[str] = []

    def types(line: str, status: int = 0) -> None:
        screen = person.terminal(line, columns=columns, NO_COLOR="1")
        assert screen.status == status, screen.text
        assert max(map(width, screen.text.splitlines())) <= columns, screen.text
        seen.append(f"$ {line}\n{screen.text}")

    beginning, month = key_id[:13], days[0][:7]
    types(f"hokusai auth usage {beginning} --period {month}")
    types(f"hokusai auth usage {beginning} --period {month} --by endpoint")
    types(f"hokusai auth usage --period {month} --by service")
    types(f"hokusai auth usage {beginning} --period 2999-01")
    types(f"hokusai auth billing {beginning} --period {month}")
    types("hokusai auth alerts")
    types("hokusai auth alerts --fail", status=1)

    text = without_chance("\n".join(seen), [key["key_id"] for key in reversed(person.keys())], days)
    file = SCREENS / f"usage-{columns}.txt"
    if os.environ.get("HOKUSAI_TEST_RENEW_SCREENS"):
        file.write_text(text)
    assert text == file.read_text()


def somebody(start: Start, tmp_path: Path) -> tuple[Person, str, list[str]]:
    """An operator, a key that was used in the month before, and the days on which it was."""
    dev = start("dev", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0")
    token = dev.wait_for(r"export HOKUSAI_ADMIN_TOKEN=(\S+)\n")
    home = tmp_path / "home"
    home.mkdir()
    person = Person(dev, token, "", home)
    person.ask("POST", KEYS, json={"name": "A key whose name takes more than one line", "expires_in_days": 2})
    wish = {"name": "Reports", "monthly_prediction_limit": 1500, "expires_in_days": 7}
    key_id = person.ask("POST", KEYS, json=wish)["key_id"]
    last = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    days = [(last - timedelta(days=back)).strftime("%Y-%m-%d") for back in range(3, -1, -1)]
    records = [
        {
            "key_id": key_id,
            "service_id": service,
            "endpoint": endpoint,
            "status_code": status,
            "response_time_ms": 12.5,
            "predictions_count": 3,
            "compute_ms": 250,
            "occurred_at": f"{day}T23:59:59Z",
        }
        for service, endpoint, counts, status in USED
        for day, count in zip(days, counts, strict=True)
        for _ in range(count)
    ]
    person.ask("POST", "/api/v1/usage/batch", json={"records": records})
    return person, key_id, days


def width(line: str) -> int:
    """The columns that a line takes."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in line)


def without_chance(text: str, ids: list[str], days: list[str]) -> str:
    """The text with placeholders of the same length where it differs from run to run."""
    for number, key_id in enumerate(ids):
        placeholder = re.sub("[0-9a-f]", str(number), key_id)
        text = text.replace(key_id, placeholder).replace(key_id[:13], placeholder[:13])
    for number, day in enumerate(days):
        text = text.replace(day, f"YYYY-MM-D{number}")
    text = text.replace(days[0][:7], "YYYY-MM")
    return re.sub(r"\d{4}-\d\d-01$", "NEXT-MM-01", text, flags=re.MULTILINE)
