"""The commands that people are told to type do what they are told to do, and look as they should."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import BINARY, PATIENCE_SECONDS, ROOT, Start, run
from documents import blocks
from person import KEYS, Person

COMMANDS = ROOT / "docs/cli.md"
DOCUMENTS = [COMMANDS, ROOT / "docs/client-configuration.md", ROOT / "docs/migration.md"]
SCREENS = Path(__file__).parent / "screens"
DEFAULT_SCOPES = ["model:read", "model:write", "mlflow:access"]
YES = {"[y/N] ": "y"}

# The lines of the published guide, as printed there, and what each creates.
CREATIONS = {
    'hokusai auth create-key --name "Production Key"': {"name": "Production Key"},
    'hokusai auth create-key --name "Test Key" --environment test --rate-limit 100': {
        "name": "Test Key",
        "environment": "test",
        "rate_limit_per_hour": 100,
    },
    'hokusai auth create-key --name "Restricted Key" --allowed-ip 192.168.1.100 --allowed-ip 10.0.0.1': {
        "name": "Restricted Key",
        "allowed_ips": ["192.168.1.100", "10.0.0.1"],
    },
    'hokusai auth create-key --name "Temporary Key" --expires-in-days 30': {
        "name": "Temporary Key",
        "expires_in": timedelta(days=30),
    },
    'hokusai auth create-key --name "ML Platform Key"'
    " --scope model:read --scope model:write --scope mlflow:access": {
        "name": "ML Platform Key",
    },
    'hokusai auth create-key --name "Office Key" \\\n  --allowed-ip 203.0.113.0 \\\n  --allowed-ip 198.51.100.42': {
        "name": "Office Key",
        "allowed_ips": ["203.0.113.0", "198.51.100.42"],
    },
}
UNLESS_SAID = {
    "environment": "production",
    "rate_limit_per_hour": 1000,
    "allowed_ips": [],
    "expires_in": None,
    "scopes": DEFAULT_SCOPES,
    "service_id": "platform",
    "user_id": "admin",
    "status": "active",
}
BEGINNINGS = {"production": "hk_live_", "test": "hk_test_"}
ROTATIONS = ["hokusai auth rotate-key KEY_ID", "hokusai auth rotate-key $PRODUCTION_KEY_ID"]
VALIDATIONS = ["hokusai auth validate", "hokusai auth validate --key hk_live_specific_key_here"]
CONFIGURATION = """\
[default]
api_key = hk_live_your_api_key_here
admin_token = your_admin_token_here
auth_service_url = https://auth.hokus.ai
"""
SENT_BY_CURL = """\
curl -X POST https://auth.hokus.ai/api/v1/keys \\
  -H "Authorization: Bearer $HOKUSAI_ADMIN_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "My API Key",
    "service_id": "platform",
    "environment": "production",
    "rate_limit_per_hour": 1000,
    "scopes": ["model:read", "model:write", "mlflow:access"]
  }'
