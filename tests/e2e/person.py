"""Somebody at a shell: with a home directory, an admin token and a key, on a terminal or in a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from conftest import BINARY, PATIENCE_SECONDS, Service

LINES = 24
KEYS = "/api/v1/keys"
# What would make a test depend on where it is run.
LEFT_OUT = re.compile(r"HOKUSAI_|NO_COLOR$|CLICOLOR|COLUMNS$|LINES$|XDG_")


class Screen(NamedTuple):
    """What a terminal showed, and how the command ended."""

    status: int
    text: str


class Person:
    """Manages keys of a service by commands, and sees through the API what they did."""

    def __init__(self, service: Service, token: str, key: str, home: Path) -> None:
        self.service, self.token, self.home = service, token, home
        programs = home / "bin"
        programs.mkdir()
        (programs / "hokusai").symlink_to(BINARY)
        plain = {name: value for name, value in os.environ.items() if not LEFT_OUT.match(name)}
        self.variables = plain | {
            "HOME": str(home),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "TERM": "xterm",
            "TZ": "UTC",
            "HOKUSAI_AUTH_SERVICE_URL": service.url,
            "HOKUSAI_ADMIN_TOKEN": token,
            "HOKUSAI_API_KEY": key,
        }

    def ask(self, method: str, path: str, **more: object) -> object:
        """What the API answers to the person's token."""
        answer = self.service.request(method, path, bearer=self.token, **more)
        assert answer.ok, answer.text
        return answer.json()

    def keys(self) -> list[dict]:
        """All keys, the newest first."""
        return self.ask("GET", KEYS)

    def create(self, name: str = "A key") -> dict:
        return self.ask("POST", KEYS, json={"name": name})

    def validate(self, key: str) -> tuple[int, str | None]:
        """The status of a validation, and the code of a refusal."""
        answer = self.service.request("POST", f"{KEYS}/validate", bearer=key)
        return answer.status_code, answer.json().get("code")

    def pipe(self, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a line where there is no terminal."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=self.home,
            env=self.variables | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def terminal(
        self, line: str, answers: Mapping[str, str] | None = None, columns: int = 80, **variables: str
    ) -> Screen:
        """Runs a line on a terminal. Where the screen ends with one of `answers`, its value is typed."""
        near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
        process = subprocess.Popen(
            ["setsid", "--ctty", "bash", "-euo", "pipefail", "-c", line],
            cwd=self.home,
            env=self.variables | variables,
            stdin=far,
            stdout=far,
            stderr=far,
        )
        os.close(far)
        try:
            text = read_and_type(near, answers or {})
            return Screen(process.wait(PATIENCE_SECONDS), text)
        finally:
            process.kill()
            process.wait()
            os.close(near)


def read_and_type(terminal: int, answers: Mapping[str, str]) -> str:
    """Everything on the screen, until nobody has the terminal any more."""
    seen, answered = b"", 0
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            # Linux says so when the last one has closed it.
            piece = b""
        if not piece:
            return seen.decode().replace("\r\n", "\n")
        seen += piece
        for question, answer in answers.items():
            if question.encode() in seen[answered:] and seen.endswith(b" "):
                answered = len(seen)
                os.write(terminal, f"{answer}\n".encode())
    raise AssertionError(f"the command waits for something:\n{seen.decode()}")
