"""A real MLflow tracking server, and programs that use its client with nothing but two variables."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

STARTS_WITHIN_SECONDS = 120
CLIENTS = Path(__file__).parent / "mlflow_clients"
# What would lead a client elsewhere, or make a test depend on where it is run.
OWN = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "HOKUSAI_"))}
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """A Python module as a server on a port of its own; stopped with all of its processes."""

    def __init__(self, directory: Path, *command: str, healthy: str, **variables: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = (directory / f"{command[0]}.log").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(port)],
            env=OWN | QUIET | variables,
            cwd=directory,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait_until_ready(self.url + healthy)

    def _wait_until_ready(self, healthy: str) -> None:
        ends = time.monotonic() + STARTS_WITHIN_SECONDS
        while time.monotonic() < ends and self._process.poll() is None:
            try:
                if requests.get(healthy, timeout=1).ok:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        self.stop()
        raise AssertionError(f"it does not come up:\n{self.output}")

    @property
    def output(self) -> str:
        """What it has written so far."""
        return Path(self._log.name).read_text()

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, 15)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, 9)
                self._process.wait()


class TrackingServer(Server):
    """`mlflow server`, with its files in a directory or wherever `artifacts` says."""

    def __init__(self, directory: Path, artifacts: str = "", **variables: str) -> None:
        super().__init__(
            directory,
            *("mlflow", "server", "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{directory}/mlflow.db"),
            *("--artifacts-destination", artifacts or str(directory / "artifacts")),
            healthy="/health",
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
            **variables,
        )


def client(program: str, gateway: str, key: str, *arguments: str, timeout: int = 120, **more: str) -> dict:
    """Runs a program of `mlflow_clients`; what it printed as its last line."""
    variables = {"MLFLOW_TRACKING_URI": gateway, "MLFLOW_TRACKING_TOKEN": key}
    done = subprocess.run(
        [sys.executable, str(CLIENTS / program), *arguments],
        env=OWN | QUIET | variables | more,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{program}:\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])
