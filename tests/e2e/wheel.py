"""The wheel, installed for every Python of this machine; and a platform to try it on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import PATIENCE_SECONDS, ROOT, Service

WHEELS = ROOT / "target/test-wheel"
LEFT_OUT = re.compile(r"HOKUSAI_|MLFLOW_|PYTHON")


def the_wheel() -> Path:
    (wheel,) = WHEELS.glob("hokusai-*.whl")
    return wheel


def pythons() -> list[Path]:
    """Every Python of this machine that the wheel is for, one of each version."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {sys.version_info[:2]: Path(sys.executable)}
    programs = [*sorted(root.glob("versions/3.*/bin/python3")), *(shutil.which(f"python3.{n}") for n in range(10, 30))]
    for program in filter(None, programs):
        asked = [str(program), "-c", "import sys, venv; print(*sys.version_info[:2])"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
        if said and (version := (int(said[0]), int(said[1]))) >= (3, 10):
            found.setdefault(version, Path(program))
    return [found[version] for version in sorted(found)]


class Platform(NamedTuple):
    """A service with its gateway, and what is needed to use them."""

    url: str
    gateway: str
    token: str
    service_token: str
    key: str
    home: Path

    @property
    def variables(self) -> dict[str, str]:
        """An environment in which nothing but host and key is put in."""
        return {name: value for name, value in os.environ.items() if not LEFT_OUT.match(name)} | {
            "HOME": str(self.home),
            "HOKUSAI_AUTH_SERVICE_URL": self.url,
            "HOKUSAI_API_ENDPOINT": self.gateway,
        }


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One platform for all tests that only need one."""
    directory = tmp_path_factory.mktemp("platform")
    dev = Service(["dev", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"], directory, {})
    token = dev.wait_for(r"export HOKUSAI_ADMIN_TOKEN=(\S+)\n")
    key = dev.wait_for(r"export HOKUSAI_API_KEY=(\S+)\n")
    service_token = (directory / ".hokusai-dev/service-token").read_text().strip()
    yield Platform(dev.url, dev.gateway_url, token, service_token, key, directory)
    dev.stop()


@pytest.fixture
def person(platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Platform:
    """This process is a person's who uses the platform, and has set nothing up yet."""
    import hokusai

    for name in [name for name in os.environ if LEFT_OUT.match(name)]:
        monkeypatch.delenv(name)
    for name, value in {**platform.variables, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOKUSAI_API_KEY", platform.key)
    monkeypatch.setenv("HOKUSAI_ADMIN_TOKEN", platform.token)
    hokusai.setup()
    return platform._replace(home=tmp_path)


Answering = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def somebody() -> Iterator[Callable[[Answering], str]]:
    """Starts servers that are not Hokusai; each answers by a function."""
    started: list[ThreadingHTTPServer] = []

    def start_one(answer: Answering) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                answer(self)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        started.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start_one
    for server in started:
        server.shutdown()
        server.server_close()


def tell(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Answers with this body, as JSON unless said otherwise."""
    handler.send_response(status)
    told = {"content-type": "application/json", "content-length": str(len(body))}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in told.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def run_python(
    python: Path | str, text: str, variables: dict[str, str], directory: Path
) -> subprocess.CompletedProcess[str]:
    """Runs a program where nothing of this machine's Python leaks in."""
    return subprocess.run(
        [str(python), "-I", "-c", text],
        cwd=directory,
        env=variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
