"""Runs MLflow's own tests that talk HTTP to a server: directly, and with a gateway before each of their servers.

The tests are those of a checkout of MLflow's source; the server and the client are the installed ones. What the
tests need besides has to be there, too: `pytest-timeout`, `pytest-asyncio`, `psutil` and OpenTelemetry's exporters.

    target/test-venv/bin/python tests/e2e/mlflow_suite.py target/debug/hokusai CHECKOUT

What passes in one way and not in the other is listed in the end. As a plugin of pytest, which `HOKUSAI_SUITE` turns
on, it moves each server that a test starts to another port, and puts a gateway on the port that the test chose.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import requests
from tracking import OWN, QUIET, free_port

PROGRAM = "HOKUSAI_SUITE"
# Those that start a server, but for `tests/tracing/test_otel_*`: there it runs in the process that sends its traces
# to it, traces itself, and waits for itself.
SUITES = [
    "tests/demo/test_api_routes.py",
    "tests/store/model_registry/test_rest_store_webhooks.py",
    "tests/tracking/test_client_webhooks.py",
    "tests/tracking/test_mlflow_artifacts.py",
    "tests/tracking/test_model_registry.py",
    "tests/tracking/test_rest_tracking.py",
]
SCOPES = ["mlflow:access", "mlflow:admin"]
READY_WITHIN_SECONDS = 120


def wait_for(url: str) -> None:
    ends = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < ends:
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, timeout=1).ok:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{url} does not come up")


class Platform:
    """A service, and gateways before whatever is started."""

    def __init__(self, program: str, home: Path) -> None:
        self._program, self._home = program, home
        self.service = f"http://127.0.0.1:{free_port()}"
        listen = ["--listen", urlsplit(self.service).netloc, "--gateway-listen", f"127.0.0.1:{free_port()}"]
        self._process = self._start("dev", "--dir", str(home / "dev"), *listen)
        wait_for(f"{self.service}/health")
        # It listens a moment before all is there.
        while not (home / "dev/api-key").exists():
            time.sleep(0.05)
        operator = (home / "dev/admin-token").read_text().strip()
        wish = {"name": "MLflow's own tests", "scopes": SCOPES, "rate_limit_per_hour": 100_000}
        made = requests.post(
            f"{self.service}/api/v1/keys", json=wish, headers={"Authorization": f"Bearer {operator}"}, timeout=10
        )
        self.key = made.json()["api_key"]

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._home / "log").open("ab") as log:
            return subprocess.Popen([self._program, *arguments], cwd=self._home, env=OWN, stdout=log, stderr=log)

    @contextlib.contextmanager
    def gateway(self, port: int, server: int) -> Iterator[None]:
        """A gateway on one port, before the server on the other."""
        config = self._home / f"{port}.toml"
        config.write_text(f'[gateway]\nmlflow_url = "http://127.0.0.1:{server}"\nmlflow_admin = true\n')
        process = self._start(
            *("gateway", "--config", str(config), "--listen", f"127.0.0.1:{port}"),
            *("--auth-service", self.service, "--journal", str(self._home / f"journal-{port}")),
            *("--service-token-file", str(self._home / "dev/service-token")),
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health")
            yield
        finally:
            process.terminate()
            process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


# --- the plugin ------------------------------------------------------------------------------------------


def give_key(key: str) -> None:
    """The client takes it from its variable; the tests' own calls, which know no key, get it too."""
    os.environ["MLFLOW_TRACKING_TOKEN"] = key
    prepare = requests.Session.prepare_request

    def prepare_with_key(self: requests.Session, request: requests.Request) -> requests.PreparedRequest:
        request.headers = dict(request.headers or {})
        request.headers.setdefault("Authorization", f"Bearer {key}")
        return prepare(self, request)

    requests.Session.prepare_request = prepare_with_key  # type: ignore[method-assign]


def put_before_servers(platform: Platform) -> None:
    """Each way in which MLflow's tests start a server."""
    from tests.tracking import integration_test_utils as servers

    thread, popen = servers.ServerThread, subprocess.Popen

    class BehindGateway(thread):  # type: ignore[misc,valid-type]
        def __init__(self, app: object, port: int) -> None:
            self._own_port, self._open = port, contextlib.ExitStack()
            super().__init__(app, free_port())

        def __enter__(self) -> str:
            super().__enter__()
            self._open.enter_context(platform.gateway(self._own_port, self.port))
            return f"http://127.0.0.1:{self._own_port}"

        def __exit__(self, *error: object) -> bool | None:
            self._open.close()
            return super().__exit__(*error)

    class ServerBehindGateway(popen):  # type: ignore[misc,valid-type]
        """A program that is told a port to serve on."""

        def __init__(self, command: object, *arguments: object, **more: object) -> None:
            self._gateways = contextlib.ExitStack()
            words = list(map(str, command)) if isinstance(command, list) else []
            if "--port" not in words:
                super().__init__(command, *arguments, **more)
                return
            at = words.index("--port") + 1
            port, words[at] = int(words[at]), str(free_port())
            super().__init__(words, *arguments, **more)
            try:
                wait_for(f"http://127.0.0.1:{words[at]}/health")
                self._gateways.enter_context(platform.gateway(port, int(words[at])))
            except RuntimeError:
                self.kill()
                raise

        def __exit__(self, *error: object) -> None:
            self._gateways.close()
            super().__exit__(*error)

    servers.ServerThread = BehindGateway
    subprocess.Popen = ServerBehindGateway  # type: ignore[misc]
    servers.Popen = ServerBehindGateway


def pytest_configure(config: pytest.Config) -> None:
    if program := os.environ.pop(PROGRAM, None):
        home = tempfile.TemporaryDirectory()
        platform = Platform(program, Path(home.name))
        config.add_cleanup(home.cleanup)
        config.add_cleanup(platform.stop)
        give_key(platform.key)
        put_before_servers(platform)


# --- both, side by side ----------------------------------------------------------------------------------


def run(checkout: Path, suites: list[str], results: Path, program: str) -> dict[str, str]:
    """What each test came to."""
    here = str(Path(__file__).parent)
    variables = {"PYTHONPATH": f"{checkout}:{here}"}
    if program:
        variables[PROGRAM] = program
    command = [sys.executable, "-m", "pytest", "-q", "-p", "mlflow_suite", "-p", "no:cacheprovider"]
    more = [f"--junitxml={results}", "-o", "junit_family=xunit1", "--tb=short", "--timeout=300"]
    subprocess.run([*command, *more, *suites], cwd=checkout, env=OWN | QUIET | variables, check=False)
    came_to: dict[str, str] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        kinds = [part.tag for part in case if part.tag in {"failure", "error", "skipped"}]
        came_to[f"{case.get('classname')}::{case.get('name')}"] = kinds[0] if kinds else "passed"
    return came_to


def main() -> None:
    program, checkout = (Path(word).resolve() for word in sys.argv[1:3])
    suites = sys.argv[3:] or SUITES
    with tempfile.TemporaryDirectory() as folder:
        directly = run(checkout, suites, Path(folder) / "directly.xml", "")
        through = run(checkout, suites, Path(folder) / "through.xml", str(program))
    passed = [name for name, result in directly.items() if result == "passed"]
    differ = [name for name in sorted(directly | through) if directly.get(name) != through.get(name)]
    print(f"\n{len(directly)} tests, {len(passed)} pass directly; {len(differ)} differ through the gateway")
    for name in differ:
        print(f"{name}: {directly.get(name)} directly, {through.get(name)} through the gateway")


if __name__ == "__main__":
    main()
