"""The page on the audit log: its commands, run as they are printed there."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from conftest import OPERATOR, PATIENCE_SECONDS, ROOT, Service, Start
from documents import blocks
from person import Person

PAGE = ROOT / "docs/audit.md"
FIELDS = "number at user_id token_id action target address request_id detail result seal".split()


@pytest.fixture
def person(start: Start, tmp_path: Path) -> Person:
    """The operator of a service that runs, in the directory of its configuration."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "hokusai.toml").write_text(f'database = "sqlite://{tmp_path}/hokusai.db"\n')
    service = start("serve", HOKUSAI_DATABASE=f"sqlite://{tmp_path}/hokusai.db")
    service.request("DELETE", f"/api/v1/keys/{create(service)}").raise_for_status()
    create(service)
    assert service.request("GET", "/api/v1/keys", bearer="hka_nobody").status_code == 401
    return Person(service, OPERATOR, "", home)


def create(service: Service) -> str:
    return service.request("POST", "/api/v1/keys", json={"name": "A key"}).json()["key_id"]


def run(person: Person, block: str) -> subprocess.CompletedProcess[str]:
    done = person.pipe(block.replace("http://127.0.0.1:4658", person.service.url))
    assert done.returncode == 0, done.stderr
    return done


def test_the_page_is_true(person: Person) -> None:
    by_curl, listed, exported, verified, checkpoints, refused = blocks(PAGE, "bash")
    assert [entry["action"] for entry in json.loads(run(person, by_curl).stdout)] == ["key.revoke"]

    assert [line.split()[0] for line in run(person, listed).stdout.splitlines()[:5]] == [
        *["NUMBER", "4", "3", "2", "1"]
    ]
    run(person, exported)
    lines = (person.home / "audit.jsonl").read_text().splitlines()
    assert [list(json.loads(line)) for line in lines] == [FIELDS] * 4

    assert "Entries     4\n" in run(person, verified).stdout
    assert run(person, checkpoints).stdout.count("Result      every entry is as it was written") == 2

    person.service.wait_for('("audit checkpoint")')
    wait_for_sums(person)
    assert '"code":"invalid_admin_token","count":1}' in run(person, refused).stdout


def wait_for_sums(person: Person) -> None:
    """They are there about a second after the call."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not person.ask("GET", "/api/v1/audit/refused"):
        assert time.monotonic() < ends, "no refused call is counted"
        time.sleep(0.05)


def test_every_field_of_an_entry_is_in_the_page(person: Person) -> None:
    table = PAGE.read_text().partition("## What is recorded")[2].partition("## ")[0]
    for entry in person.ask("GET", "/api/v1/audit"):
        assert list(entry) == FIELDS
    assert [name for name in FIELDS if f"`{name}`" not in table] == []


def test_what_is_wrong_is_told_as_in_the_page(person: Person) -> None:
    person.service.stop()
    insert = """
        import sqlite3
        db = sqlite3.connect("../hokusai.db")
        db.execute("update audit set number = -number where number >= 3")
        db.execute("update audit set number = 1 - number where number < 0")
        rest = "at, user_id, token_id, action, target, address, request_id, detail, seal"
        db.execute(f"insert into audit select 3, {rest} from audit where number = 2")
        db.commit()
    """
    lines = "\n".join(line.removeprefix(" " * 8) for line in insert.splitlines())
    subprocess.run(["python3", "-c", lines], cwd=person.home, check=True)
    done = person.pipe(blocks(PAGE, "bash")[3])
    assert (done.returncode, done.stdout) == (1, "")
    before, _, after = blocks(PAGE, "text")[0].strip().partition("2026-03-04T10:30:00Z")
    assert done.stderr.startswith(before)
    assert done.stderr.splitlines()[0].endswith(after)
