"""How many requests a second FastAPI answers: with no check of keys, with ours, and with a call for each.

    python bench/python/fastapi_checks.py

It needs the wheel, fastapi, uvicorn[standard] and requests in one environment, and a machine with nothing else to
do. One process serves, pinned to one processor; the load, the service and its database share the others.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from hokusai import AuthAdmin

APPS = {
    "no check": """
@app.get("/predict")
async def predict():
    return {"user_id": "admin"}
""",
    "require_api_key": """
from hokusai.asgi import ReportUsage
from hokusai.fastapi import require_api_key
from hokusai.verifier import Admitted

app.add_middleware(ReportUsage)

@app.get("/predict")
async def predict(key: Admitted = Depends(require_api_key(scope="predict", service_id="prediction"))):
    return {"user_id": key.user_id}
""",
    "require_api_key, no reports": """
from hokusai.fastapi import require_api_key
from hokusai.verifier import Admitted, Verifier

verifier = Verifier(report_usage=False)

@app.get("/predict")
async def predict(
    key: Admitted = Depends(require_api_key(scope="predict", service_id="prediction", verifier=verifier))
):
    return {"user_id": key.user_id}
""",
    "requests, a call for each": """
import os
import requests
from fastapi import Header, HTTPException

URL = os.environ["HOKUSAI_AUTH_SERVICE_URL"] + "/api/v1/keys/validate"
session = requests.Session()

def check(authorization: str = Header()):
    body = {"service_id": "prediction", "required_scope": "predict"}
    answer = session.post(URL, headers={"Authorization": authorization}, json=body, timeout=5)
    if answer.status_code != 200:
        raise HTTPException(answer.status_code, answer.json()["detail"])
    return answer.json()

@app.get("/predict")
async def predict(key: dict = Depends(check)):
    return {"user_id": key["user_id"]}
""",
}
HEAD = "from fastapi import Depends, FastAPI\n\napp = FastAPI()\n"
CONNECTIONS = 16
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Asking(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, requests: list[bytes], counts: dict[int, int]) -> None:
        self._requests, self._counts, self._next, self._heard = requests, counts, 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks the first time."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        """Counts an answer, once all of it is there."""
        self._heard += data
        head, found, body = self._heard.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not found or length is None or len(body) < int(length[1]):
            return
        self._heard = b""
        status = int(head[9:12])
        self._counts[status] = self._counts.get(status, 0) + 1
        self._ask()


async def load(port: int, keys: list[str], seconds: float) -> float:
    """Answers a second; all of them have to be 200."""
    loop = asyncio.get_running_loop()
    asked = [
        f"GET /predict HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n".encode() for key in keys
    ]
    counts: dict[int, int] = {}
    began = time.perf_counter()
    lines = [
        await loop.create_connection(lambda: Asking(asked, counts), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    for transport, _ in lines:
        transport.abort()
    if set(counts) != {200}:
        raise SystemExit(f"not all were answered with 200: {counts}")
    return counts[200] / took


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int) -> None:
    """Until somebody answers."""
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


def start_service(directory: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The service, by the program of the wheel."""
    program = shutil.which("hokusai", path=str(Path(sys.executable).parent)) or "hokusai"
    port = free_port()
    command = [program, "dev", "--listen", f"127.0.0.1:{port}", "--gateway-listen", "127.0.0.1:0"]
    with (directory / "log").open("wb") as log:
        service = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
    wait_for(port)
    url = f"http://127.0.0.1:{port}"
    with urllib.request.urlopen(f"{url}/ready", timeout=10):
        return service, url


def measure(seconds: float, rounds: int) -> dict[str, list[float]]:
    """Serves all of them at once, and loads one after the other, in turns."""
    started: list[subprocess.Popen[bytes]] = []
    found: dict[str, list[float]] = {name: [] for name in APPS}
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        # The service and the load leave the first processor to who serves.
        os.sched_setaffinity(0, set(range(1, os.cpu_count() or 2)))
        try:
            service, url = start_service(directory)
            started.append(service)
            token = (directory / ".hokusai-dev/admin-token").read_text().strip()
            admin = AuthAdmin(token, url)
            keys = [
                admin.create_key(
                    f"key {n}", service_id="prediction", scopes=["predict"], rate_limit_per_hour=100_000
                ).api_key
                for n in range(20)
            ]
            own = {**os.environ, "HOKUSAI_AUTH_SERVICE_URL": url}
            own["HOKUSAI_SERVICE_TOKEN"] = (directory / ".hokusai-dev/service-token").read_text().strip()
            ports = {}
            for number, (name, text) in enumerate(APPS.items()):
                (directory / f"app{number}.py").write_text(HEAD + text)
                ports[name] = free_port()
                words = ["uvicorn", f"app{number}:app", "--port", str(ports[name]), "--no-access-log"]
                command = ["taskset", "-c", "0", sys.executable, "-m", *words, "--log-level", "warning"]
                started.append(subprocess.Popen(command, cwd=directory, env=own))
            for name in APPS:
                wait_for(ports[name])
                asyncio.run(load(ports[name], keys, 1))
            for _ in range(rounds):
                for name in APPS:
                    found[name].append(asyncio.run(load(ports[name], keys, seconds)))
        finally:
            for process in reversed(started):
                process.send_signal(signal.SIGTERM)
                process.wait(30)
    return found


def main() -> None:
    """Measures, and prints a table."""
    arguments = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--rounds", type=int, default=5)
    told = arguments.parse_args()
    found = measure(told.seconds, told.rounds)
    bare = found["no check"]
    for name, rates in found.items():
        shares = [rate / without for rate, without in zip(rates, bare, strict=True)]
        print(
            f"{name:28} {statistics.median(rates):8.0f} a second ({min(rates):.0f} to {max(rates):.0f}),"
            f" {statistics.median(shares):.3f} of no check"
        )


if __name__ == "__main__":
    main()