"""


@pytest.fixture
def person(start: Start, tmp_path: Path) -> Person:
    """The operator of a service to try, with the sample key."""
    dev = start("dev", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0")
    token = dev.wait_for(r"export HOKUSAI_ADMIN_TOKEN=(\S+)\n")
    key = dev.wait_for(r"export HOKUSAI_API_KEY=(\S+)\n")
    home = tmp_path / "home"
    home.mkdir()
    return Person(dev, token, key, home)


# --- the guide ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", CREATIONS)
def test_the_guide_creates_keys(person: Person, line: str) -> None:
    done = person.pipe(line)
    assert done.returncode == 0, done.stderr
    wanted = UNLESS_SAID | CREATIONS[line]
    created = person.keys()[0]
    assert {name: created[name] for name in wanted if name != "expires_in"} | {
        "expires_in": lifetime(created)
    } == wanted
    key = done.stdout.removesuffix("\n")
    assert re.fullmatch(BEGINNINGS[wanted["environment"]] + r"[0-9A-Za-z]{32}", key)
    # From this machine a key works unless it is for others.
    assert person.validate(key) == ((401, "ip_not_allowed") if wanted["allowed_ips"] else (200, None))


def lifetime(key: dict) -> timedelta | None:
    if key["expires_at"] is None:
        return None
    return datetime.fromisoformat(key["expires_at"]) - datetime.fromisoformat(key["created_at"])


def test_the_guide_creates_a_key_by_curl(person: Person) -> None:
    line = SENT_BY_CURL.replace("https://auth.hokus.ai", person.service.url)
    done = person.pipe(line)
    assert done.returncode == 0, done.stderr
    created = json.loads(done.stdout)
    assert created["key_info"]["name"] == person.keys()[0]["name"] == "My API Key"
    assert person.validate(created["api_key"]) == (200, None)


def test_the_guide_lists_keys_and_their_usage(person: Person) -> None:
    created = person.create("Used once")
    assert person.validate(created["api_key"]) == (200, None)
    done = person.pipe("hokusai auth list-keys")
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == "ID NAME KEY STATUS THIS HOUR EXPIRES LAST USED".split()
    assert [row.split()[0] for row in rows] == [key["key_id"] for key in person.keys()]
    prefix = re.escape(created["key_info"]["key_prefix"])
    row = rf"{created['key_id']}  Used once   {prefix}  active  1 / 1000 +never +\w.*"
    assert re.fullmatch(row, rows[0])


def test_the_guide_lists_keys_for_programs(person: Person) -> None:
    person.create()
    done = person.pipe("hokusai auth list-keys --format json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == person.keys()


def test_the_guide_revokes_a_key(person: Person) -> None:
    asked, unasked = person.create(), person.create()
    line = "hokusai auth revoke-key KEY_ID"
    screen = person.terminal(line.replace("KEY_ID", asked["key_id"]), YES)
    assert screen.status == 0, screen.text
    line = "hokusai auth revoke-key KEY_ID --yes"
    done = person.pipe(line.replace("KEY_ID", unasked["key_id"]))
    assert done.returncode == 0, done.stderr
    assert [key["status"] for key in person.keys()] == ["revoked", "revoked", "active"]
    for created in [asked, unasked]:
        assert person.validate(created["api_key"]) == (401, "revoked")


@pytest.mark.parametrize("line", ROTATIONS)
def test_the_guide_rotates_a_key(person: Person, line: str) -> None:
    old = person.create("To be rotated")
    done = person.pipe(line.replace(" KEY_ID", " " + old["key_id"]), PRODUCTION_KEY_ID=old["key_id"])
    assert done.returncode == 0, done.stderr
    after, before, _ = person.keys()
    assert (before["status"], before["rotated_to"]) == ("rotating", after["key_id"])
    assert after["name"] == "To be rotated"
    assert "(in 24 hours)" in done.stderr
    for key in [old["api_key"], done.stdout.strip()]:
        assert person.validate(key) == (200, None)


@pytest.mark.parametrize("line", VALIDATIONS)
def test_the_guide_validates_a_key(person: Person, line: str) -> None:
    key = person.create()
    line = line.replace("hk_live_specific_key_here", key["api_key"])
    configured = {} if "--key" in line else {"HOKUSAI_API_KEY": key["api_key"]}
    done = person.pipe(line, **configured)
    assert done.returncode == 0, done.stderr
    assert key["key_id"] in done.stdout
    assert person.keys()[0]["usage"]["requests_this_hour"] == 1
    person.ask("DELETE", f"{KEYS}/{key['key_id']}")
    assert person.pipe(line, **configured).returncode == 1


def test_the_file_of_the_guide_is_read(person: Person) -> None:
    key = person.create()
    text = CONFIGURATION.replace("hk_live_your_api_key_here", key["api_key"])
    text = text.replace("your_admin_token_here", person.token).replace("https://auth.hokus.ai", person.service.url)
    file = person.home / ".hokusai/config"
    file.parent.mkdir(mode=0o700)
    file.write_text(text)
    file.chmod(0o600)
    for name in ["HOKUSAI_AUTH_SERVICE_URL", "HOKUSAI_ADMIN_TOKEN", "HOKUSAI_API_KEY"]:
        del person.variables[name]
    for line in ["hokusai auth list-keys", "hokusai auth validate"]:
        done = person.pipe(line)
        assert (done.returncode, done.stderr) == (0, "")
        assert key["key_id"] in done.stdout


# --- the documents -----------------------------------------------------------------------------------------


def commands_in(document: Path) -> list[str]:
    return [block for block in blocks(document, "bash") if "hokusai auth" in block]


EXAMPLES = [
    pytest.param(block, id=f"{document.name}-{number}")
    for document in DOCUMENTS
    for number, block in enumerate(commands_in(document))
]


@pytest.mark.parametrize("block", EXAMPLES)
def test_the_lines_of_a_document_work(person: Person, block: str) -> None:
    key = person.create("Of the document")
    token = person.ask(
        "POST", "/api/v1/admin-tokens", json={"user_id": "ada", "name": "Of the document", "role": "member"}
    )
    (person.home / "token").write_text(person.token)
    for placeholder, real in {
        "http://127.0.0.1:4658": person.service.url,
        "hka_your_admin_token_here": person.token,
        "KEY_ID": key["key_id"],
        "TOKEN_ID": token["token_id"],
    }.items():
        block = block.replace(placeholder, real)
    # An empty answer takes what the variables say.
    questions = YES | {"Service URL [": "", "Admin token": "", "API key, if you have one": ""}
    screen = person.terminal(block, questions, columns=120)
    assert screen.status == 0, screen.text
    assert "error" not in screen.text and "warning" not in screen.text, screen.text


def test_every_command_and_flag_is_described() -> None:
    sections = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", COMMANDS.read_text(), re.MULTILINE))
    common = flags_in(run("auth", "--help").stdout) | {"--version"}
    commands = subcommands("auth")
    assert commands
    for command in commands:
        known = flags_in(run("auth", command, "--help").stdout)
        for action in subcommands("auth", command):
            known |= flags_in(run("auth", command, action, "--help").stdout)
        assert command in sections, f"{command} has no section"
        described = flags_in(sections[command])
        assert known - common <= described, f"{command}: {known - common - described} not described"
        assert described <= known, f"{command}: {described - known} does not exist"


def subcommands(*command: str) -> list[str]:
    text = run(*command, "--help").stdout.partition("\nCommands:\n")[2].partition("\n\n")[0]
    return [name for name in re.findall(r"^  ([a-z-]+)", text, re.MULTILINE) if name != "help"]


def flags_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


STATUSES = {
    "hokusai auth validate": 0,
    "hokusai auth validate --key hk_live_unknown": 1,
    "hokusai auth show-key 01936f2c-4d5a-7c3e-9b1a-2f6d8e0c4a71": 1,
    "hokusai auth list-keys --no-such-flag": 2,
    "hokusai auth create-key --name x --service nowhere": 2,
    "hokusai auth revoke-key ${SAMPLE}": 2,
    "hokusai auth list-keys --auth-service-url http://127.0.0.1:1": 3,
    "HOKUSAI_ADMIN_TOKEN=not-a-token-of-this-service hokusai auth list-keys": 4,
    "HOKUSAI_API_KEY= hokusai auth validate": 4,
}


def test_the_exit_statuses_are_those_of_the_table(person: Person) -> None:
    sample = person.keys()[0]["key_id"]
    assert {line: person.pipe(line, SAMPLE=sample).returncode for line in STATUSES} == STATUSES
    described = re.findall(r"^\| (\d) \| ", COMMANDS.read_text(), re.MULTILINE)
    assert [int(status) for status in described] == sorted(set(STATUSES.values()))


def test_a_rotation_of_all_keys_goes_on_where_it_broke_off(person: Person) -> None:
    for name in ["first", "second", "third"]:
        person.create(name)
    line = "hokusai auth rotate-key --all --environment production --save new-keys.jsonl --yes"
    with page_gate(person) as gate:
        gate.refuse_after("/rotate", 1)
        broken_off = person.pipe(line, HOKUSAI_AUTH_SERVICE_URL=gate.url)
    assert broken_off.returncode == 3, broken_off.stderr
    file = person.home / "new-keys.jsonl"
    assert [json.loads(text)["name"] for text in file.read_text().splitlines()] == ["first"]
    # Cut off in the middle of a line, as by a full disk.
    with file.open("a") as cut:
        cut.write('{"key_id":"01')
    assert person.pipe(line).returncode == 0
    saved = [json.loads(text) for text in file.read_text().splitlines() if text.endswith("}")]
    assert [key["name"] for key in saved] == ["first", "second", "third"]
    assert all(person.validate(key["api_key"]) == (200, None) for key in saved)
    assert file.stat().st_mode & 0o777 == 0o600
    working = [key["key_id"] for key in person.keys() if key["status"] == "active"]
    assert {key["key_id"] for key in saved} < set(working) and len(working) == 4


# --- the screens -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120])
def test_the_screens_look_as_they_did(person: Person, columns: int) -> None:
    seen: list[str] = []

    def types(line: str, answers: dict[str, str] | None = None, status: int = 0) -> str:
        screen = person.terminal(line, answers, columns, NO_COLOR="1")
        assert screen.status == status, screen.text
        assert max(map(len, screen.text.splitlines())) <= columns, screen.text
        seen.append(f"$ {line}\n{screen.text}")
        return screen.text

    create = 'hokusai auth create-key --name "Nightly training of the model"'
    types(f"{create} --rate-limit 100000 --expires-in-days 30")
    # The person copies the id from the screen, as long as it is shown there.
    shown = types("hokusai auth list-keys").splitlines()[1].split()[0]
    types(f"hokusai auth show-key {shown}")
    types(f"hokusai auth rotate-key {shown}")
    newest = types("hokusai auth list-keys").splitlines()[1].split()[0]
    types(f"hokusai auth revoke-key {shown}", {"[y/N] ": "n"}, status=1)
    assert status_of(person, shown) == "rotating"
    types(f"hokusai auth revoke-key {shown}", YES)
    assert status_of(person, shown) == "revoked"
    types(f"hokusai auth revoke-key {newest} {shown}", {"[y/N] ": "yes"})
    types("hokusai auth list-keys")

    text = without_chance("\n".join(seen), [key["key_id"] for key in reversed(person.keys())])
    file = SCREENS / f"{columns}.txt"
    if os.environ.get("HOKUSAI_TEST_RENEW_SCREENS"):
        file.write_text(text)
    assert text == file.read_text()


def status_of(person: Person, beginning: str) -> str:
    (key,) = [key for key in person.keys() if key["key_id"].startswith(beginning)]
    return key["status"]


def without_chance(text: str, ids: list[str]) -> str:
    """The text with placeholders of the same length where it differs from run to run."""
    for number, key_id in enumerate(ids):
        placeholder = re.sub("[0-9a-f]", str(number), key_id)
        text = text.replace(key_id, placeholder).replace(key_id[:13], placeholder[:13])
    text = re.sub(r"(hk_[a-z]+_)\w{32}", rf"\1{'K' * 32}", text)
    text = re.sub(r"(hk_[a-z]+_)\w{3}\*\*\*", r"\1KKK***", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "YYYY-MM-DD hh:mm UTC", text)
    # These end their lines.
    text = re.sub(r"resets (now|in \d+ \w+)$", "resets SOON", text, flags=re.MULTILINE)
    return re.sub(r"\((now|\d+ seconds ago)\)$", "(JUST NOW)", text, flags=re.MULTILINE)


def test_colours_are_for_terminals_that_want_them(person: Person) -> None:
    line = "hokusai auth list-keys"
    coloured = person.terminal(line).text
    assert "\x1b[32mactive\x1b[0m" in coloured
    plain = person.terminal(line, NO_COLOR="1").text
    assert plain == re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert "\x1b" not in plain
    assert "\x1b" not in person.terminal(f"{line} --color never").text
    assert "\x1b" not in person.pipe(line).stdout
    assert "\x1b[32mactive\x1b[0m" in person.pipe(f"{line} --color always").stdout


# --- many keys, and little time ----------------------------------------------------------------------------

MANY = 10_000
PAGE = 1000


def test_a_long_list_is_printed_as_it_comes(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    fill(person, MANY - len(person.keys()))
    command = ["hokusai", "auth", "list-keys", "--format", "json"]
    with page_gate(person) as gate:
        # The last page waits until the first key was read, or for ever if keys are printed in the end.
        gate.hold_from(MANY // PAGE)
        variables = person.variables | {"HOKUSAI_AUTH_SERVICE_URL": gate.url}
        began = time.monotonic()
        listing = subprocess.Popen(
            command, executable=BINARY, env=variables, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        try:
            assert listing.stdout is not None
            opening, first = listing.stdout.readline(), listing.stdout.readline()
            until_first = time.monotonic() - began
            gate.go_on()
            rest = listing.stdout.read()
            until_last = time.monotonic() - began
            assert listing.wait(PATIENCE_SECONDS) == 0
        finally:
            listing.kill()
            listing.wait()
        assert not gate.gave_up, "nothing was printed until the last page had come"
        assert gate.pages >= MANY // PAGE
    keys = json.loads(opening + first + rest)
    assert len({key["key_id"] for key in keys}) == len(keys) == MANY
    told = f"{MANY} keys: the first after {until_first:.3f} s, the last after {until_last:.3f} s"
    with capsys.disabled():
        print(f"\n{told}")


def test_the_help_is_there_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    times = sorted(first_byte_of_help() for _ in range(20))
    median = statistics.median(times)
    slowest = times[-1] * 1000
    told = f"hokusai --help: first byte after {median * 1000:.1f} ms (median of 20; the slowest {slowest:.1f} ms)"
    with capsys.disabled():
        print(f"\n{told}")
    if BINARY.parent.name == "release":
        assert median < 0.1


def first_byte_of_help() -> float:
    began = time.perf_counter()
    with subprocess.Popen([str(BINARY), "--help"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        elapsed = time.perf_counter() - began
        process.stdout.read()
    assert process.returncode == 0
    return elapsed


def fill(person: Person, count: int) -> None:
    """Makes keys, many at a time."""
    host = person.service.url.removeprefix("http://")
    headers = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/json"}

    def make(numbers: range) -> None:
        connection = HTTPConnection(host, timeout=PATIENCE_SECONDS)
        for number in numbers:
            connection.request("POST", KEYS, json.dumps({"name": f"key {number}"}), headers)
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()
            answer.read()
        connection.close()

    workers = 32
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(make, (range(first, count, workers) for first in range(workers))))


class Gate(ThreadingHTTPServer):
    """Passes requests on to the service, and holds or refuses some of them."""

    daemon_threads = True

    def __init__(self, host: str) -> None:
        super().__init__(("127.0.0.1", 0), Passage)
        self.host = host
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.pages = 0
        self.gave_up = False
        self._held_page = 0
        self._open = threading.Event()
        self._refused_path, self._let_through = "", 0

    def hold_from(self, page: int) -> None:
        self._held_page = page

    def go_on(self) -> None:
        self._open.set()

    def refuse_after(self, ending: str, times: int) -> None:
        self._refused_path, self._let_through = ending, times

    def lets_through(self, path: str) -> bool:
        if self._refused_path and path.endswith(self._refused_path):
            self._let_through -= 1
            return self._let_through >= 0
        if path.partition("?")[0] == KEYS:
            self.pages += 1
            if self.pages == self._held_page:
                self.gave_up = not self._open.wait(PATIENCE_SECONDS / 3)
        return True


class Passage(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gate

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.server.lets_through(self.path):
            self.close_connection = True
            return
        connection = HTTPConnection(self.server.host, timeout=PATIENCE_SECONDS)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() in {"content-type", "link", "x-request-id"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    def log_message(self, *_: object) -> None:
        """Nobody wants to read it."""


@contextmanager
def page_gate(person: Person) -> Iterator[Gate]:
    gate = Gate(person.service.url.removeprefix("http://"))
    thread = threading.Thread(target=gate.serve_forever, daemon=True)
    thread.start()
    try:
        yield gate
    finally:
        gate.go_on()
        gate.shutdown()
        gate.server_close()
        thread.join()
