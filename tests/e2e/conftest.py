"""The built program as a process, for every test that needs one; stopped by its process id."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from tracking import TrackingServer

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HOKUSAI_TEST_BINARY", ROOT / "target/debug/hokusai"))
OPERATOR = "the operator of the end-to-end tests"
SERVE = {
    "HOKUSAI_LISTEN": "127.0.0.1:0",
    "HOKUSAI_LOG_FORMAT": "json",
    "HOKUSAI_BOOTSTRAP_ADMIN_TOKEN": OPERATOR,
}
PATIENCE_SECONDS = 30
READY = re.compile(r'is ready on (http://[\d.:]+)|"message":"ready","address":"([\d.:]+)"')


class Service:
    """A running `hokusai`, and what it has written so far."""

    def __init__(self, arguments: list[str], directory: Path, variables: dict[str, str]) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("HOKUSAI_")}
        self._process = subprocess.Popen(
            [str(BINARY), *arguments],
            cwd=directory,
            env=own | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self._wait_until_ready()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line

    def _wait_until_ready(self) -> str:
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends and self._process.poll() is None:
            if found := READY.search(self.output):
                return found[1] or f"http://{found[2]}"
            time.sleep(0.01)
        self.stop()
        raise AssertionError(f"the service does not come up:\n{self.output}")

    def wait_for(self, pattern: str) -> str:
        """The first group of `pattern`, once it stands in the output."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends:
            if found := re.search(pattern, self.output):
                return found[1]
            time.sleep(0.01)
        raise AssertionError(f"{pattern} does not come:\n{self.output}")

    @property
    def gateway_url(self) -> str:
        """Where the gateway of `dev` is."""
        return self.wait_for(r"its gateway on (http://[\d.:]+)\.")

    def request(self, method: str, path: str, bearer: str = OPERATOR, **more: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {bearer}"}
        return requests.request(method, self.url + path, headers=headers, timeout=PATIENCE_SECONDS, **more)

    @property
    def most_memory(self) -> int:
        """The most bytes that it ever had in memory."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found, status
        return int(found[1]) * 1024

    def stop(self) -> int:
        """Asks the process to stop, and says how it ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._reader.join(PATIENCE_SECONDS)


Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts services in a directory of the test; all are stopped in the end."""
    started: list[Service] = []

    def start_one(*arguments: str, **variables: str) -> Service:
        if arguments[0] == "serve":
            variables = SERVE | variables
        started.append(Service(list(arguments), tmp_path, variables))
        return started[-1]

    yield start_one
    for service in started:
        service.stop()


@pytest.fixture(scope="session")
def faketime_library() -> str:
    """The library that the `faketime` program would load."""
    command = ["faketime", "-m", "now", "printenv", "LD_PRELOAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def clock_at(library: str, moment: str) -> dict[str, str]:
    """Variables of a program for which it is `moment` when it starts, and from where its clock goes on."""
    return {
        "LD_PRELOAD": library,
        "FAKETIME": f"@{moment}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "TZ": "UTC",
    }


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    """An MLflow server, for all tests that need one."""
    directory = tmp_path_factory.mktemp("mlflow")
    server = TrackingServer(directory)
    yield server
    server.stop()
    # Some are large.
    shutil.rmtree(directory / "artifacts", ignore_errors=True)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the program to its end."""
    return subprocess.run(
        [str(BINARY), *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


# Fixtures of a noun stand in its file.
pytest_plugins = ["wheel"]
